from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ai_features.billing import reservations


class Command(BaseCommand):
    help = "End the reservations whose time has passed, in all wallets; an operation on a wallet does so by itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say how many.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        count = reservations.due().count() if dry_run else reservations.release_due()
        self.stdout.write(f"Reservations ended: {count}.")
