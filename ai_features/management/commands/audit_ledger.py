from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_features.billing import tallies
from ai_features.billing.audit import audit
from ai_features.management.progress import ProgressBar
from ai_features.models import Wallet


class Command(BaseCommand):
    help = (
        "Check laws 1 to 5 of the ledger over everything in the database and print each breach; the exit status is 1 "
        "if there is any. Changes nothing in it, and may run beside live traffic."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        bar = ProgressBar(self.stderr, "wallets")
        breaches = 0
        for breach in audit(bar.show):
            bar.clear()
            self.stdout.write(str(breach))
            breaches += 1
        bar.clear()
        tallies.note(tallies.AUDIT_BREACHES, breaches)
        if breaches:
            raise CommandError(f"The ledger breaks its laws in {breaches} places.")
        self.stdout.write(f"Every law is kept. Wallets: {Wallet.objects.count()}.")
