"""What to do next about a reference, for whoever answers its buyer: what is urgent first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.utils import timezone

from ai_features.billing.story.steps import Record, moment, name_of
from ai_features.exceptions import PaystackError, TransactionNotFound
from ai_features.models import (
    Dispute,
    DisputeStatus,
    EventStatus,
    Purchase,
    PurchaseStatus,
    Refund,
    RefundStatus,
    ReviewItem,
    ReviewKind,
    ReviewStatus,
    WebhookEvent,
)
from ai_features.paystack import Transaction

Answer = Transaction | PaystackError
STUCK_AFTER = timedelta(minutes=5)


def advice(record: Record, answer: Answer | None) -> Iterator[str]:
    yield from map(_if_disputed, record.disputes)
    yield from _if_to_review(record.review_items)
    for refund in record.refunds:
        # One that failed is nobody's concern once another was asked for.
        if refund.status != RefundStatus.FAILED or refund == record.refunds[-1]:
            yield _if_refunded(refund)
    for event in record.events:
        if event.status == EventStatus.FAILED or _is_stuck(event):
            yield f"Process webhook event {event.pk} again: manage.py replay_webhooks {event.pk}, or in the admin."
    if record.purchase is not None:
        yield from _by_status(record, record.purchase, answer)
    elif not (record.review_items or record.refunds):
        yield from _if_unknown(answer)


def _is_stuck(event: WebhookEvent) -> bool:
    """Not only just on its way to be processed."""
    return event.status == EventStatus.RECEIVED and event.received_at < timezone.now() - STUCK_AFTER


def _by_status(record: Record, purchase: Purchase, answer: Answer | None) -> Iterator[str]:
    was_paid = isinstance(answer, Transaction) and (answer.is_paid or answer.was_reversed)
    if was_paid and not purchase.is_decided:
        yield f"Paystack has the money: settle it now with manage.py paystack_status {purchase.reference} --settle."
        return
    if isinstance(answer, Transaction) and answer.was_reversed and not record.refunds:
        yield "Paystack has sent this money back, and no refund is on record here: run manage.py reconcile_paystack."
    elif purchase.status != PurchaseStatus.COMPLETED or not _has_open_matters(record):
        yield _BY_STATUS[PurchaseStatus(purchase.status)]
    if not purchase.is_decided:
        yield from _if_undecided(purchase)


def _has_open_matters(record: Record) -> bool:
    """Its credits are not simply in the wallet."""
    return any(refund.is_open for refund in record.refunds) or any(one.is_open for one in record.disputes)


def _if_disputed(dispute: Dispute) -> str:
    name = f"Dispute {dispute.paystack_id}"
    match DisputeStatus(dispute.status):
        case DisputeStatus.WON:
            return f"{name} was won: nothing. What was frozen for it is in the wallet again."
        case DisputeStatus.LOST:
            return f"{name} was lost: nothing. The payer has the money back, and its credits were taken back."
    until = "at once"
    if dispute.due_at is not None:
        hours = (dispute.due_at - timezone.now()).total_seconds() / 3600
        left = f"{hours:.0f} hours are left" if hours > 0 else "which has passed"
        until = f"by {moment(dispute.due_at)} ({left})"
    return (
        f"{name} is open: answer it in Paystack's dashboard {until}; without an answer the payer wins. What was left "
        "of its credits is frozen meanwhile."
    )


def _if_to_review(items: Iterable[ReviewItem]) -> Iterator[str]:
    for item in items:
        match ReviewStatus(item.status):
            case ReviewStatus.OPEN:
                yield f"Decide review item {item.pk} in the admin, under Payments to review: {_how_to_decide(item)}"
            case ReviewStatus.DISMISSED if item.kind not in _CREDITED:
                yield f"Review item {item.pk} was dismissed by {item.decided_by}: nobody was credited for this payment."


_CREDITED = (ReviewKind.SECOND_PAYMENT, ReviewKind.REFUND_CONTRADICTS)


def _how_to_decide(item: ReviewItem) -> str:
    match ReviewKind(item.kind):
        case ReviewKind.UNKNOWN_REFERENCE:
            return "accept it for the wallet it is meant for, refund it, or dismiss it if it belongs to another system."
        case ReviewKind.SECOND_PAYMENT:
            return "ask the buyer whether they meant to buy twice; if not, refund this one."
        case ReviewKind.PAID_AGAIN | ReviewKind.PAID_AFTER_REFUND:
            return "refund the second payment in Paystack's dashboard, then dismiss it."
        case ReviewKind.REFUND_CONTRADICTS:
            return "look in Paystack's dashboard whether the payer has the money, then dismiss it."
        case _:
            return "accept it, and the credits are given as they were sold, or refund it."


def _if_refunded(refund: Refund) -> str:
    name = name_of(refund)
    if refund.is_unconfirmed:
        return (
            f"{name}: Paystack has not confirmed it. Don't ask for it again: it is looked up within minutes, and if "
            "Paystack does not have it an hour later, it fails and its credits are back."
        )
    match RefundStatus(refund.status):
        case RefundStatus.PENDING | RefundStatus.PROCESSING:
            return (
                f"{name} is on its way since {moment(refund.asked_at)}: tell the payer that it may take ten working "
                "days. “Read again at Paystack”, on the list of refunds, asks how far it is."
            )
        case RefundStatus.NEEDS_ATTENTION:
            return (
                f"{name} needs the payer's account: ask them for it, open the refund in the admin and choose “Send to "
                "the payer's account”."
            )
        case RefundStatus.FAILED:
            return f"{name} failed, so the payer does not have the money. Look at the reason, and refund it again."
        case RefundStatus.PROCESSED:
            number = f" under reference {refund.refund_reference}" if refund.refund_reference else ""
            return f"{name} is done: a payer who misses it asks their bank{number}, which may take ten working days."


def _if_unknown(answer: Answer | None) -> Iterator[str]:
    if isinstance(answer, Transaction):
        yield (
            "Paystack knows it and we don't: a payment of another system on the same Paystack account, or rows were "
            "lost here. Look at its metadata in the Paystack dashboard; if it is ours, refund it there."
        )
    elif isinstance(answer, TransactionNotFound):
        yield "Neither we nor Paystack know it: compare it with the receipt, letter by letter. Ours begin AI-CREDIT-."
    else:
        yield "Compare it with the receipt, letter by letter, and ask again when Paystack can be asked."


def _if_undecided(purchase: Purchase) -> Iterator[str]:
    if purchase.next_check_at is not None:
        at = moment(purchase.next_check_at)
        yield f"Reconciliation asks Paystack again from {at} on; paystack_doctor says whether it runs."
    if not purchase.authorization_url:
        yield "Its checkout was never opened, so nobody can have paid it."


_BY_STATUS = {
    PurchaseStatus.PENDING: (
        "Not paid as far as Paystack tells. Mobile money may take minutes: ask the buyer whether they approved the "
        "prompt, and for Paystack's receipt if they say they paid."
    ),
    PurchaseStatus.COMPLETED: (
        "Nothing: the credits are in the wallet named above. A buyer who does not see them is logged in as another, or "
        "has spent them: look at the wallet's entries."
    ),
    PurchaseStatus.FAILED: (
        "Paystack says that it failed; if the buyer was charged all the same, the money goes back to them, or the "
        "payment is settled when Paystack says so. They can buy again, which is another purchase."
    ),
    PurchaseStatus.ABANDONED: (
        "It was not paid in time. If it is paid later it is settled all the same. They can buy again."
    ),
    PurchaseStatus.REVIEW: (
        "Paid, but not as agreed, so nobody was credited; the reason stands above. Staff must decide."
    ),
    PurchaseStatus.PARTIALLY_REFUNDED: "A part of the money went back, and its credits were taken back.",
    PurchaseStatus.REFUNDED: "The money went back, and the credits were taken back.",
}
