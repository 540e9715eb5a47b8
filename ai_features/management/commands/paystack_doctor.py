from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_features.conf import ai_credits
from ai_features.doctor import Level, Line, examine

TRY_OUT = """
The try-out with real money, {currency} 1.00, once no line above says fail:

 1. In the Paystack dashboard, live mode, Settings, API Keys & Webhooks: enter this site's webhook address.
 2. Run this with --site and --live, and see the worker and reconciliation alive.
 3. Log in as a buyer of your own and choose a custom amount of 1.00. Pay with your own phone or card.
 4. The callback page says that the credits were added. Write the reference down: AI-CREDIT-…
 5. manage.py paystack_status <reference>: started, a webhook received, settled, a ledger entry.
 6. Do it again, and close the tab before Paystack sends you back: the credits come all the same.
 7. Refund both from the Paystack dashboard, and wait for the refunds in the story of each reference.
 8. manage.py audit_ledger: every law is kept.
"""


class Command(BaseCommand):
    requires_system_checks = ()
    help = (
        "Say in plain words whether this installation is ready to take money. Changes nothing, creates nothing at "
        "Paystack. The exit status is 1 if any line says fail."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--site", default="", metavar="URL", help="As buyers see it; its webhook address is tested."
        )
        parser.add_argument("--live", action="store_true", help="A live key is expected; adds the try-out's checklist.")
        parser.add_argument("--json", action="store_true", help="For programs.")

    def handle(self, *args: Any, site: str, live: bool, **options: Any) -> None:
        lines = []
        for line in examine(address=site, for_live=live):
            lines.append(line)
            if not options["json"]:
                self.stdout.write(_in_words(line))
        if options["json"]:
            self.stdout.write(json.dumps([asdict(line) for line in lines], indent=1))
        elif live:
            self.stdout.write(TRY_OUT.format(currency=ai_credits().currency))
        failed = sum(line.level == Level.FAIL for line in lines)
        if failed:
            raise CommandError(f"Not ready to take money: {failed} to mend.")


def _in_words(line: Line) -> str:
    told = f"{line.level:<11}  {line.about}: {line.found}"
    return f"{told}\n{'':11}  → {line.todo}" if line.todo else told
