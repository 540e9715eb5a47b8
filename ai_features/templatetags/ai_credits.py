"""How credits and money are written, in one place."""

from __future__ import annotations

from django import template

from ai_features.conf import ai_credits
from ai_features.money import to_credits, to_major

register = template.Library()


@register.simple_tag
def merchant_name() -> str:
    return ai_credits().merchant_name


@register.filter
def credits(micro: int) -> str:  # noqa: A001  the vocabulary's own word
    """Micro-credits: 145500000 → 145.5, 100000000 → 100, 1234567890000 → 1,234,567.89."""
    return f"{to_credits(micro):,f}".removesuffix(".0")


@register.filter
def signed(micro: int) -> str:
    return f"{'+' if micro > 0 else '−' if micro < 0 else ''}{credits(abs(micro))}"


@register.filter
def money(amount_minor: int, currency: str) -> str:
    """Subunit: 8000 → GHS 80.00."""
    return f"{currency} {to_major(amount_minor):,}"
