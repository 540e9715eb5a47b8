"""`manage.py check` says what would fail at the first payment; each function looks at one thing."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils.module_loading import import_string

from ai_features.conf import KEYS, PAYMENT_METHODS, REFUND_POLICIES, AICredits, ai_credits
from ai_features.exceptions import AICreditsError
from ai_features.money import CURRENCIES, to_micro, to_minor
from ai_features.paystack.service import is_this_machine

Apps = Sequence[AppConfig] | None


@register("ai_credits")
def unknown_settings(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    return [
        Error(f'AI_CREDITS["{key}"] is not a setting of AI credits.', hint=_did_you_mean(key), id="ai_features.E001")
        for key in getattr(settings, "AI_CREDITS", {})
        if key not in KEYS
    ]


@register("ai_credits")
def unusable_settings(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    if any(key not in KEYS for key in getattr(settings, "AI_CREDITS", {})):
        return []
    try:
        return [Error(problem, id="ai_features.E002") for problem in (*_problems(), *_problems_with_refunds())]
    except (AICreditsError, ArithmeticError, ImportError, TypeError, ValueError) as error:
        return [Error(f"AI_CREDITS cannot be read: {error}", id="ai_features.E002")]


@register("ai_credits")
def secret_key(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    key = getattr(settings, "PAYSTACK_SECRET_KEY", "")
    if not key:
        hint = "Put your key from the Paystack dashboard (Settings, API Keys) into PAYSTACK_SECRET_KEY."
        return [Warning("Without PAYSTACK_SECRET_KEY nobody can pay.", hint=hint, id="ai_features.W003")]
    if not key.startswith(("sk_test_", "sk_live_")):
        hint = "A secret key starts with sk_test_ or sk_live_; pk_ is the public one."
        return [Error("PAYSTACK_SECRET_KEY is not a secret key.", hint=hint, id="ai_features.E004")]
    return []


@register("ai_credits")
def base_url(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    address = urlsplit(getattr(settings, "PAYSTACK_BASE_URL", "https://api.paystack.co"))
    if address.scheme not in ("http", "https") or not address.hostname:
        return [Error("PAYSTACK_BASE_URL is not an http(s) address.", id="ai_features.E005")]
    if address.scheme == "http" and not is_this_machine(address.hostname):
        hint = "Use https: the secret key is in every request."
        return [Error("PAYSTACK_BASE_URL would send the secret key in the clear.", hint=hint, id="ai_features.E006")]
    return []


@register(Tags.security, deploy=True)
def live_mode(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    if getattr(settings, "PAYSTACK_SECRET_KEY", "").startswith("sk_live_") and settings.DEBUG:
        return [Error("A live key with DEBUG on shows settings to strangers.", id="ai_features.E007")]
    return []


@register("ai_credits")
def sqlite_transactions(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    database = settings.DATABASES["default"]
    mode = database.get("OPTIONS", {}).get("transaction_mode")
    if database["ENGINE"].endswith("sqlite3") and mode not in ("IMMEDIATE", "EXCLUSIVE"):
        hint = 'Set DATABASES["default"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".'
        message = "SQLite refuses some simultaneous payments (they are retried) in its default transaction mode."
        return [Warning(message, hint=hint, id="ai_features.W008")]
    return []


def _problems() -> Iterator[str]:
    rules = ai_credits()
    if not rules.merchant_name.isprintable():
        yield "MERCHANT_NAME must be one line of text."
    yield from _problems_of_sales(rules)
    for address in rules.webhook_source_ips:
        ipaddress.ip_address(address)
    if rules.wallet_resolver and not callable(import_string(rules.wallet_resolver)):
        yield "WALLET_RESOLVER does not name a function."


def _problems_of_sales(rules: AICredits) -> Iterator[str]:
    if rules.currency not in CURRENCIES:
        yield f"CURRENCY must be one of {', '.join(CURRENCIES)}."
    else:
        to_minor(rules.custom_minimum, rules.currency)
    if rules.custom_credits_per_unit <= 0:
        yield "CUSTOM_CREDITS_PER_UNIT must be positive."
    if rules.credits_expire_days is not None and rules.credits_expire_days <= 0:
        yield "CREDITS_EXPIRE_DAYS must be positive, or None for credits that never expire."
    for key in ("reconcile_every_seconds", "reconcile_requests_a_minute"):
        if getattr(rules, key) <= 0:
            yield f"{key.upper()} must be positive."
    if any(tax.rate < 0 for tax in rules.taxes):
        yield "A rate in TAXES is negative."
    if unknown := set(rules.payment_methods) - set(PAYMENT_METHODS):
        yield f"PAYMENT_METHODS has {', '.join(sorted(unknown))}; known are {', '.join(PAYMENT_METHODS)}."
    # 0 is every grant, and None no limit.
    to_micro(rules.grant_approval_above or 1)


def _problems_with_refunds() -> Iterator[str]:
    rules = ai_credits()
    if rules.refund_policy not in REFUND_POLICIES:
        yield f"REFUND_POLICY must be one of {', '.join(REFUND_POLICIES)}."
    if any("@" not in address for address in rules.staff_emails):
        yield "STAFF_EMAILS is a list of e-mail addresses."


def _did_you_mean(key: str) -> str:
    close = difflib.get_close_matches(str(key).upper(), KEYS, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(KEYS)}."
