from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ai_features.billing import notices
from ai_features.billing.expiry import expire_due
from ai_features.money import to_credits


class Command(BaseCommand):
    help = "Take credits out whose time has come, in all wallets, and tell the owners of those that expire soon."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say how many.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        wallets = micro = 0
        for expired in expire_due(dry_run=dry_run):
            wallets += expired.micro > 0
            micro += expired.micro
        told = notices.tell_of_expiring_credits(dry_run=dry_run)
        self.stdout.write(f"Credits expired: {to_credits(micro):f}, in wallets: {wallets}. Owners told: {told}.")
