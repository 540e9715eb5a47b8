"""What happened to a reference, each thing at its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from ai_features.models import (
    Dispute,
    Finding,
    LedgerEntry,
    Purchase,
    Refund,
    RefundStatus,
    ReviewItem,
    ReviewStatus,
    WebhookEvent,
)
from ai_features.money import to_credits, to_major


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Record:
    """All that is on record here of one reference, ours or not; each list oldest first."""

    reference: str
    purchase: Purchase | None
    events: list[WebhookEvent]
    refunds: list[Refund]
    disputes: list[Dispute]
    review_items: list[ReviewItem]
    findings: list[Finding]


def record_of(reference: str) -> Record:
    purchase = Purchase.objects.select_related("wallet__user", "buyer").filter(reference=reference).first()
    refunds = Refund.objects.filter(reference=reference).select_related("requested_by", "dispute")
    items = ReviewItem.objects.filter(reference=reference).select_related("decided_by")
    return Record(
        reference,
        purchase,
        list(WebhookEvent.objects.filter(reference=reference).order_by("id")),
        list(refunds.order_by("id")),
        [] if purchase is None else list(purchase.disputes.order_by("id")),
        list(items.order_by("id")),
        list(Finding.objects.filter(reference=reference)),
    )


def steps_of(record: Record) -> tuple[Step, ...]:
    """In the order of time; what has the same time, in the order of cause and effect."""
    steps: list[Step] = []
    if record.purchase is not None:
        steps += _of_purchase(record.purchase)
    steps += [_delivery(event) for event in record.events]
    steps += [
        Step(found.found_at, f"Reconciliation: {found.get_kind_display()}; {found.outcome}")
        for found in record.findings
    ]
    for of_one in (
        *map(_of_review_item, record.review_items),
        *map(_of_dispute, record.disputes),
        *map(_of_refund, record.refunds),
    ):
        steps += of_one
    if record.purchase is not None:
        steps += _of_entries(record.purchase.entries.select_related("actor").order_by("id"))
    return tuple(sorted(steps, key=lambda step: step.at))


def money(currency: str, minor: int) -> str:
    return f"{currency} {to_major(minor)}"


def name_of(refund: Refund) -> str:
    return f"Refund {refund.pk} of {money(refund.currency, refund.amount_minor)}"


def moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}"


def _of_purchase(purchase: Purchase) -> Iterator[Step]:
    yield Step(purchase.created_at, f"Started by {purchase.buyer} ({purchase.email})")
    opened = "Checkout opened at Paystack" if purchase.authorization_url else "Checkout not opened"
    yield Step(purchase.created_at, opened)
    if purchase.paid_at is not None:
        paid = money(purchase.paid_currency, purchase.paid_amount_minor or 0)
        yield Step(purchase.paid_at, f"Paid at Paystack: {paid} by {purchase.channel or 'unknown means'}")
    for answer in purchase.answers.all():
        yield Step(answer.first_at, f"Asked Paystack ({answer.get_asked_by_display()}): {answer.answer}")
        if answer.times > 1:
            yield Step(
                answer.last_at,
                f"Asked Paystack ({answer.get_asked_by_display()}): {answer.answer}, {answer.times} times by now",
            )
    if purchase.completed_at is not None:
        yield Step(purchase.completed_at, f"Settled by {purchase.get_settled_by_display()}")


def _of_entries(entries: Iterable[LedgerEntry]) -> Iterator[Step]:
    for entry in entries:
        about = f"{entry.get_kind_display()}: {to_credits(entry.amount):+f} credits"
        who = f", by {entry.actor}: {entry.reason}" if entry.actor is not None else ""
        text = f"Ledger entry {entry.pk}, {about}, balance {to_credits(entry.balance_after):f}{who}"
        yield Step(entry.created_at, text)


def _of_refund(refund: Refund) -> Iterator[Step]:
    name = name_of(refund)
    yield Step(refund.asked_at, f"{name} asked for {_asked_by(refund)}{f': {refund.reason}' if refund.reason else ''}")
    if refund.taken_at is not None:
        yield Step(refund.taken_at, f"{name}: its share is {to_credits(refund.credits):f} credits{_parts(refund)}")
    if refund.ended_at is None:
        return
    if refund.status == RefundStatus.FAILED:
        returned = "; its credits are back" if refund.taken_at is not None else ""
        yield Step(refund.ended_at, f"{name} failed: {refund.problem or 'Paystack gives no reason'}{returned}")
    else:
        number = f", reference {refund.refund_reference} at the bank" if refund.refund_reference else ""
        yield Step(refund.ended_at, f"{name} processed: Paystack has sent the money back{number}")


def _asked_by(refund: Refund) -> str:
    if refund.dispute is not None:
        return f"by dispute {refund.dispute.paystack_id}"
    if refund.requested_by is not None:
        return f"by {refund.requested_by}"
    return "in Paystack's dashboard or by the app"


def _parts(refund: Refund) -> str:
    """Where the credits came from, or why they did not; nothing where all were taken from its own lots."""
    parts = {
        "taken from its own lots": refund.credits_taken,
        "from other lots": refund.credits_from_others,
        "turned into debt": refund.credits_owed,
        "forgiven": refund.credits_forgiven,
        "had expired": refund.credits_expired,
    }
    told = [f"{to_credits(amount):f} {words}" for words, amount in parts.items() if amount]
    return f": {', '.join(told)}" if told else ""


def _of_dispute(dispute: Dispute) -> Iterator[Step]:
    name = f"Dispute {dispute.paystack_id}"
    about = "" if dispute.amount_minor is None else f" about {money(dispute.currency, dispute.amount_minor)}"
    until = "" if dispute.due_at is None else f", to be answered by {moment(dispute.due_at)}"
    category = f" ({dispute.category})" if dispute.category else ""
    yield Step(dispute.opened_at, f"{name}{about} opened{category}{until}")
    if dispute.ended_at is not None:
        words = f" ({dispute.resolution})" if dispute.resolution else ""
        yield Step(dispute.ended_at, f"{name} {dispute.get_status_display()}{words}")


def _of_review_item(item: ReviewItem) -> Iterator[Step]:
    paid = "" if item.amount_minor is None else f", {money(item.currency, item.amount_minor)}"
    explanation = f": {item.explanation}" if item.explanation else ""
    source = f" (heard from {item.source})" if item.source else ""
    yield Step(item.opened_at, f"Review item {item.pk} raised, {item.get_kind_display()}{paid}{explanation}{source}")
    if item.decided_at is not None:
        decision = ReviewStatus(item.status).label
        yield Step(item.decided_at, f"Review item {item.pk} {decision} by {item.decided_by}: {item.note}")


def _delivery(event: WebhookEvent) -> Step:
    became = f"{event.status}, {event.outcome}" if event.outcome else event.status
    error = f" ({event.error})" if event.error else ""
    name = event.event or "of no known kind"
    return Step(event.received_at, f"Webhook {name} received, event {event.pk}: {became}{error}")
