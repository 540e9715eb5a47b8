from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ai_features.billing import usage


class Command(BaseCommand):
    help = "Bring the usage by day and feature up to the last entry of every wallet. Usage is exact without it too."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say how many wallets are behind.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        count = usage.behind().count() if dry_run else usage.roll_up_all()
        self.stdout.write(f"Wallets rolled up: {count}.")
