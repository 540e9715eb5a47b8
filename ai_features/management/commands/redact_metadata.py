from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ai_features.billing.redaction import redact_metadata
from ai_features.conf import ai_credits


class Command(BaseCommand):
    help = "Empty the notes that apps left with spends, once they are old enough. Amounts and features stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, help='Older than this many days; AI_CREDITS["METADATA_DAYS"] if unset.')
        parser.add_argument("--dry-run", action="store_true", help="Only say how many.")

    def handle(self, *args: Any, days: int | None, dry_run: bool, **options: Any) -> None:
        age = ai_credits().metadata_days if days is None else days
        if age is None:
            raise CommandError('How old? Give --days, or set AI_CREDITS["METADATA_DAYS"].')
        if not 0 <= age <= 36500:
            raise CommandError("--days is a number from 0 to 36500.")
        count = redact_metadata(timezone.now() - timedelta(days=age), dry_run=dry_run)
        self.stdout.write(f"Notes emptied: {count}.")
