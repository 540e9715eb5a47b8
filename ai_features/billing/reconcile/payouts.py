"""Each payout of Paystack, tied to the payments, fees and refunds it was made of; every difference is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.utils import timezone

from ai_features.billing.reconcile.pace import Pace
from ai_features.models import Payout, Purchase
from ai_features.money import to_major
from ai_features.paystack import PaidOut, PaystackService, Transaction

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
    done = set(Payout.objects.filter(mode=mode, status__in=FINAL, differences=[]).values_list("paystack_id", flat=True))
    pace.wait()
    listed = [payout for payout in PaystackService.list_payouts(from_=start) if str(payout.id) not in done]
    deducted: Counter[int] = Counter()
    if listed:
        pace.wait()
        for deduction in PaystackService.list_deductions(from_=start - REFUNDS_BEFORE):
            deducted[deduction.payout_id] += deduction.amount_minor
    tied = []
    for payout in listed:
        pace.wait()
        tied.append(_tie(payout, mode, deducted[payout.id], pace))
        if tell is not None:
            tell(tied[-1])
        pace.heed()
    return tied


def _start(mode: str) -> datetime:
    newest = Payout.objects.filter(mode=mode, settled_at__isnull=False).order_by("-settled_at").first()
    if newest is None or newest.settled_at is None:
        return timezone.now() - FIRST_WINDOW
    return newest.settled_at - OVERLAP


def _tie(paid_out: PaidOut, mode: str, refunds_minor: int, pace: Pace) -> Payout:
    row, _ = Payout.objects.update_or_create(
        mode=mode,
        paystack_id=str(paid_out.id),
        defaults={
            "currency": paid_out.currency,
            "status": paid_out.status[:40],
            "settled_at": paid_out.settled_at,
            "processed_minor": paid_out.total_processed_minor,
            "fees_minor": paid_out.total_fees_minor,
            "deducted_minor": paid_out.deducted_minor,
            "effective_minor": paid_out.effective_minor,
            "tied_at": timezone.now(),
        },
    )
    paid_minor = fees_minor = row.payments = row.of_others = 0
    differences: list[str] = []
    for payments in _in_groups(PaystackService.list_payout_transactions(paid_out.id), pace):
        row.payments += len(payments)
        paid_minor += sum(payment.amount_minor for payment in payments)
        fees_minor += sum(payment.fees_minor or 0 for payment in payments)
        ours = _ours(payments, row)
        row.of_others += len(payments) - len(ours)
        differences += _differences(payments, ours)
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


def _in_groups(payments: Iterator[Transaction], pace: Pace) -> Iterator[list[Transaction]]:
    """A page's worth at a time; the first page was waited for."""
    while group := list(islice(payments, PAYMENTS_AT_A_TIME)):
        yield group
        if len(group) == PAYMENTS_AT_A_TIME:
            pace.wait()


def _ours(payments: Iterable[Transaction], row: Payout) -> dict[str, Purchase]:
    """Our purchases among them, each marked with its payout."""
    purchases = Purchase.objects.filter(reference__in=[payment.reference for payment in payments])
    purchases.exclude(payout=row).update(payout=row)
    return {purchase.reference: purchase for purchase in purchases}


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
