from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_features.billing.accounts import close_days, rebuild, reports
from ai_features.billing.accounts.reports import Statement
from ai_features.management.progress import ProgressBar
from ai_features.models import Mode


class Command(BaseCommand):
    help = (
        "What was received, sold, used, expired and is still owed, by currency, for a day or a month. Closes every day "
        "that is over first; a day that is not over is not in it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        period = parser.add_mutually_exclusive_group()
        period.add_argument("--month", metavar="2026-11", help="Without a period: the last closed day.")
        period.add_argument("--day", metavar="2026-11-24")
        parser.add_argument("--by-day", action="store_true", help="A statement for each day of it.")
        parser.add_argument(
            "--items",
            action="store_true",
            help="As CSV, what the days booked one by one: refunds, payouts, and fees that were told afterwards.",
        )
        parser.add_argument("--csv", action="store_true", help="For a spreadsheet.")
        parser.add_argument("--rebuild", action="store_true", help="Work out all closed days again, from the entries.")

    def handle(self, *args: Any, month: str | None, day: str | None, **options: Any) -> None:
        period = _period(month, day)
        if options["rebuild"]:
            rebuild()
        bar = ProgressBar(self.stderr, "days")
        close_days(progress=bar.show)
        bar.clear()
        until = reports.closed_until()
        if until is None:
            raise CommandError("No day is closed yet: the ledger has no entry of a day that is over.")
        first, last = period or (until, until)
        if options["items"]:
            reports.write_items_csv(reports.items(first, last), self.stdout)
            return
        told = _by_day(first, min(last, until)) if options["by_day"] else reports.statements(first, last)
        if not told:
            raise CommandError(f"No day of this period is closed. Closed are all days up to {until}.")
        if options["csv"]:
            reports.write_csv(told, self.stdout)
            return
        for statement in told:
            self._tell(statement)
        if last > until:
            self.stdout.write(f"Closed are all days up to {until}.")

    def _tell(self, statement: Statement) -> None:
        columns = statement.columns()
        first, last = columns.pop("from"), columns.pop("to")
        is_test = ", test mode" if columns.pop("mode") == Mode.TEST else ""
        self.stdout.write(f"{columns.pop('currency')}{is_test}, {first} to {last}")
        for name, value in columns.items():
            self.stdout.write(f"  {name.replace('_', ' '):<28} {value:>20,}")
        self.stdout.write("")


def _period(month: str | None, day: str | None) -> tuple[date, date] | None:
    try:
        if month is not None:
            return reports.month_of(month)
        if day is not None:
            return date.fromisoformat(day), date.fromisoformat(day)
    except (ValueError, OverflowError) as error:
        raise CommandError("A month is as 2026-11, a day as 2026-11-24.") from error
    return None


def _by_day(first: date, last: date) -> list[Statement]:
    days = range((last - first).days + 1)
    return [told for n in days for told in reports.statements(*[date.fromordinal(first.toordinal() + n)] * 2)]
