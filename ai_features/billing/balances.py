"""What an owner has, read in one round trip and exact: what is past its time is done away with first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import orjson
from django.db import connection, connections
from django.utils import timezone

from ai_features.billing import lots
from ai_features.billing.ledger import open_account
from ai_features.billing.lots import LotLeft
from ai_features.billing.round_trip import fetch_all
from ai_features.money import to_credits

LOTS_SHOWN = 20
"""`expiring` names what is in the next so many lots to expire."""
_REMAINING, _EXPIRES_AT = attrgetter("remaining"), attrgetter("expires_at")

LotRow = tuple[int, int, str, bool]
"""As the statement has it: id, micro-credits left, when it expires, whether it was bought."""


class ExpiringCredits(NamedTuple):
    credits: Decimal
    expires_at: datetime


@dataclass(frozen=True)
class Balance:
    """In credits. `available` is what can be spent now: the balance less what is held, and nothing while in debt."""

    balance: Decimal
    held: Decimal
    available: Decimal
    debt: Decimal
    _first: Sequence[LotRow] = field(default=(), hash=False, repr=False)
    _unallocated: int = field(default=0, repr=False)

    @cached_property
    def expiring(self) -> tuple[ExpiringCredits, ...]:
        """What is in the next lots to expire, by moment: made when it is asked for, which most who look at a balance
        don't."""
        first = sorted(map(_lot, self._first), key=lots.order_of_use)
        left = lots.left_after(first, self._unallocated) if self._unallocated else first
        return tuple(
            ExpiringCredits(to_credits(sum(map(_REMAINING, same))), expires_at)
            for expires_at, same in groupby(left, key=_EXPIRES_AT)
            if expires_at is not None
        )


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
    now = timezone.now()
    if connection.vendor == "postgresql":
        (row,) = fetch_all("SELECT * FROM ai_features_balance(%s, %s)", [wallet_id, now])
    else:
        moment = connection.ops.adapt_datetimefield_value(now)
        (row,) = fetch_all(_select(connection.vendor, now="%s", wallet="%s"), [moment, moment, wallet_id])
    return balance_of(row)


def install(*, using: str = "default", **_: Any) -> None:
    """Create or replace the function that reads a balance on PostgreSQL, with a cached plan; after `migrate`."""
    database = connections[using]
    if database.vendor == "postgresql" and "ai_features_wallet" in database.introspection.table_names():
        with database.cursor() as cursor:
            cursor.execute(_FUNCTION.format(select=_select("postgresql", now="now", wallet="wallet_id")))


_FUNCTION = """
DROP FUNCTION IF EXISTS ai_features_balance;
CREATE FUNCTION ai_features_balance(wallet_id bigint, now timestamptz)
RETURNS TABLE (id bigint, balance bigint, held bigint, debt bigint, unallocated bigint, is_due boolean, lots text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
BEGIN RETURN QUERY {select}; END $$
"""


def _select(vendor: str, *, now: str, wallet: str) -> str:
    """What `balance_of` needs: the wallet, whether anything is past its time, and the next lots to expire."""
    rows = "json_agg(json_build_array" if vendor == "postgresql" else "json_group_array(json_array"
    return f"""
        SELECT w.id, w.balance, w.held, w.debt, w.unallocated,
          coalesce(w.next_expiry_at <= {now}, false) OR EXISTS (
            SELECT 1 FROM ai_features_reservation AS r
             WHERE r.wallet_id = w.id AND r.status = 'open' AND r.expires_at <= {now}),
          CASE WHEN w.next_expiry_at IS NOT NULL THEN (
            SELECT CAST({rows}(l.id, l.remaining, l.expires_at, l.is_purchased)) AS text) FROM (
              SELECT t.id, t.remaining, t.expires_at, t.source = 'purchased' AS is_purchased
                FROM ai_features_lot AS t
               WHERE t.wallet_id = w.id AND t.remaining > 0 AND t.expires_at >= w.next_expiry_at
               ORDER BY t.expires_at, t.source = 'purchased', t.id LIMIT {LOTS_SHOWN}) AS l) END
        FROM ai_features_wallet AS w WHERE w.id = {wallet}"""  # noqa: S608  our own words


def balance_of(row: Sequence[Any]) -> Balance:
    """The balance from such a row; where something has fallen due, from the rows once that is done."""
    wallet_id, micro, held, debt, unallocated, is_due, found = row
    first: list[LotRow] = orjson.loads(found) if found else []
    if is_due or (len(first) == LOTS_SHOWN and unallocated >= sum(left for _, left, *_ in first)):
        with open_account(wallet_id) as account:
            account.allocate()
        return balance(wallet_id)
    return Balance(
        balance=to_credits(micro),
        held=to_credits(held),
        available=to_credits(0 if debt else micro - held),
        debt=to_credits(debt),
        _first=first,
        _unallocated=unallocated,
    )


def _lot(row: LotRow) -> LotLeft:
    """SQLite leaves out the zone, which is UTC, and knows no truth values."""
    pk, left, at, is_purchased = row
    return LotLeft(pk, left, _as_moment(at), bool(is_purchased))


def _as_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
