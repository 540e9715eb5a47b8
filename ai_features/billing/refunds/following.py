"""What Paystack says of a payment's refunds, and ours brought in line with it.

The events of refunds carry no id and cannot tell two equal parts apart, so they only make us read Paystack's list;
whoever else wants the truth – reconciliation, staff – calls the same routine. Read first, then applied in one
transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet
from django.utils import timezone
from django_tasks import task

from ai_features.billing import disputes, settlement
from ai_features.billing.refund_list import apply
from ai_features.billing.rehearsal import rehearsal
from ai_features.exceptions import RefundNotFound
from ai_features.models import OPEN_REFUNDS, Dispute, DisputeStatus, Purchase, Refund, SettledBy
from ai_features.paystack import PaystackDispute, PaystackRefund, PaystackService


def bring_in_line(
    payment: Purchase | str, *, settled_by: SettledBy = SettledBy.RECONCILE, dry_run: bool = False
) -> list[Refund]:
    """Make our refunds of a payment – a purchase, or a reference – agree with Paystack's.

    Returns those that changed or are new; of a dry run, as they would be. A purchase that is not decided yet is settled
    first, and not in a dry run. Safe to repeat and to race. Raises RefundNotFound where we know neither a purchase nor
    a refund of this reference, or a PaystackError, and then nothing has changed.
    """
    reference = payment if isinstance(payment, str) else payment.reference
    number = _transaction_id(reference, None if dry_run else settled_by)
    listed = list(PaystackService.list_refunds(transaction_id=number))
    if not dry_run:
        read_disputes(listed)
    with rehearsal(dry_run):
        return apply(reference, listed, timezone.now())


def follow_dispute(facts: PaystackDispute, *, settled_by: SettledBy = SettledBy.RECONCILE) -> Dispute:
    """What Paystack says of a dispute, done, its purchase settled before and the refund it ended with read after.

    Safe to repeat and to race. Raises PurchaseNotFound, or a PaystackError.
    """
    purchase = disputes.purchase_of(facts)
    settlement.check(purchase, settled_by=settled_by)
    dispute = disputes.follow(facts)
    if dispute.status == DisputeStatus.LOST and dispute.refunds.filter(paystack_id=None).exists():
        bring_in_line(purchase, settled_by=settled_by)
    return dispute


def unfinished() -> QuerySet[Refund]:
    """What Paystack may still have news of, oldest first: for whoever asks by the clock."""
    return Refund.objects.filter(status__in=OPEN_REFUNDS).order_by("asked_at")


@task()
def look_again(reference: str) -> int:
    """The background look at a refund whose answer was lost; returns how many refunds changed."""
    return len(bring_in_line(reference))


def _transaction_id(reference: str, settled_by: SettledBy | None) -> int:
    """Paystack lists refunds by its own number alone. None settles nothing on the way."""
    purchase = Purchase.objects.filter(reference=reference).first()
    if purchase is None and not Refund.objects.filter(reference=reference).exists():
        raise RefundNotFound
    if purchase is not None and not purchase.is_decided and settled_by is not None:
        purchase = settlement.check(purchase, settled_by=settled_by)
    if purchase is not None and purchase.paystack_id.isdigit():
        return int(purchase.paystack_id)
    number = PaystackService.verify_transaction(reference).id
    if number is None:
        raise RefundNotFound("Paystack gives this transaction no number to list its refunds by.")
    return number


def read_disputes(listed: Sequence[PaystackRefund]) -> None:
    """Of disputes that we have not heard of, before their refunds are recorded."""
    named = {str(row.dispute_id) for row in listed if row.dispute_id is not None}
    known = set(Dispute.objects.filter(paystack_id__in=named).values_list("paystack_id", flat=True))
    for number in sorted(named - known):
        disputes.follow(PaystackService.fetch_dispute(int(number)))
