"""Reads Paystack's own list of payments for a window, newest first, and compares it with our purchases.

Each page is kept with the cursor of the next, so a reconciliation that was stopped – by Paystack's limit, by an error,
by a power cut – goes on where it was. A payment that was missed is settled by the very row that Paystack has just sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from ai_features.billing.reconcile import comparing, findings
from ai_features.billing.reconcile.comparing import Disagreement
from ai_features.billing.reconcile.pace import Pace
from ai_features.billing.reconcile.stumbles import Stumbles
from ai_features.conf import ai_credits
from ai_features.exceptions import PaystackError, PaystackRefused
from ai_features.models import FindingKind, Purchase, Reconciliation, ReconciliationStatus
from ai_features.paystack import PaystackService, Transaction

PAYMENTS_AT_A_TIME = 1000
LOOKED_AT_MAX = 500
"""Of settled purchases that Paystack's list lacks, so many are asked about in one reconciliation."""

FIRST_WINDOW = timedelta(days=7)
OVERLAP = timedelta(hours=2)
"""A list is by when a payment was started. Most are paid within this; the others are asked about one by one."""
OUTAGE = timedelta(hours=1)
"""If the last list is older than this, something was down: then nothing started within the deadline is left out."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Window:
    """`end` None: up to Paystack's newest payment."""

    start: datetime
    end: datetime | None = None


def latest_window(now: datetime) -> Window:
    """From a while before the last list was read to its end."""
    finished = Reconciliation.objects.filter(
        mode=PaystackService.from_settings().mode, status=ReconciliationStatus.FINISHED, is_up_to_now=True
    )
    last = finished.order_by("-window_to").values_list("window_to", flat=True).first()
    if last is None:
        return Window(now - FIRST_WINDOW)
    deadline = timedelta(hours=ai_credits().purchase_deadline_hours)
    return Window(last - (deadline + OVERLAP if now - last > OUTAGE else OVERLAP))


def unfinished(window: Window | None = None) -> Reconciliation | None:
    """The one that was stopped: of this window, or the one up to now."""
    rows = Reconciliation.objects.filter(
        mode=PaystackService.from_settings().mode, status=ReconciliationStatus.RUNNING
    ).order_by("-id")
    if window is None or window.end is None:
        return rows.filter(is_up_to_now=True).first()
    return rows.filter(is_up_to_now=False, window_from=window.start, window_to=window.end).first()


def compare(
    window: Window,
    pace: Pace,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    tell: findings.Tell = findings.in_silence,
    stumbles: Stumbles | None = None,
) -> Reconciliation:
    """Compare Paystack's list of successful payments in the window with our purchases and act on what disagrees.

    Goes on with one that was stopped. Safe to repeat and to race. Raises the PaystackError that stopped it.
    """
    reconciliation = None if dry_run else unfinished(window)
    if reconciliation is None:
        reconciliation = Reconciliation.objects.create(
            mode=PaystackService.from_settings().mode,
            window_from=window.start,
            window_to=window.end or timezone.now(),
            is_up_to_now=window.end is None,
        )
    run = _Run(reconciliation, pace, dry_run, progress, tell, stumbles or Stumbles())
    try:
        run.go_on()
    except PaystackError as error:
        run.stopped(error)
        raise
    finally:
        if dry_run:
            comparing.forget(reconciliation)
            reconciliation.delete()
    return reconciliation


@dataclass(frozen=True, slots=True)
class _Run:
    row: Reconciliation
    pace: Pace
    dry_run: bool
    progress: Progress | None
    tell: findings.Tell
    stumbles: Stumbles

    def go_on(self) -> None:
        self._compare({})
        while not self.row.is_listed:
            self._compare(self._read_some())
        self._look_at_unlisted()
        self.row.status, self.row.problem = ReconciliationStatus.FINISHED, ""
        self.row.finished_at = timezone.now()
        if not self.dry_run:
            with transaction.atomic():
                comparing.forget(self.row)
                self.row.save()

    def stopped(self, error: PaystackError) -> None:
        self.row.problem = f"{error.code}: {error.paystack_message or error.message}"[:300]
        if isinstance(error, PaystackRefused) and self.row.cursor:
            # The cursor is not good any more; from the beginning then.
            comparing.forget(self.row)
            self.row.cursor, self.row.listed, self.row.is_listed = "", 0, False
        self.row.save()

    def _read_some(self) -> dict[str, Transaction]:
        """Some pages, each kept with the cursor of the next; by reference."""
        facts: dict[str, Transaction] = {}
        while not self.row.is_listed and len(facts) < PAYMENTS_AT_A_TIME:
            self.pace.wait()
            page = PaystackService.page_of_transactions(
                status="success",
                from_=self.row.window_from,
                to=None if self.row.is_up_to_now else self.row.window_to,
                following=self.row.cursor,
            )
            with transaction.atomic():
                comparing.stage(self.row, page.transactions)
                self.row.cursor, self.row.is_listed = page.following, not page.following
                self.row.listed += len(page.transactions)
                self.row.save(update_fields=["cursor", "is_listed", "listed"])
            facts |= {payment.reference: payment for payment in page.transactions}
            self.pace.heed()
        return facts

    def _compare(self, facts: dict[str, Transaction]) -> None:
        """What was listed since the last time. `facts` is empty for what was listed before it was stopped."""
        last = comparing.newest_staged(self.row)
        found = comparing.disagreements(self.row, self.row.compared_id, last)
        outcomes: dict[Disagreement, str] = {}
        for one in found:
            with self.stumbles.over(one.reference):
                if (outcome := self._act(one, facts)) is not None:
                    outcomes[one] = outcome
        self._tell(outcomes)
        self.row.compared_id = last
        self.row.save(update_fields=["compared_id", "counts"])
        if self.progress is not None:
            self.progress(self.row.listed, max(self.row.listed, self._expected()))

    def _act(self, found: Disagreement, facts: dict[str, Transaction]) -> str | None:
        if found.kind != FindingKind.MISSED:
            return findings.explain(found, facts.get(found.reference), dry_run=self.dry_run)
        known = facts.get(found.reference)
        if known is None:
            self.pace.wait()
        return findings.settle_missed(found, known, dry_run=self.dry_run)

    def _look_at_unlisted(self) -> None:
        row = self.row
        for reference in comparing.not_listed(row, row.window_from, row.window_to, LOOKED_AT_MAX):
            with self.stumbles.over(reference):
                self._look_at(reference)

    def _look_at(self, reference: str) -> None:
        self.pace.wait()
        looked = findings.look_at_unlisted(reference, self.pace, dry_run=self.dry_run)
        if looked is not None:
            kind, purchase, outcome = looked
            amount = purchase.paid_amount_minor or purchase.amount_minor
            self._tell({Disagreement(kind, reference, purchase.currency, amount, purchase.status): outcome})
        self.pace.heed()

    def _tell(self, outcomes: dict[Disagreement, str]) -> None:
        for found in findings.keep(self.row, outcomes, dry_run=self.dry_run):
            self.row.counts[found.kind] = self.row.counts.get(found.kind, 0) + 1
            self.tell(found)

    def _expected(self) -> int:
        row = self.row
        started = Purchase.objects.filter(created_at__gte=row.window_from, created_at__lt=row.window_to)
        return started.filter(completed_at__isnull=False).count()
