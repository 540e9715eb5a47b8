"""What Paystack tells us: recorded before it is processed, processed any number of times, never lost (law 9)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import orjson
from django.utils import timezone
from django_tasks import task

from ai_features import discretion
from ai_features.billing import later, refunds, review_items
from ai_features.billing.settlement import record_and_settle, settle
from ai_features.exceptions import (
    PaystackBadResponse,
    PaystackUnavailable,
    PurchaseNotFound,
    RefundNotFound,
    WebhookRefused,
)
from ai_features.models import EventStatus, SettledBy, WebhookEvent
from ai_features.paystack import PaystackDispute, PaystackService, Transaction, within
from ai_features.paystack.reversals import reference_in_event

log = discretion.logger(__name__)

MAX_ATTEMPTS = 8
FIRST_RETRY_SECONDS = 30
ASKS_PAYSTACK_SECONDS = 3.0
"""So long an event may ask Paystack while Paystack waits for our 200; what takes longer is done later. How long it
waits is documented for test mode alone (30 s)."""

LEFT_AFTER = timedelta(minutes=1)
LEFT_AT_A_TIME = 50

Payload = Mapping[str, Any]


def receive(body: bytes, signature: str | None, *, source_ip: str = "") -> WebhookEvent:
    """Record one signed delivery, then process it; the event tells what became of it.

    `body` is the raw request body. Raises WebhookRefused where no key of ours made the signature: nothing is
    recorded then. Safe to repeat: every delivery is a row, and what it asks for happens once.
    """
    if not PaystackService.verify_webhook_signature(body, signature):
        raise WebhookRefused
    envelope = _parse(body)
    event = WebhookEvent.of(
        body,
        event=_short_text(envelope.get("event"), 60),
        reference=_reference_in(envelope),
        source_ip=source_ip,
    )
    if _settled_at_once(event, envelope):
        return event
    if event._state.adding:
        event.save()
    return process(event)


def process(event: WebhookEvent) -> WebhookEvent:
    """Do what a recorded event asks for. Safe to repeat; a failure is kept on the event and tried again later."""
    try:
        with within(ASKS_PAYSTACK_SECONDS):
            event.status, event.outcome = _handle(event)
        event.error = ""
    except PaystackUnavailable as error:
        log.warning(
            "webhook event %s (%s) is left for later: %s", event.pk, event.reference, error.code, extra=_about(event)
        )
        _fail(event, error)
    # Anything can go wrong in here and the event must survive it: it is on record, Paystack gets its 200,
    # and the retry is ours.
    except Exception as error:
        log.exception("webhook event %s (%s) failed", event.pk, event.reference, extra=_about(event))
        _fail(event, error)
    event.attempts += 1
    event.processed_at = timezone.now()
    event.save(update_fields=["status", "outcome", "error", "attempts", "processed_at"])
    return event


def _settled_at_once(event: WebhookEvent, envelope: Payload) -> bool:
    """The ordinary confirmation, recorded and settled in one round trip."""
    if event.event != "charge.success":
        return False
    try:
        return record_and_settle(event, Transaction.from_payload(envelope.get("data")))
    except PaystackBadResponse:
        return False
    # Whatever went wrong, it must not cost the record (law 9): that is made next, by itself.
    except Exception:
        log.exception("webhook for %s could not be settled at once", event.reference, extra=_about(event))
        return False


@task()
def process_webhook_event(event_id: int) -> str:
    """The background retry; also for a host's own schedule. Returns the outcome."""
    return process(WebhookEvent.objects.get(pk=event_id)).outcome


def process_left() -> int:
    """The events that nobody has come to the end of, oldest first, where no worker retries them; returns how many were
    tried. Safe to repeat and to race."""
    unfinished = WebhookEvent.objects.filter(status__in=[EventStatus.RECEIVED, EventStatus.FAILED])
    left = unfinished.filter(received_at__lt=timezone.now() - LEFT_AFTER, attempts__lt=MAX_ATTEMPTS)
    events = list(left.order_by("received_at")[:LEFT_AT_A_TIME])
    for event in events:
        process(event)
    return len(events)


def _about(event: WebhookEvent) -> dict[str, Any]:
    return {"reference": event.reference, "event": event.event}


def _fail(event: WebhookEvent, error: Exception) -> None:
    event.status, event.outcome, event.error = (
        EventStatus.FAILED,
        "error",
        f"{type(error).__name__}: {discretion.without_values(error)}",
    )
    _retry_later(event)


def _retry_later(event: WebhookEvent) -> None:
    if event.attempts < MAX_ATTEMPTS:
        after = timedelta(seconds=FIRST_RETRY_SECONDS * 2**event.attempts)
        later.queue(process_webhook_event, event.pk, after=after, about=_about(event))


def _handle(event: WebhookEvent) -> tuple[EventStatus, str]:
    envelope = _parse(bytes(event.body))
    data = envelope.get("data")
    handler = HANDLERS.get(event.event)
    if handler is None:
        return EventStatus.IGNORED, "malformed" if not event.event else "no_handler"
    if not isinstance(data, Mapping):
        return EventStatus.IGNORED, "malformed"
    return handler(data)


def _charge_succeeded(data: Payload) -> tuple[EventStatus, str]:
    try:
        facts = Transaction.from_payload(data)
    except PaystackBadResponse:
        return EventStatus.IGNORED, "malformed"
    try:
        purchase = settle(facts.reference, facts, settled_by=SettledBy.WEBHOOK)
    except PurchaseNotFound:
        review_items.open_unknown(facts, source="charge.success")
        return EventStatus.IGNORED, "unknown_reference"
    return EventStatus.PROCESSED, purchase.status


def _refund_moved(data: Payload) -> tuple[EventStatus, str]:
    """It says which payment, and not which refund: Paystack's list does."""
    reference = reference_in_event(data)
    if not reference:
        return EventStatus.IGNORED, "malformed"
    try:
        changed = refunds.bring_in_line(reference, settled_by=SettledBy.WEBHOOK)
    except RefundNotFound:
        return EventStatus.IGNORED, "unknown_reference"
    return EventStatus.PROCESSED, changed[-1].status if changed else "unchanged"


def _dispute_moved(data: Payload) -> tuple[EventStatus, str]:
    try:
        facts = PaystackDispute.from_payload(data)
    except PaystackBadResponse:
        return EventStatus.IGNORED, "malformed"
    try:
        dispute = refunds.follow_dispute(facts, settled_by=SettledBy.WEBHOOK)
    except PurchaseNotFound:
        return EventStatus.IGNORED, "unknown_reference"
    return EventStatus.PROCESSED, dispute.status


# Which event is handled by what; all others are kept and need nothing.
HANDLERS: dict[str, Callable[[Payload], tuple[EventStatus, str]]] = {
    "charge.success": _charge_succeeded,
    **{f"refund.{word}": _refund_moved for word in ("pending", "processing", "processed", "failed", "needs-attention")},
    **{f"charge.dispute.{word}": _dispute_moved for word in ("create", "remind", "resolve")},
}


def _parse(body: bytes) -> Payload:
    envelope = _from_json(body)
    return envelope if isinstance(envelope, dict) else {}


def _from_json(body: bytes) -> object:
    """What Python's own parser reads of it; None for what that cannot."""
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        # Half an emoji in a customer's name is refused by orjson, and a payment must not hang on that.
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _reference_in(envelope: Payload) -> str:
    data = envelope.get("data")
    if not isinstance(data, Mapping):
        return ""
    return _short_text(data.get("reference"), 100) or reference_in_event(data)


def _short_text(value: object, max_length: int) -> str:
    # A PostgreSQL text column cannot hold NUL; a name with control characters is none of Paystack's.
    return value if isinstance(value, str) and len(value) <= max_length and value.isprintable() else ""
