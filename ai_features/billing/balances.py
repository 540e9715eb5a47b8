"""What an owner has, read in one round trip and exact: what is past its time is done away with first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

import orjson
from django.db import connection
from django.utils import timezone

from ai_features.billing import lots
from ai_features.billing.ledger import open_account
from ai_features.billing.lots import LotLeft
from ai_features.billing.round_trip import fetch_all
from ai_features.money import to_credits

LOTS_SHOWN = 20
"""`expiring` names what is in the next so many lots to expire."""


@dataclass(frozen=True, slots=True)
class ExpiringCredits:
    credits: Decimal
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """In credits. `available` is what can be spent now: the balance less what is held, and nothing while in debt."""

    balance: Decimal
    held: Decimal
    available: Decimal
    debt: Decimal
    expiring: tuple[ExpiringCredits, ...]


@dataclass(frozen=True, slots=True)
class Availability:
    """In credits. `current_balance` is what can be spent now; `shortage` is what is missing, debt included."""

    has_sufficient_credits: bool
    current_balance: Decimal
    required_credits: Decimal
    shortage: Decimal


def check(wallet_id: int, amount: int) -> Availability:
    """Whether `amount` micro-credits could be spent now."""
    now = balance(wallet_id)
    required = to_credits(amount)
    suffices = now.available >= required
    shortage = Decimal("0.0") if suffices else required - now.available + now.debt
    return Availability(suffices, now.available, required, shortage)


def balance(wallet_id: int) -> Balance:
    """The wallet's, as it is now."""
    sql = f"SELECT {columns()} FROM ai_features_wallet AS wallet WHERE wallet.id = %s"  # noqa: S608  our own words
    (row,) = fetch_all(sql, [_moment(timezone.now()), wallet_id])
    return balance_of(row)


def columns() -> str:
    """What `balance_of` needs, of a table named `wallet`; the first parameter is the present moment."""
    rows = "json_agg(json_build_array" if connection.vendor == "postgresql" else "json_group_array(json_array"
    return f"""wallet.id, wallet.balance, wallet.held, wallet.debt, wallet.unallocated, wallet.next_expiry_at,
        EXISTS (SELECT 1 FROM ai_features_reservation AS r
                 WHERE r.wallet_id = wallet.id AND r.status = 'open' AND r.expires_at <= %s),
        CASE WHEN wallet.next_expiry_at IS NOT NULL THEN (
          SELECT {rows}(l.id, l.remaining, l.expires_at, l.is_purchased)) FROM (
            SELECT id, remaining, expires_at, source = 'purchased' AS is_purchased FROM ai_features_lot
             WHERE wallet_id = wallet.id AND remaining > 0 AND expires_at >= wallet.next_expiry_at
             ORDER BY expires_at, source = 'purchased', id LIMIT {LOTS_SHOWN}) AS l) END"""  # noqa: S608


def balance_of(row: Sequence[Any]) -> Balance:
    """The balance from a row of `columns`; where something has fallen due, from the rows once that is done."""
    wallet_id, micro, held, debt, unallocated, next_expiry_at, has_due_reservations, found = row
    first = sorted(_lots(found), key=lots.order_of_use)
    is_due = has_due_reservations or (next_expiry_at is not None and as_moment(next_expiry_at) <= timezone.now())
    if is_due or (unallocated > sum(lot.remaining for lot in first) > 0 and len(first) == LOTS_SHOWN):
        with open_account(wallet_id) as account:
            account.allocate()
        return balance(wallet_id)
    left = lots.left_after(first, unallocated)
    return Balance(
        balance=to_credits(micro),
        held=to_credits(held),
        available=to_credits(0 if debt else micro - held),
        debt=to_credits(debt),
        expiring=tuple(
            ExpiringCredits(to_credits(sum(lot.remaining for lot in same)), expires_at)
            for expires_at, same in groupby(left, key=lambda lot: lot.expires_at)
            if expires_at is not None
        ),
    )


def _lots(found: Any) -> list[LotLeft]:
    """SQLite gives JSON as text, and leaves out the zone, which is UTC."""
    rows = orjson.loads(found) if isinstance(found, str) else found or []
    return [LotLeft(pk, left, as_moment(at), bool(is_purchased)) for pk, left, at, is_purchased in rows]


def as_moment(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)
