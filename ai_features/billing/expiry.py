"""Lots whose time has come leave the balance. Every operation sees to its own wallet; this is for those at rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Sum
from django.utils import timezone

from ai_features.billing.ledger import open_account
from ai_features.billing.rehearsal import rehearsal
from ai_features.models import EntryKind, LedgerEntry, Wallet

WALLETS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class Expired:
    """`micro` left the wallet: none where all that was due had been spent, or is held by a reservation."""

    wallet_id: int
    micro: int


def expire_due(*, dry_run: bool = False) -> Iterator[Expired]:
    """Every wallet in which something is due, each in its own transaction. Safe to repeat and to race."""
    due = Wallet.objects.filter(next_expiry_at__lte=timezone.now()).order_by("pk").values_list("pk", flat=True)
    last = 0
    while wallets := list(due.filter(pk__gt=last)[:WALLETS_AT_A_TIME]):
        for wallet_id in wallets:
            with rehearsal(dry_run):
                expired = _expire(wallet_id)
            yield expired
        last = wallets[-1]


def _expire(wallet_id: int) -> Expired:
    entries = LedgerEntry.objects.filter(wallet_id=wallet_id)
    newest = entries.order_by("-id").values_list("id", flat=True).first() or 0
    with open_account(wallet_id):
        pass
    new = entries.filter(id__gt=newest, kind=EntryKind.EXPIRY)
    return Expired(wallet_id, -(new.aggregate(total=Sum("amount"))["total"] or 0))
