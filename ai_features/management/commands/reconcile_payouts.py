from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ai_features.billing.reconcile import payouts
from ai_features.billing.reconcile.pace import Pace
from ai_features.exceptions import PaystackError
from ai_features.management.moments import moment
from ai_features.models import Payout
from ai_features.money import to_major


class Command(BaseCommand):
    help = (
        "Tie each payout of Paystack to the payments, fees and refunds it was made of, and store it. The exit status "
        "is 1 if anything does not add up to the last subunit."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="start", type=moment, metavar="DATE", help="Payouts since then.")

    def handle(self, *args: Any, start: datetime | None, **options: Any) -> None:
        try:
            tied = payouts.tie_out(Pace(), since=start, tell=self._tell)
        except PaystackError as error:
            raise CommandError(f"Stopped; run it again. {error}") from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Payouts compared: {len(tied)}.")
        if any(payout.differences for payout in tied):
            raise CommandError("Some do not add up; the differences stand above, and in the admin.")

    def _tell(self, payout: Payout) -> None:
        paid_out = f"{payout.currency} {to_major(payout.effective_minor)}"
        date = "–" if payout.settled_at is None else f"{payout.settled_at:%Y-%m-%d}"
        self.stdout.write(f"{date}  {payout.paystack_id}  {paid_out}  {payout.status}, payments: {payout.payments}")
        for difference in payout.differences:
            self.stdout.write(f"  {difference}")
