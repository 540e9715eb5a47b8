from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ai_features.billing import AIBillingService, grants
from ai_features.billing.rehearsal import rehearsal
from ai_features.billing.wallets import Owner, wallet_id_of
from ai_features.exceptions import AICreditsError, ApprovalRequired
from ai_features.management.operators import Operator
from ai_features.management.owners import member_of_staff, owner_called
from ai_features.management.refusals import in_words
from ai_features.money import to_credits, to_micro

A_MOMENT = timedelta(hours=1)
"""What a grant may have waited for its wallet; lives are whole days."""


class Command(BaseCommand):
    help = (
        "Grant credits to a user or a team, without payment. With --key a repeat changes nothing. Above "
        "GRANT_APPROVAL_ABOVE it is only requested, and another member of staff approves it in the admin."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("owner", metavar="USERNAME_OR_TEAM")
        parser.add_argument("credits", metavar="CREDITS", help="At most 6 decimal places.")
        parser.add_argument("--reason", required=True, help="Kept in the ledger entry, and shown to the owner.")
        parser.add_argument("--team", action="store_true", help="It is a team, which may have no wallet yet.")
        parser.add_argument("--expires-in", type=int, metavar="DAYS", help="Without it they never expire.")
        parser.add_argument("--key", help="The same key again is the same grant.")
        parser.add_argument("--by", metavar="USERNAME", help="The member of staff who does it; kept in the entry.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would happen, and undo it.")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = owner_called(options["owner"], is_team=options["team"])
        days = options["expires_in"]
        if days is not None and not 0 < days <= 36500:
            raise CommandError("--expires-in is a number of days from 1 to 36500.")
        given = {
            "reason": options["reason"],
            "idempotency_key": options["key"],
        }
        staff = None if options["by"] is None else member_of_staff(options["by"])
        operator = Operator(staff, options["reason"])
        try:
            with rehearsal(options["dry_run"]):
                given["expires_at"] = None if days is None else _expiry(owner, timedelta(days=days), options["key"])
                said = _grant(owner, options["credits"], operator, given)
        except AICreditsError as error:
            raise in_words(error) from error
        self.stdout.write(f"Would be {said[0].lower()}{said[1:]}" if options["dry_run"] else said)


def _expiry(owner: Owner, life: timedelta, key: str | None) -> datetime:
    """So long from now; a repeat with the same key and life means the moment that it meant the first time."""
    before = None if key is None else grants.earlier_life(wallet_id_of(owner), key)
    if before is not None and abs(before.until - before.since - life) < A_MOMENT:
        return before.until
    return timezone.now() + life


def _grant(owner: Owner, credits_: str, operator: Operator, given: dict[str, Any]) -> str:
    """What was done, in words: granted, or requested where it takes a second person."""
    staff = operator.staff
    if staff is None:
        _refuse_more_than_one_may(credits_)
    try:
        entry = AIBillingService.grant(owner, credits_, granted_by=staff, **given)
    except ApprovalRequired:
        if staff is None:
            raise
        asked = AIBillingService.request_grant(owner, credits_, requested_by=staff, **given)
        operator.note(AIBillingService.wallet(owner), f"{to_credits(asked.credits):f} credits requested")
        return (
            f"Requested for {owner}: {to_credits(asked.credits):f} credits. Another member of staff has to approve it."
        )
    operator.note(AIBillingService.wallet(owner), f"{to_credits(entry.amount):f} credits granted")
    balance = AIBillingService.balance(owner).balance
    return f"Granted to {owner}: {to_credits(entry.amount):f} credits. Balance: {balance:f}."


def _refuse_more_than_one_may(credits_: str) -> None:
    try:
        grants.require_no_approval(to_micro(credits_))
    except ApprovalRequired as error:
        text = f"More than {error.values['limit']:f} credits need a second person: say who asks, with --by."
        raise CommandError(text) from error
