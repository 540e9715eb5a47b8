"""The one settings object, read late from `settings.AI_CREDITS`; every key has a default.

Keys are written in capitals in the dict (`AI_CREDITS = {"CURRENCY": "NGN"}`) and read here in lower case.
`checks.py` refuses unknown keys and unusable values before the first payment does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from ai_features.money import Tax

DEBT, OTHER_LOTS, FORGIVE = REFUND_POLICIES = ("debt", "other_lots", "forgive")
PAYMENT_METHODS = ("mobile_money", "card", "bank_transfer", "ussd", "bank")


@dataclass(frozen=True, slots=True)
class AICredits:
    currency: str = "GHS"
    """What `custom` packages are sold in, and the default of every list."""

    custom_minimum: Decimal = Decimal("1.00")
    custom_credits_per_unit: Decimal = Decimal(1)
    """Credits for one major unit of the currency in a `custom` package."""

    taxes: tuple[Tax, ...] = ()
    """Added on top of each price: `[("VAT", "0.15")]`."""

    credits_expire_days: int | None = 180
    """Life of purchased and bonus credits; None: they never expire."""

    reservation_ttl_seconds: int = 900
    """How long a reservation stays open unless it says otherwise; a day is the most."""

    low_balance: Decimal | None = Decimal(5)
    """Credits below which `credits_low` is sent, unless a wallet has its own; None: never."""

    expiry_notice_days: int = 7
    """`credits_expiring` is sent this many days before a lot expires."""

    notice_emails: bool = False
    """Send each notice to the wallet's owner by e-mail too."""

    grant_approval_above: Decimal | None = None
    """Beyond so many credits within a day to a wallet, one member of staff needs another's approval; None: off."""

    metadata_days: int | None = None
    """The note an app left with a spend is emptied after this many days; None: never."""

    purchase_deadline_hours: int = 24
    """A purchase still undecided after this becomes `abandoned` (and is settled all the same if paid later)."""

    reconcile_every_seconds: int = 60
    """How often what is open is looked through; Paystack's own list is read every tenth time."""

    reconcile_requests_a_minute: int = 60
    """Reconciliation asks Paystack no more often than this; Paystack itself allows 100 with a test key."""

    refund_policy: str = DEBT
    """What becomes of refunded credits that were spent: taken from other lots and the rest owed (`debt`), taken from
    other lots as far as they go (`other_lots`), or nothing (`forgive`)."""

    staff_emails: tuple[str, ...] = ()
    """Who is told of disputes, refunds that need attention and payments in review, by e-mail."""

    review_unknown_references: bool = True
    """Open a review item for a payment that belongs to no purchase; False where other shops use the same account."""

    payment_methods: tuple[str, ...] = PAYMENT_METHODS
    callback_hosts: tuple[str, ...] = ()
    """Hosts that `callback_url` may lead to, besides the one the request came to."""

    wallet_resolver: str = ""
    """Dotted path of `resolver(user) -> str | None`: the key of the team that shares a wallet, None for own."""

    merchant_name: str = "AI Credits"
    support_email: str = ""

    webhook_max_bytes: int = 1024 * 1024
    webhook_source_ips: tuple[str, ...] = ()
    """Empty: any address, the signature is the proof. Paystack's own are in `PAYSTACK_SOURCE_IPS`."""

    metrics_token: str = ""
    """Who sends it as `Authorization: Bearer …` may read `/metrics`; empty: nobody by a token."""

    receipt_emails: bool = False
    """Send the buyer a receipt by e-mail when a purchase is completed."""

    proxy_count: int = 0
    """How many reverse proxies of yours append to X-Forwarded-For; 0: the header is not believed."""

    throttle_rates: dict[str, str] = field(
        default_factory=lambda: {
            "token": "60/min",
            "login": "20/hour",
            "purchase": "60/min",
            "verify": "120/min",
            "callback": "120/min",
        }
    )


# Paystack docs, Webhooks, "IP whitelisting": the same for test and live.
PAYSTACK_SOURCE_IPS = ("52.31.139.75", "52.49.173.169", "52.214.14.220")

KEYS = tuple(entry.name.upper() for entry in fields(AICredits))


@cache
def ai_credits() -> AICredits:
    """The settings in force. Raises TypeError or ValueError for values that `manage.py check` reports in words."""
    given: dict[str, Any] = {key.lower(): value for key, value in getattr(settings, "AI_CREDITS", {}).items()}
    if "taxes" in given:
        given["taxes"] = tuple(Tax(name, Decimal(str(rate))) for name, rate in given["taxes"])
    for key in ("payment_methods", "callback_hosts", "webhook_source_ips", "staff_emails"):
        if key in given:
            given[key] = tuple(given[key])
    for key in ("custom_minimum", "custom_credits_per_unit", "low_balance", "grant_approval_above"):
        if given.get(key) is not None:
            given[key] = Decimal(str(given[key]))
    if "throttle_rates" in given:
        given["throttle_rates"] = {**AICredits().throttle_rates, **given["throttle_rates"]}
    return AICredits(**given)


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "AI_CREDITS":
        ai_credits.cache_clear()


setting_changed.connect(_forget)
