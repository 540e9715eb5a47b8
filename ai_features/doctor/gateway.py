"""The key, and Paystack's side of it. Only reads: nothing is created there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ai_features.conf import ai_credits
from ai_features.doctor.lines import Line, fail, not_checked, ok, warn
from ai_features.exceptions import PaystackError, PaystackKeyRefused
from ai_features.models import Package
from ai_features.paystack import PaystackService

SKEW_MAX = timedelta(seconds=30)
SLOW_SECONDS = 5


def examine(*, for_live: bool) -> Iterator[Line]:
    try:
        service = PaystackService.from_settings()
        mode = service.mode
    except ImproperlyConfigured as error:
        yield fail("key", str(error).partition(".")[0], "Set PAYSTACK_SECRET_KEY and PAYSTACK_BASE_URL.")
        return
    if for_live and mode != "live":
        yield fail("key", f"a {mode} key", "Set the sk_live_ key from the Paystack dashboard.")
    else:
        yield ok("key", f"a {mode} key")
    if previous := getattr(settings, "PAYSTACK_PREVIOUS_SECRET_KEYS", ()):
        todo = "Take them out three days after the change, when Paystack has stopped sending what they signed."
        yield warn("previous keys", f"{len(previous)} still accepted on webhooks", todo)
    started = time.monotonic()
    try:
        service.page_of_transactions(status="success", from_=timezone.now(), per_page=1)
    except PaystackKeyRefused as error:
        yield fail(
            "Paystack", f"refuses the key: {error.paystack_message}", "Copy the key again; look at the API's IP list."
        )
        return
    except PaystackError as error:
        yield fail("Paystack", f"{service.base_url}: {error.message}", "See whether this machine may connect to it.")
        return
    yield _answer(service, time.monotonic() - started)
    yield _clock(service)
    yield from _currencies(service)


def _answer(service: PaystackService, seconds: float) -> Line:
    if seconds > SLOW_SECONDS:
        return warn(
            "Paystack", f"{service.base_url} answers in {seconds:.1f} s", "Look at the network: buyers wait for it."
        )
    return ok("Paystack", f"{service.base_url} accepts the key, in {seconds * 1000:.0f} ms")


def _clock(service: PaystackService) -> Line:
    if service.clock is None:
        return not_checked("clock", "Paystack's answer has no date", "See that this machine keeps time (NTP).")
    skew = timezone.now() - service.clock
    if abs(skew) > SKEW_MAX:
        return fail("clock", f"{skew.total_seconds():+.0f} s from Paystack's", "Let NTP set this machine's clock.")
    return ok("clock", "within seconds of Paystack's")


def _currencies(service: PaystackService) -> Iterator[Line]:
    try:
        enabled = service.list_balances()
    except PaystackError as error:
        yield not_checked(
            "currencies", error.message, "Look at the currencies of your account in the Paystack dashboard."
        )
        return
    sold = {ai_credits().currency, *Package.objects.filter(is_active=True).values_list("currency", flat=True)}
    for currency in sorted(sold):
        if currency in enabled:
            yield ok("currency", f"{currency} is in your account at Paystack")
        else:
            todo = "A balance may only appear with the first payment: see the dashboard, or ask Paystack to enable it."
            yield warn(
                "currency", f"{currency} is not among your balances ({', '.join(sorted(enabled)) or 'none'})", todo
            )
