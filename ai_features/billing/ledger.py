"""The one writer: nothing else creates ledger entries or lots, or moves a balance (laws 1 and 2).

Every row lock is taken here, always in this order, so that no two transactions can wait for each other:
purchase, then wallet. Whoever holds the wallet's lock may change its lots and entries without another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.contrib.auth.models import AbstractBaseUser
from django.db import connections
from django.db.models import F, Model, QuerySet

from ai_features.exceptions import CreditsOutOfRange, PurchaseNotFound
from ai_features.models import EntryKind, LedgerEntry, Lot, LotSource, Purchase, Wallet
from ai_features.money import MAX_MICRO

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class NewLot:
    """Credits about to come in: the lot, and what its ledger entry says. `amount` in micro-credits."""

    kind: EntryKind
    source: LotSource
    amount: int
    expires_at: datetime | None
    purchase: Purchase | None = None
    reason: str = ""
    actor: AbstractBaseUser | None = None
    idempotency_key: str | None = None


def lock_purchase(reference: str) -> Purchase:
    """The purchase, its row locked until the transaction ends. Raises PurchaseNotFound."""
    try:
        return _lock(Purchase.objects.filter(reference=reference), "reference")
    except Purchase.DoesNotExist:
        raise PurchaseNotFound from None


def lock_wallet(wallet_id: int) -> Wallet:
    """The wallet, its row locked until the transaction ends."""
    return _lock(Wallet.objects.filter(pk=wallet_id), "balance")


def add(wallet: Wallet, new_lots: Sequence[NewLot]) -> list[LedgerEntry]:
    """Put new lots into a locked wallet, one entry each, and return the entries in order.

    Not safe to repeat by itself: the unique constraints on purchase and idempotency key are what refuse a second
    time. Raises CreditsOutOfRange where the balance would pass the largest the database can hold.
    """
    lots = Lot.objects.bulk_create(
        Lot(
            wallet=wallet,
            source=new.source,
            amount=new.amount,
            remaining=new.amount,
            expires_at=new.expires_at,
            purchase=new.purchase,
        )
        for new in new_lots
    )
    entries = []
    for new, lot in zip(new_lots, lots, strict=True):
        wallet.balance += new.amount
        entries.append(
            LedgerEntry(
                wallet=wallet,
                kind=new.kind,
                amount=new.amount,
                balance_after=wallet.balance,
                purchase=new.purchase,
                lot=lot,
                reason=new.reason,
                actor_id=None if new.actor is None else new.actor.pk,
                idempotency_key=new.idempotency_key,
            )
        )
    if wallet.balance > MAX_MICRO:
        raise CreditsOutOfRange("The balance would grow past what can be kept.")
    wallet.next_expiry_at = _earliest(wallet.next_expiry_at, *(new.expires_at for new in new_lots))
    wallet.save(update_fields=["balance", "next_expiry_at"])
    return LedgerEntry.objects.bulk_create(entries)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _lock(rows: QuerySet[Row], any_column: str) -> Row:
    if connections[rows.db].features.has_select_for_update:
        return rows.select_for_update().get()
    # SQLite locks the whole file, but only for a transaction whose first statement writes; one that reads
    # first is refused, not queued, when it comes to write. So write first: the row onto itself.
    rows.update(**{any_column: F(any_column)})
    return rows.get()
