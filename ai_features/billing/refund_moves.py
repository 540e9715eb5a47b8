"""The life of one refund. Everything here runs in a transaction that holds the purchase's lock."""

from __future__ import annotations

import logging
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from ai_features.billing import ledger, staff
from ai_features.billing.lots import due_for
from ai_features.models import OPEN_REFUNDS, Dispute, Purchase, PurchaseStatus, Refund, RefundStatus
from ai_features.signals import purchase_refunded, refund_failed, refund_needs_attention

log = logging.getLogger(__name__)

REASON_LONGEST = 300


def begin(
    reference: str,
    purchase: Purchase | None,
    amount_minor: int,
    *,
    currency: str,
    reason: str = "",
    requested_by: AbstractBaseUser | None = None,
    key: str | None = None,
    paystack_id: str | None = None,
    dispute: Dispute | None = None,
    asked_at: datetime | None = None,
    takes: bool = True,
) -> Refund:
    """A new refund, its credits taken at once unless `takes` says otherwise."""
    refund = Refund.objects.create(
        purchase=purchase,
        reference=reference,
        amount_minor=amount_minor,
        currency=currency[:3],
        reason=reason[:REASON_LONGEST],
        requested_by_id=None if requested_by is None else requested_by.pk,
        idempotency_key=key,
        paystack_id=paystack_id,
        dispute=dispute,
        asked_at=asked_at or timezone.now(),
    )
    if takes:
        take(refund)
    return refund


def take(refund: Refund) -> None:
    """Take its credits, unless that was done or the purchase has given none.

    What is due is counted from all that is refunded so far, so that parts that add up to the payment take exactly
    what it gave.
    """
    purchase = refund.purchase
    given = 0 if purchase is None else purchase.lots.aggregate(given=Sum("amount"))["given"] or 0
    if purchase is None or not given or refund.taken_at is not None:
        return
    before = active(purchase).filter(taken_at__isnull=False).aggregate(money=Sum("amount_minor"), micro=Sum("credits"))
    money = refund.amount_minor + (before["money"] or 0)
    due = max(0, due_for(given, money, purchase.payment_minor) - (before["micro"] or 0))
    with ledger.open_account(purchase.wallet_id) as account:
        parts = ledger.take_back(account, refund, due)
    refund.credits = due
    refund.credits_taken = parts.taken
    refund.credits_from_others = parts.from_others
    refund.credits_owed = parts.owed
    refund.credits_forgiven = parts.forgiven
    refund.credits_expired = parts.expired
    refund.taken_at = timezone.now()
    refund.save()


def move(refund: Refund, status: RefundStatus, *, problem: str = "") -> bool:
    """Says whether it moved; what the table does not allow changes nothing."""
    if not refund.may_become(status):
        return False
    refund.status = status
    refund.problem = problem[:REASON_LONGEST]
    if status not in OPEN_REFUNDS:
        refund.ended_at = timezone.now()
    if status == RefundStatus.FAILED and refund.taken_at is not None and refund.purchase is not None:
        with ledger.open_account(refund.purchase.wallet_id) as account:
            ledger.give_back(account, refund)
    refund.save()
    if status == RefundStatus.PROCESSED and refund.purchase is not None:
        count_refunded(refund.purchase)
    transaction.on_commit(lambda: _announce(refund, status))
    return True


def active(purchase: Purchase) -> QuerySet[Refund]:
    """Those that have not failed."""
    return Refund.objects.filter(purchase=purchase).exclude(status=RefundStatus.FAILED)


def refundable_minor(purchase: Purchase) -> int:
    """What of the payment may still go back, in its subunit."""
    if not (purchase.completed_at or purchase.status == PurchaseStatus.REVIEW):
        return 0
    asked = active(purchase).aggregate(total=Sum("amount_minor"))["total"] or 0
    return max(0, purchase.payment_minor - asked)


def count_refunded(purchase: Purchase) -> None:
    """Only what Paystack has sent back makes a purchase refunded; what is on its way does not."""
    processed = active(purchase).filter(status=RefundStatus.PROCESSED)
    purchase.refunded_minor = processed.aggregate(total=Sum("amount_minor"))["total"] or 0
    if not purchase.refunded_minor:
        return
    whole = purchase.refunded_minor >= purchase.payment_minor
    status = PurchaseStatus.REFUNDED if whole else PurchaseStatus.PARTIALLY_REFUNDED
    if purchase.may_become(status):
        purchase.move_to(status)
    purchase.save(update_fields=["refunded_minor", "status", "status_reason"])


def _announce(refund: Refund, status: RefundStatus) -> None:
    about = {"reference": refund.reference, "status": status}
    log.info("refund %s of %s is %s", refund.paystack_id or "(no id yet)", refund.reference, status, extra=about)
    match status:
        case RefundStatus.PROCESSED:
            purchase_refunded.send_robust(Refund, purchase=refund.purchase, refund=refund)
        case RefundStatus.FAILED:
            refund_failed.send_robust(Refund, refund=refund)
        case RefundStatus.NEEDS_ATTENTION:
            refund_needs_attention.send_robust(Refund, refund=refund)
            staff.tell_of_refund(refund)
