"""What Paystack says of a payment's refunds, and ours brought in line with it.

The events of refunds carry no id and cannot tell two equal parts apart, so they only make us read Paystack's list;
whoever else wants the truth – reconciliation, staff – calls the same routine. Read first, then applied in one
transaction: a list that was read earlier and is applied later moves nothing back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django_tasks import task

from ai_features.billing import disputes, ledger, refund_moves, review_items, settlement
from ai_features.billing.refunds.matching import match
from ai_features.exceptions import PurchaseNotFound, RefundNotFound
from ai_features.models import (
    OPEN_REFUNDS,
    Dispute,
    Purchase,
    Refund,
    RefundStatus,
    ReviewKind,
    SettledBy,
)
from ai_features.paystack import PaystackRefund, PaystackService

GIVEN_UP_AFTER = timedelta(hours=1)
"""A refund whose answer was lost, and that Paystack's list does not have after this, was never made."""

STATUSES = {
    "pending": RefundStatus.PENDING,
    "processing": RefundStatus.PROCESSING,
    "processed": RefundStatus.PROCESSED,
    "failed": RefundStatus.FAILED,
    "needs-attention": RefundStatus.NEEDS_ATTENTION,
}
_ENDS = {RefundStatus.PROCESSED, RefundStatus.FAILED}


def bring_in_line(payment: Purchase | str, *, settled_by: SettledBy = SettledBy.RECONCILE) -> list[Refund]:
    """Make our refunds of a payment – a purchase, or a reference – agree with Paystack's.

    Returns those that changed or are new. A purchase that is not decided yet is settled first. Safe to repeat and to
    race. Raises RefundNotFound where we know neither a purchase nor a refund of this reference, or a PaystackError,
    and then nothing has changed.
    """
    reference = payment if isinstance(payment, str) else payment.reference
    number = _transaction_id(reference, settled_by)
    listed = list(PaystackService.list_refunds(transaction_id=number))
    _read_disputes(listed)
    return apply(reference, listed, timezone.now())


def apply(reference: str, listed: Sequence[PaystackRefund], now: datetime) -> list[Refund]:
    """The same with a list that was read already."""
    changed = []
    with locked(reference) as purchase:
        ours = list(Refund.objects.filter(reference=reference).select_related("dispute", "purchase").order_by("pk"))
        for refund in ours:
            _attach(refund, purchase)
        for found in match([row for row in listed if row.amount_minor and row.reference in ("", reference)], ours):
            refund = found.ours or _record(reference, purchase, found.listed, now)
            if _follow(refund, found.listed) or found.ours is None:
                changed.append(refund)
        changed += _give_up(ours, now)
    return changed


def note(refund: Refund, answer: PaystackRefund) -> None:
    """What Paystack answered about this refund of ours. Safe to repeat and to race with `bring_in_line`."""
    with locked(refund.reference) as purchase:
        fresh = read(refund.pk, purchase)
        other = Refund.objects.filter(paystack_id=str(answer.id)).exclude(pk=refund.pk).first()
        if other is None:
            _follow(fresh, answer)
        elif fresh.paystack_id is None:
            # Paystack's list was faster, and by some difference of clocks ours was not known in it.
            refund_moves.move(fresh, RefundStatus.FAILED, problem=f"Recorded as refund {other.pk}.")


def read(refund_id: int, purchase: Purchase | None) -> Refund:
    """As it is now that its purchase is locked."""
    refund = Refund.objects.select_related("dispute").get(pk=refund_id)
    _attach(refund, purchase)
    return refund


@contextmanager
def locked(reference: str) -> Iterator[Purchase | None]:
    """The purchase of this reference, locked; for a payment that belongs to none its refunds are locked."""
    with transaction.atomic():
        try:
            purchase = ledger.lock_purchase(reference)
        except PurchaseNotFound:
            ledger.lock_refunds(reference)
            purchase = None
        yield purchase


def unfinished() -> QuerySet[Refund]:
    """What Paystack may still have news of, oldest first: for whoever asks by the clock."""
    return Refund.objects.filter(status__in=OPEN_REFUNDS).order_by("asked_at")


@task()
def look_again(reference: str) -> int:
    """The background look at a refund whose answer was lost; returns how many refunds changed."""
    return len(bring_in_line(reference))


def _transaction_id(reference: str, settled_by: SettledBy) -> int:
    """Paystack lists refunds by its own number alone."""
    purchase = Purchase.objects.filter(reference=reference).first()
    if purchase is None and not Refund.objects.filter(reference=reference).exists():
        raise RefundNotFound
    if purchase is not None and not purchase.is_decided:
        purchase = settlement.check(purchase, settled_by=settled_by)
    if purchase is not None and purchase.paystack_id.isdigit():
        return int(purchase.paystack_id)
    number = PaystackService.verify_transaction(reference).id
    if number is None:
        raise RefundNotFound("Paystack gives this transaction no number to list its refunds by.")
    return number


def _read_disputes(listed: Sequence[PaystackRefund]) -> None:
    """Of disputes that we have not heard of, before their refunds are recorded."""
    named = {str(row.dispute_id) for row in listed if row.dispute_id is not None}
    known = set(Dispute.objects.filter(paystack_id__in=named).values_list("paystack_id", flat=True))
    for number in sorted(named - known):
        disputes.follow(PaystackService.fetch_dispute(int(number)))


def _record(reference: str, purchase: Purchase | None, row: PaystackRefund, now: datetime) -> Refund:
    """One that was made elsewhere. Of one that failed before we heard of it nothing is taken."""
    number = None if row.dispute_id is None else str(row.dispute_id)
    return refund_moves.begin(
        reference,
        purchase,
        row.amount_minor,
        currency=row.currency,
        reason=row.note,
        paystack_id=str(row.id),
        dispute=Dispute.objects.filter(paystack_id=number).first(),
        asked_at=row.created_at or now,
        takes=STATUSES.get(row.status) != RefundStatus.FAILED,
    )


def _follow(refund: Refund, row: PaystackRefund) -> bool:
    is_new_id = refund.paystack_id is None
    refund.paystack_id = str(row.id)
    refund.refund_reference = row.refund_reference[:100] or refund.refund_reference
    refund.save(update_fields=["paystack_id", "refund_reference"])
    status = STATUSES.get(row.status)
    if status is None or status == refund.status:
        return is_new_id
    if {status, RefundStatus(refund.status)} == _ENDS:
        explanation = f"Refund {row.id} was {refund.get_status_display()}, and Paystack now says {row.status}."
        review_items.open_item(
            ReviewKind.REFUND_CONTRADICTS, refund.reference, purchase=refund.purchase, explanation=explanation
        )
    return refund_moves.move(refund, status) or is_new_id


def _attach(refund: Refund, purchase: Purchase | None) -> None:
    """The one purchase that is locked, in place of a copy."""
    if refund.purchase_id is not None:
        refund.purchase = purchase


def _give_up(ours: Sequence[Refund], now: datetime) -> list[Refund]:
    late = [refund for refund in ours if refund.is_unconfirmed and refund.asked_at < now - GIVEN_UP_AFTER]
    return [r for r in late if refund_moves.move(r, RefundStatus.FAILED, problem="Paystack knows nothing of it.")]
