"""Our refunds of one payment, brought in line with what Paystack lists of them.

A list that was read earlier and is applied later moves nothing back. Everything here happens under the purchase's lock
and asks Paystack nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction

from ai_features.billing import ledger, refund_moves, review_items
from ai_features.billing.refund_matching import match
from ai_features.exceptions import PurchaseNotFound
from ai_features.models import Dispute, Purchase, Refund, RefundStatus, ReviewKind
from ai_features.paystack import PaystackRefund

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


def apply(reference: str, listed: Sequence[PaystackRefund], now: datetime, *, is_complete: bool = True) -> list[Refund]:
    """Make our refunds agree with Paystack's; returns those that changed or are new. Safe to repeat and to race.

    What a list lacks that is not complete may be there all the same.
    """
    with locked(reference) as purchase:
        return apply_to(reference, purchase, listed, now, is_complete=is_complete)


def apply_to(
    reference: str,
    purchase: Purchase | None,
    listed: Sequence[PaystackRefund],
    now: datetime,
    *,
    is_complete: bool = True,
) -> list[Refund]:
    """The same in a transaction that holds the purchase's lock."""
    changed = []
    ours = list(Refund.objects.filter(reference=reference).select_related("dispute", "purchase").order_by("pk"))
    for refund in ours:
        _attach(refund, purchase)
    for found in match([row for row in listed if row.amount_minor and row.reference in ("", reference)], ours):
        refund = found.ours or _record(reference, purchase, found.listed, now)
        if _follow(refund, found.listed) or found.ours is None:
            changed.append(refund)
    if is_complete:
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
