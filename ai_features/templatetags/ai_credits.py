"""How credits, money and payment methods are written, in one place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import template
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import resolve_url
from django.utils.translation import gettext_lazy, ngettext

from ai_features.conf import ai_credits
from ai_features.money import MICRO, to_credits, to_major, to_micro

register = template.Library()
register.filter("to_micro", to_micro)

# Our payment methods, and the channels that Paystack names on top of them.
METHOD_NAMES = {
    "mobile_money": gettext_lazy("Mobile money"),
    "card": gettext_lazy("Card"),
    "bank_transfer": gettext_lazy("Bank transfer"),
    "ussd": gettext_lazy("USSD"),
    "bank": gettext_lazy("Bank account"),
    "qr": gettext_lazy("QR code"),
    "eft": gettext_lazy("EFT"),
    "apple_pay": gettext_lazy("Apple Pay"),
}

LONGEST_ADDRESS = 2000


@register.simple_tag
def merchant_name() -> str:
    return ai_credits().merchant_name


@register.simple_tag
def support_email() -> str:
    return ai_credits().support_email


@register.simple_tag(takes_context=True)
def login_address(context: dict[str, Any]) -> str:
    """The host's log-in page, whatever it is called, and back to this one afterwards."""
    here = context["request"].get_full_path()
    # Django refuses enormous redirects, and an error page must not fail.
    return redirect_to_login(here if len(here) <= LONGEST_ADDRESS else "", resolve_url(settings.LOGIN_URL)).url


@register.filter
def credits(micro: int) -> str:  # noqa: A001  the vocabulary's own word
    """Micro-credits: 145500000 → 145.5, 100000000 → 100, 1234567890000 → 1,234,567.89."""
    return f"{to_credits(micro):,f}".removesuffix(".0")


@register.filter
def credits_in_words(micro: int) -> str:
    """100 credits, 1 credit, 0.5 credits."""
    words = ngettext("%(number)s credit", "%(number)s credits", 1 if micro == MICRO else 2)
    return words % {"number": credits(micro)}


@register.filter
def signed(micro: int) -> str:
    return f"{'+' if micro > 0 else '−' if micro < 0 else ''}{credits(abs(micro))}"


@register.filter
def money(amount_minor: int, currency: str) -> str:
    """Subunit: 8000 → GHS 80.00."""
    return f"{currency} {to_major(amount_minor):,}"


@register.filter
def percent(rate: Decimal | str) -> str:
    """0.15 → 15%, 0.025 → 2.5%."""
    return f"{(Decimal(rate) * 100).normalize():f}%"


@register.filter
def method_name(code: str) -> str:
    return str(METHOD_NAMES.get(code, code))
