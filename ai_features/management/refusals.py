from __future__ import annotations

from django.core.management.base import CommandError

from ai_features.exceptions import AICreditsError


def in_words(error: AICreditsError) -> CommandError:
    """The refusal as an operator reads it, with the fields that are at fault."""
    fields = error.details().get("fields", {})
    problems = [f"{name}: {' '.join(map(str, found))}" for name, found in fields.items()]
    return CommandError(" ".join([*problems] or [error.message]))
