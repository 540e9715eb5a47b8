"""Background work about something that is done, or on record, already: a queue that fails must not undo that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django_tasks.base import Task

from ai_features import discretion

log = discretion.logger(__name__)


def queue(task: Task[..., Any], *args: Any, about: Mapping[str, Any], after: timedelta | None = None) -> None:
    """Have a worker carry out `task`, at once or `after` a time. Raises nothing.

    A backend that cannot defer is left alone with what has to wait: whatever is queued so is also found by
    reconciliation. `about` is for the log, and names nobody.
    """
    try:
        if after is None:
            task.enqueue(*args)
        elif task.get_backend().supports_defer:
            task.using(run_after=timezone.now() + after).enqueue(*args)
    # A queue may fail in ways of its own.
    except Exception:
        words = ", ".join(f"{name} {value}" for name, value in about.items())
        log.exception("%s could not be queued (%s)", task.name, words, extra=dict(about))
