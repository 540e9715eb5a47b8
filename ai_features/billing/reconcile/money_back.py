"""Reads Paystack's own lists of refunds and disputes: money that goes back, of a payment of any age.

Both are listed by when they were made. So what was made since the last time is found however old its payment is, and
from the oldest that is open here on its end is found too, though no webhook told of either. A hundred are read with one
request, and only what differs from ours is acted on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import Min
from django.utils import timezone

from ai_features.billing import disputes, refund_list, refunds, settlement
from ai_features.billing.reconcile import jobs
from ai_features.billing.reconcile.pace import Pace
from ai_features.billing.reconcile.stumbles import Stumbles
from ai_features.billing.rehearsal import rehearsal
from ai_features.exceptions import PurchaseNotFound, RefundNotFound, TransactionNotFound
from ai_features.models import OPEN_REFUNDS, Dispute, DisputeStatus, Job, Purchase, Refund, SettledBy
from ai_features.paystack import PaystackDispute, PaystackRefund, PaystackService

FIRST_WINDOW = timedelta(days=90)
"""So far back the first list goes, and any other for what is still open."""
OVERLAP = timedelta(hours=1)
AT_A_TIME = 100
ASKED_ONE_BY_ONE = 100
"""Of refunds that are open here and in no list, so many are asked about in one pass."""

Listed = TypeVar("Listed", PaystackRefund, PaystackDispute)


def bring_in_line(
    pace: Pace,
    stumbles: Stumbles,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    dry_run: bool = False,
) -> list[Refund | Dispute]:
    """Make refunds and disputes agree with what Paystack lists since the last time, or between two moments.

    Returns those that changed or are new; of a dry run, as they would be. Safe to repeat, to stop and to race. Raises
    the PaystackError that stopped it; the next one begins where this one began.
    """
    began = timezone.now()
    mark = jobs.job(f"money_back_{PaystackService.from_settings().mode}")
    since = began - FIRST_WINDOW if mark.finished_at is None else mark.finished_at - OVERLAP
    run = _Run(pace, stumbles, dry_run)
    run.follow_disputes(start or _since(since, _oldest_dispute(), began), end)
    run.follow_refunds(start or _since(since, _oldest_refund(), began), end)
    if start is None:
        run.ask_one_by_one()
        if not stumbles.found and not dry_run:
            Job.objects.filter(name=mark.name).update(finished_at=began)
    return run.changed


def _since(last: datetime, oldest_open: datetime | None, now: datetime) -> datetime:
    if oldest_open is None:
        return last
    return min(last, max(oldest_open - OVERLAP, now - FIRST_WINDOW))


def _oldest_refund() -> datetime | None:
    oldest: datetime | None = Refund.objects.filter(status__in=OPEN_REFUNDS).aggregate(at=Min("asked_at"))["at"]
    return oldest


def _oldest_dispute() -> datetime | None:
    oldest: datetime | None = Dispute.objects.filter(status=DisputeStatus.OPEN).aggregate(at=Min("opened_at"))["at"]
    return oldest


@dataclass(slots=True)
class _Run:
    pace: Pace
    stumbles: Stumbles
    dry_run: bool
    changed: list[Refund | Dispute] = field(default_factory=list)

    def follow_disputes(self, start: datetime, end: datetime | None) -> None:
        listed = list(_paced(PaystackService.list_disputes(from_=start, to=end), self.pace))
        numbers = {str(row.id) for row in listed}
        known = dict(Dispute.objects.filter(paystack_id__in=numbers).values_list("paystack_id", "status"))
        for row in reversed(listed):
            before = known.get(str(row.id))
            if before in (None, DisputeStatus.OPEN):
                with self.stumbles.over(row.reference or f"dispute {row.id}"):
                    dispute = self._follow_dispute(row)
                    if dispute is not None and dispute.status != before:
                        self.changed.append(dispute)

    def _follow_dispute(self, row: PaystackDispute) -> Dispute | None:
        try:
            if self.dry_run:
                with rehearsal():
                    return disputes.follow(row)
            if not disputes.purchase_of(row).is_decided or not row.is_open:
                self.pace.wait()
            return refunds.follow_dispute(row)
        except PurchaseNotFound:
            # Another shop's, on the same account.
            return None

    def follow_refunds(self, start: datetime, end: datetime | None) -> None:
        news: dict[str, list[PaystackRefund]] = defaultdict(list)
        for page in _in_groups(_paced(PaystackService.list_refunds(from_=start, to=end), self.pace)):
            rows = _differing(page)
            references = _references(rows)
            for row in rows:
                with self.stumbles.over(references.get(row.id, "") or row.reference or f"refund {row.id}"):
                    reference = references.get(row.id) or row.reference or _ask_reference(row, self.pace)
                    news[reference].append(row)
        for reference, rows in news.items():
            with self.stumbles.over(reference):
                self._apply(reference, rows)

    def _apply(self, reference: str, rows: list[PaystackRefund]) -> None:
        purchase = Purchase.objects.filter(reference=reference).first()
        if purchase is None and not Refund.objects.filter(reference=reference).exists():
            # Another shop's, on the same account.
            return
        if not self.dry_run:
            if purchase is not None and not purchase.is_decided:
                self.pace.wait()
                settlement.check(purchase, settled_by=SettledBy.RECONCILE)
            refunds.read_disputes(rows)
        with rehearsal(self.dry_run):
            self.changed += refund_list.apply(reference, rows, timezone.now(), is_complete=False)

    def ask_one_by_one(self) -> None:
        """Asked for by us, and no list has them: the answer was lost, or they are old."""
        open_ones = refunds.unfinished()
        lost = open_ones.filter(paystack_id=None) | open_ones.filter(asked_at__lt=timezone.now() - FIRST_WINDOW)
        for refund in lost.order_by("?")[:ASKED_ONE_BY_ONE]:
            self.pace.wait()
            with self.stumbles.over(refund.reference):
                try:
                    self.changed += refunds.bring_in_line(refund.reference, dry_run=self.dry_run)
                except RefundNotFound as error:
                    self.stumbles.note(refund.reference, error)


def _differing(page: Iterable[PaystackRefund]) -> list[PaystackRefund]:
    """Those that we do not have, or have with another status."""
    rows = list(page)
    known = dict(
        Refund.objects.filter(paystack_id__in=[str(row.id) for row in rows]).values_list("paystack_id", "status")
    )
    return [
        row
        for row in rows
        if str(row.id) not in known or refund_list.STATUSES.get(row.status, "") not in ("", known[str(row.id)])
    ]


def _references(rows: Iterable[PaystackRefund]) -> dict[int, str]:
    """By the refund's number; a list names the transaction by its number alone."""
    numbers = {row.id: str(row.transaction_id) for row in rows if row.transaction_id is not None}
    if not numbers:
        return {}
    of_refunds = dict(
        Refund.objects.filter(paystack_id__in=[str(row.id) for row in rows]).values_list("paystack_id", "reference")
    )
    mode = PaystackService.from_settings().mode
    paid = Purchase.objects.filter(mode=mode, paystack_id__in=set(numbers.values()))
    of_purchases = dict(paid.values_list("paystack_id", "reference"))
    return {
        number: of_refunds.get(str(number)) or of_purchases.get(transaction, "")
        for number, transaction in numbers.items()
    }


def _ask_reference(row: PaystackRefund, pace: Pace) -> str:
    if row.transaction_id is None:
        return ""
    pace.wait()
    try:
        return PaystackService.fetch_transaction(row.transaction_id).reference
    except TransactionNotFound:
        return ""


def _paced(rows: Iterator[Listed], pace: Pace) -> Iterator[Listed]:
    """Each page of a list is a request."""
    for number, row in enumerate(rows):
        if number % AT_A_TIME == 0:
            pace.heed()
            pace.wait()
        yield row


def _in_groups(rows: Iterator[PaystackRefund]) -> Iterator[list[PaystackRefund]]:
    while group := list(islice(rows, AT_A_TIME)):
        yield group
