"""Each payout of Paystack, tied to the payments, fees and refunds it was made of; every difference is named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Max, QuerySet
from django.utils import timezone

from ai_features.billing.reconcile.pace import Pace
from ai_features.models import Payout, Purchase, ReviewItem, ReviewKind, ReviewStatus
from ai_features.money import to_major
from ai_features.paystack import Deduction, PaidOut, PaystackService, Transaction

FIRST_WINDOW = timedelta(days=60)
OVERLAP = timedelta(days=14)
"""A payout is looked at again while its status may still change."""
REFUNDS_BEFORE = timedelta(days=90)
"""A refund may wait so long for a payout to be taken out of."""
PAYMENTS_AT_A_TIME = 100
NAMED_MAX = 20
FINAL = ("success", "failed")


def tie_out(pace: Pace, *, since: datetime | None = None, tell: Callable[[Payout], None] | None = None) -> list[Payout]:
    """Compare payouts since then, and store each; those that were final and without difference are left alone.

    Without `since`: from a while before the newest that is known. Safe to repeat. Raises a PaystackError.
    """
    mode = PaystackService.from_settings().mode
    start = since or _start(mode)
    done = set(_done(mode).values_list("paystack_id", flat=True))
    pace.wait()
    listed = [payout for payout in PaystackService.list_payouts(from_=start) if str(payout.id) not in done]
    deducted: defaultdict[int, list[Deduction]] = defaultdict(list)
    if listed:
        pace.wait()
        for deduction in PaystackService.list_deductions(from_=start - REFUNDS_BEFORE):
            deducted[deduction.payout_id].append(deduction)
    tied = []
    for payout in listed:
        pace.wait()
        tied.append(_tie(payout, mode, deducted[payout.id], pace))
        if tell is not None:
            tell(tied[-1])
        pace.heed()
    return tied


def _done(mode: str) -> QuerySet[Payout]:
    """Read once more where a payment that was nobody's in it may have been accepted since."""
    done = Payout.objects.filter(mode=mode, status__in=FINAL, differences=[])
    accepted = ReviewItem.objects.filter(kind=ReviewKind.UNKNOWN_REFERENCE, status=ReviewStatus.ACCEPTED)
    last = accepted.aggregate(last=Max("decided_at"))["last"]
    return done if last is None else done.exclude(of_others__gt=0, tied_at__lt=last)


def _start(mode: str) -> datetime:
    newest = Payout.objects.filter(mode=mode, settled_at__isnull=False).order_by("-settled_at").first()
    if newest is None or newest.settled_at is None:
        return timezone.now() - FIRST_WINDOW
    return newest.settled_at - OVERLAP


def _tie(paid_out: PaidOut, mode: str, deducted: Sequence[Deduction], pace: Pace) -> Payout:
    row = _stored(paid_out, mode)
    paid_minor = fees_minor = row.payments = row.of_others = row.others_minor = 0
    differences: list[str] = []
    for payments in _in_groups(PaystackService.list_payout_transactions(paid_out.id), pace):
        row.payments += len(payments)
        paid_minor += sum(payment.amount_minor for payment in payments)
        fees_minor += sum(payment.fees_minor or 0 for payment in payments)
        ours = _ours(payments, row)
        row.of_others += sum(payment.reference not in ours for payment in payments)
        row.others_minor += sum(_net(payment) for payment in payments if not _is_settled(payment, ours))
        differences += _differences(payments, ours)
    refunds_minor = sum(deduction.amount_minor for deduction in deducted)
    row.others_minor -= refunds_minor - _deducted_for_ours(deducted)
    money = _Money(paid_out.currency)
    row.differences = [
        *money.unequal("its payments add up to", paid_minor, "it was made of", paid_out.total_processed_minor),
        *money.unequal("their fees add up to", fees_minor, "its fees are", paid_out.total_fees_minor),
        *money.unequal("the refunds in it add up to", refunds_minor, "deducted was", paid_out.deducted_minor),
        *differences[:NAMED_MAX],
    ]
    if len(differences) > NAMED_MAX:
        row.differences.append(f"and {len(differences) - NAMED_MAX} payments more")
    row.save()
    return row


def _stored(paid_out: PaidOut, mode: str) -> Payout:
    """Its status is stored with the sums that are found, by whoever saves it: the accounts must not see half of it."""
    row = Payout.objects.get_or_create(
        mode=mode,
        paystack_id=str(paid_out.id),
        defaults={
            "currency": paid_out.currency,
            "processed_minor": paid_out.total_processed_minor,
            "fees_minor": paid_out.total_fees_minor,
            "deducted_minor": paid_out.deducted_minor,
            "effective_minor": paid_out.effective_minor,
            "tied_at": timezone.now(),
        },
    )[0]
    row.currency, row.status, row.settled_at = paid_out.currency, paid_out.status[:40], paid_out.settled_at
    row.processed_minor, row.fees_minor = paid_out.total_processed_minor, paid_out.total_fees_minor
    row.deducted_minor, row.effective_minor = paid_out.deducted_minor, paid_out.effective_minor
    row.tied_at = timezone.now()
    return row


def _net(payment: Transaction) -> int:
    return payment.amount_minor - (payment.fees_minor or 0)


def _is_settled(payment: Transaction, ours: dict[str, Purchase]) -> bool:
    """Whether it is the payment that a purchase was settled by; a second one under its reference is not."""
    purchase = ours.get(payment.reference)
    if purchase is None or purchase.completed_at is None:
        return False
    return payment.id is None or purchase.paystack_id in ("", str(payment.id))


def _deducted_for_ours(deducted: Sequence[Deduction]) -> int:
    """Of settled purchases. Where Paystack does not say of which payment a refund is, it counts as ours."""
    numbers = {str(deduction.transaction_id) for deduction in deducted if deduction.transaction_id is not None}
    settled = Purchase.objects.filter(paystack_id__in=numbers, completed_at__isnull=False)
    ours = {*settled.values_list("paystack_id", flat=True), str(None)}
    return sum(deduction.amount_minor for deduction in deducted if str(deduction.transaction_id) in ours)


def _in_groups(payments: Iterator[Transaction], pace: Pace) -> Iterator[list[Transaction]]:
    """A page's worth at a time; the first page was waited for."""
    while group := list(islice(payments, PAYMENTS_AT_A_TIME)):
        yield group
        if len(group) == PAYMENTS_AT_A_TIME:
            pace.wait()


def _ours(payments: Iterable[Transaction], row: Payout) -> dict[str, Purchase]:
    """Our purchases among them, each marked with its payout, and with its fee where nobody had told it."""
    purchases = Purchase.objects.filter(reference__in=[payment.reference for payment in payments])
    purchases.exclude(payout=row).update(payout=row)
    ours = {purchase.reference: purchase for purchase in purchases}
    for payment in payments:
        if _is_settled(payment, ours) and ours[payment.reference].fees_minor is None:
            lacking = Purchase.objects.filter(reference=payment.reference, fees_minor__isnull=True)
            lacking.update(fees_minor=payment.fees_minor)
    return ours


def _differences(payments: Iterable[Transaction], ours: dict[str, Purchase]) -> Iterator[str]:
    for payment in payments:
        purchase = ours.get(payment.reference)
        if purchase is None:
            continue
        if purchase.completed_at is None:
            yield f"{payment.reference} is in it, and was never settled here ({purchase.status})"
            continue
        money = _Money(payment.currency)
        paid, fees = purchase.paid_amount_minor, purchase.fees_minor
        yield from money.unequal(f"{payment.reference}: noted was", paid or 0, "paid was", payment.amount_minor)
        if fees is not None and payment.fees_minor is not None:
            yield from money.unequal(f"{payment.reference}: noted fee", fees, "Paystack's fee", payment.fees_minor)


class _Money(str):
    """A currency, to put differences in words to the last pesewa."""

    __slots__ = ()

    def unequal(self, one: str, left: int, other: str, right: int) -> list[str]:
        if left == right:
            return []
        left_, right_, apart = (f"{self} {to_major(minor)}" for minor in (left, right, left - right))
        return [f"{one} {left_}, {other} {right_}: {apart} apart"]
