from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.rehearsal import rehearsal
from ai_features.exceptions import AICreditsError
from ai_features.management.owners import owner_called
from ai_features.management.refusals import in_words
from ai_features.money import to_credits


class Command(BaseCommand):
    help = "Grant credits to a user or a team, without payment. With --key a repeat changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("owner", metavar="USERNAME_OR_TEAM")
        parser.add_argument("credits", metavar="CREDITS", help="At most 6 decimal places.")
        parser.add_argument("--reason", required=True, help="Kept in the ledger entry, and shown to the owner.")
        parser.add_argument("--team", action="store_true", help="It is a team, which may have no wallet yet.")
        parser.add_argument("--expires-in", type=int, metavar="DAYS", help="Without it they never expire.")
        parser.add_argument("--key", help="The same key again is the same grant.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would happen, and undo it.")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = owner_called(options["owner"], is_team=options["team"])
        days = options["expires_in"]
        if days is not None and not 0 < days <= 36500:
            raise CommandError("--expires-in is a number of days from 1 to 36500.")
        try:
            with rehearsal(options["dry_run"]):
                entry = AIBillingService.grant(
                    owner,
                    options["credits"],
                    reason=options["reason"],
                    expires_at=None if days is None else timezone.now() + timedelta(days=days),
                    idempotency_key=options["key"],
                )
                balance = AIBillingService.balance(owner).balance
        except AICreditsError as error:
            raise in_words(error) from error
        granted = "Would be granted" if options["dry_run"] else "Granted"
        self.stdout.write(f"{granted} to {owner}: {to_credits(entry.amount):f} credits. Balance: {balance:f}.")
