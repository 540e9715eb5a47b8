from __future__ import annotations

import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from ai_features import discretion
from ai_features.billing.reconcile import Report, Watch, Window, run_pass, tend
from ai_features.billing.reconcile.findings import Found
from ai_features.exceptions import PaystackRateLimited, PaystackUnavailable
from ai_features.management.moments import moment
from ai_features.management.progress import ProgressBar
from ai_features.models import Refund

log = discretion.logger(__name__)

WAITS_FOR_ANOTHER_SECONDS = 120
TRIES = 5


class Command(BaseCommand):
    help = (
        "Compare with Paystack and settle what was missed: its list of payments since the last time, and each open "
        "purchase whose turn it is. The exit status is 1 where it could not come to its end, or where staff must look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="start", type=moment, metavar="DATE", help="Only the list, from here …")
        parser.add_argument("--to", dest="end", type=moment, metavar="DATE", help="… up to here; now if unset.")
        parser.add_argument("--every", type=float, metavar="SECONDS", help="Go on for ever, a look so often.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what is found; Paystack is asked.")

    def handle(
        self,
        *args: Any,
        start: datetime | None,
        end: datetime | None,
        every: float | None,
        dry_run: bool,
        **options: Any,
    ) -> None:
        window = _window(start, end)
        if every is not None:
            if window is not None or dry_run or every <= 0:
                raise CommandError("--every takes a positive number of seconds, and no other option.")
            _for_ever(every)
        try:
            self._once(window, dry_run=dry_run)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error

    def _once(self, window: Window | None, *, dry_run: bool) -> None:
        asking, listing = ProgressBar(self.stderr, "purchases"), ProgressBar(self.stderr, "payments")

        def tell(found: Found) -> None:
            listing.clear()
            self.stdout.write(f"{found}{'' if found.is_new else ' (known)'}")

        watch = Watch(asking.show, listing.show, tell)
        tries = 0
        while True:
            report = run_pass(window=window, dry_run=dry_run, watch=watch)
            asking.clear()
            listing.clear()
            if report is not None and report.stopped_by is None:
                break
            tries += not (report and isinstance(report.stopped_by, PaystackRateLimited))
            self._wait_or_give_up(report, tries)
        self._summary(report, dry_run=dry_run)

    def _wait_or_give_up(self, report: Report | None, tries: int) -> None:
        if report is None:
            if tries > WAITS_FOR_ANOTHER_SECONDS:
                raise CommandError("Another process is reconciling; it is still at work.")
            time.sleep(1)
            return
        error = report.stopped_by
        if not isinstance(error, PaystackUnavailable) or tries >= TRIES:
            raise CommandError(f"Stopped, and goes on where it was next time. {error}")
        pause = error.retry_after_seconds or (60 if isinstance(error, PaystackRateLimited) else 2**tries)
        self.stderr.write(f"{error} Going on in {pause} seconds.")
        time.sleep(pause)

    def _summary(self, report: Report, *, dry_run: bool) -> None:
        for purchase in report.checked.changed:
            self.stdout.write(f"{purchase.status}  {purchase.reference}  {purchase.status_reason}".rstrip())
        if report.reconciliation is not None:
            row = report.reconciliation
            known = len(report.found) - sum(found.is_new for found in report.found)
            found = f"findings: {len(report.found)}, of them known before: {known}"
            self.stdout.write(
                f"Payments in Paystack's list since {row.window_from:%Y-%m-%d %H:%M} UTC: {row.listed}; {found}."
            )
        checked = report.checked
        verb = "would change" if dry_run else "changed"
        self.stdout.write(
            f"Open purchases asked about: {checked.asked}, {verb}: {len(checked.changed)}, "
            f"without an answer: {checked.unanswered}."
        )
        for moved in report.money_back:
            name = f"refund  {moved}" if isinstance(moved, Refund) else f"dispute  {moved.purchase.reference}: {moved}"
            self.stdout.write(f"{name}  {'would be ' if dry_run else ''}{moved.status}")
        for reference, problem in report.stumbles.found.items():
            self.stdout.write(f"trouble  {reference}  {problem}")
        if report.needs_staff:
            raise CommandError("Staff must look at the new findings; they are in the admin.")
        if report.stumbles.found:
            raise CommandError("Some made trouble and are tried again next time; they stand above.")


def _window(start: datetime | None, end: datetime | None) -> Window | None:
    if start is None and end is None:
        return None
    if start is None or start >= (end or timezone.now()):
        raise CommandError("--from is a date before --to, or before now.")
    return Window(start, end or timezone.now())


def _for_ever(every: float) -> NoReturn:
    while True:
        try:
            tend()
        except (OperationalError, InterfaceError) as error:
            log.warning("reconciliation: the database is away: %s", error)
        except ImproperlyConfigured as error:
            log.warning("reconciliation: %s", error)
        close_old_connections()
        time.sleep(every)
