"""One pass of reconciliation, and the task that repeats it.

A pass reads Paystack's list where that is due, which finds a hundred payments with one request, and then asks about the
open purchases whose turn it is. Where it is stopped, by Paystack's limit or because Paystack is down, nothing is lost:
what was due is due still, and the next pass goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django_tasks import default_task_backend, task

from ai_features import discretion
from ai_features.billing import later, review_items, webhooks
from ai_features.billing.accounts import close_days
from ai_features.billing.reconcile import checking, findings, jobs, listing, money_back, payouts
from ai_features.billing.reconcile.checking import Checked
from ai_features.billing.reconcile.findings import Found
from ai_features.billing.reconcile.jobs import Held
from ai_features.billing.reconcile.listing import Progress, Window
from ai_features.billing.reconcile.pace import Pace
from ai_features.billing.reconcile.stumbles import Stumbles
from ai_features.billing.sealing import seal_by_the_clock
from ai_features.conf import ai_credits
from ai_features.exceptions import PaystackError, PaystackKeyRefused, PaystackUnavailable
from ai_features.models import Dispute, Job, Reconciliation, Refund

log = discretion.logger(__name__)

RECONCILE = "reconcile"
LIST = "list"
ACCOUNTS = "accounts"
SEALS = "seals"
PAYOUTS = "payouts"
PAYOUTS_EVERY = timedelta(hours=6)
LIST_EVERY_PASSES = 10
OVERLAP = timedelta(minutes=5)
"""So far before the last pass a payment may have been settled by a transaction that was committed after it."""
TASK = "reconcile_task"


@dataclass(slots=True)
class Report:
    """What a pass did. `stopped_by` says why it did not come to its end, and `go_on_in_seconds` when to try again."""

    checked: Checked = field(default_factory=Checked)
    reconciliation: Reconciliation | None = None
    found: list[Found] = field(default_factory=list)
    money_back: list[Refund | Dispute] = field(default_factory=list)
    stumbles: Stumbles = field(default_factory=Stumbles)
    stopped_by: PaystackError | None = None

    @property
    def go_on_in_seconds(self) -> int | None:
        return None if self.stopped_by is None else self.stopped_by.retry_after_seconds

    @property
    def needs_staff(self) -> bool:
        return any(found.is_new and found.kind in findings.FOR_STAFF for found in self.found)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who wants to see how it goes."""

    checking: Progress | None = None
    listing: Progress | None = None
    tell: findings.Tell = findings.in_silence


def run_pass(
    *,
    window: Window | None = None,
    dry_run: bool = False,
    by_the_clock: bool = False,
    watch: Watch = Watch(),
) -> Report | None:
    """Compare with Paystack and settle what was missed. None: another process is at it, or (`by_the_clock`) not due.

    With a `window` only Paystack's list of that window is compared. Safe to repeat, to stop and to race.
    """
    with jobs.hold(RECONCILE, only_if_due=by_the_clock) as held:
        if held is None:
            return None
        report = Report()
        try:
            _work(held, report, window, dry_run=dry_run, by_the_clock=by_the_clock, watch=watch)
        except PaystackError as error:
            report.stopped_by = error
        if not dry_run and window is None:
            held.finish(_in_words(report), timedelta(seconds=report.go_on_in_seconds or 0))
        return report


def _work(
    held: Held, report: Report, window: Window | None, *, dry_run: bool, by_the_clock: bool, watch: Watch
) -> None:
    pace = Pace(held.still_here)

    def tell(found: Found) -> None:
        report.found.append(found)
        log.info("reconciliation: %s", found, extra={"reference": found.reference})
        watch.tell(found)

    trouble = None
    if window is not None or not by_the_clock or _list_is_due():
        wanted = window or listing.latest_window(timezone.now())
        try:
            start, end = (None, None) if window is None else (window.start, window.end)
            report.money_back += money_back.bring_in_line(pace, report.stumbles, start=start, end=end, dry_run=dry_run)
            report.reconciliation = listing.compare(
                wanted, pace, dry_run=dry_run, progress=watch.listing, tell=tell, stumbles=report.stumbles
            )
        except (PaystackUnavailable, PaystackKeyRefused):
            raise
        # Only the list is unusable; what is open can still be asked about.
        except PaystackError as error:
            trouble = error
        if window is None and not dry_run:
            _list_again_in(timedelta(seconds=ai_credits().reconcile_every_seconds * LIST_EVERY_PASSES))
    if window is None:
        checking.check_due(pace, report.checked, dry_run=dry_run, progress=watch.checking, stumbles=report.stumbles)
        if not dry_run:
            webhooks.process_left()
            review_items.flag_second_payments(_seen_until() - OVERLAP)
    if trouble is not None:
        raise trouble


def _seen_until() -> datetime:
    return jobs.job(RECONCILE).finished_at or timezone.now() - timedelta(days=1)


def _list_again_in(time: timedelta) -> None:
    due_at = timezone.now() + time
    Job.objects.update_or_create(name=LIST, defaults={"due_at": due_at}, create_defaults={"due_at": due_at})


def _list_is_due() -> bool:
    return jobs.job(LIST).due_at <= timezone.now() or listing.unfinished() is not None


def _in_words(report: Report) -> str:
    if report.stopped_by is not None:
        return f"stopped: {report.stopped_by.code}"
    return f"asked {report.checked.asked}, changed {len(report.checked.changed)}, found {len(report.found)}"


def tend() -> Report | None:
    """What is due by the clock now: a pass, the accounts of the days that are over, the next seals, and the payouts."""
    report = run_pass(by_the_clock=True)
    for name, work in ((ACCOUNTS, close_days), (SEALS, seal_by_the_clock)):
        if jobs.job(name).due_at <= timezone.now():
            Job.objects.filter(name=name).update(due_at=timezone.now() + timedelta(hours=1))
            work()
    _tie_out_payouts()
    return report


def _tie_out_payouts() -> None:
    with jobs.hold(PAYOUTS) as held:
        if held is None:
            return
        try:
            tied = payouts.tie_out(Pace(held.still_here))
        except PaystackError as error:
            held.finish(f"stopped: {error.code}", timedelta(minutes=10))
        else:
            different = sum(bool(payout.differences) for payout in tied)
            held.finish(f"tied {len(tied)}, with differences {different}", PAYOUTS_EVERY)


@task()
def reconcile_task() -> str:
    """A pass, and the next one queued before it begins: a worker that is killed in the middle breaks no chain."""
    if not _queue_next():
        return "not due"
    try:
        report = tend()
    except ImproperlyConfigured as error:
        return str(error)
    return "another is at it" if report is None else _in_words(report)


def ensure_scheduled() -> None:
    """See to it that `reconcile_task` is in the queue, where the task backend can defer. Cheap, and safe to repeat.

    Each new purchase calls it, so a chain that was lost with its worker begins anew.
    """
    if not default_task_backend.supports_defer:
        return
    now = timezone.now()
    overdue = now - timedelta(seconds=3 * ai_credits().reconcile_every_seconds)
    chain = Job.objects.filter(name=TASK).values_list("due_at", flat=True).first()
    if chain is not None and chain >= overdue:
        return
    try:
        Job.objects.update_or_create(name=TASK, defaults={"due_at": now})
        reconcile_task.enqueue()
    # A queue may fail in ways of its own, and a purchase must not: it is found without the task, too.
    except Exception:
        log.exception("reconciliation could not be queued")


def _queue_next() -> bool:
    """Take this turn and queue the next; False where another task has taken it: two chains become one.

    A chain that ends because the queue is away begins anew with the next purchase (`ensure_scheduled`).
    """
    every = timedelta(seconds=ai_credits().reconcile_every_seconds)
    now = timezone.now()
    jobs.job(TASK)
    # Queues run a little early or late; half a turn tells a second chain from the first.
    if not Job.objects.filter(name=TASK, due_at__lte=now + every / 2).update(due_at=now + every):
        return False
    later.queue(reconcile_task, about={"every_seconds": every.total_seconds()}, after=every)
    return True
