"""The ordinary case of the operations that apps send by the thousand, in one round trip.

On PostgreSQL the function in `hot_path.sql` applies a list of operations, each accepted on its own or left alone; its
plans stay cached in the server without any state of a session, so a pooler in transaction mode is fine. It takes only
what needs no thought: no debt, no caps, nothing due to expire, enough credits, a key never seen. What it leaves alone
is for the exact path, which does it, replays it or refuses it. On SQLite a spend is the same two statements in one
transaction, and everything else is left to the exact path.

The laws hold as they do there, by the same lock order: wallets in id order, each before its reservations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.utils import timezone

from ai_features.billing.ledger.accounts import Charge, UserKey
from ai_features.billing.round_trip import fetch_all

_FUNCTIONS = [Path(__file__).with_name(name) for name in ("hot_path.sql", "spend.sql", "settle.sql")]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call in the function's words: `op` is spend, reserve, capture or release; credits are micro-credits.

    `charges` are the entries a spend or capture makes; a capture that does not close keeps the reservation open.
    """

    op: str
    wallet_id: int
    credits: int
    charges: Sequence[Charge] = ()
    key: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    reservation_id: int | None = None
    expires_at: datetime | None = None
    closes: bool = True
    over_http: bool = False


class Applied(NamedTuple):
    """The ids of the entries made, or of the reservation; `available` and `low_balance` are for notices."""

    ids: list[int]
    balance: int
    available: int
    low_balance: int | None


class Busy:
    """The outcome of an operation whose wallet another transaction holds, where it may not wait."""


BUSY = Busy()


def install(*, using: str = "default", **_: Any) -> None:
    """Create or replace the functions; after every `migrate`, safe to repeat."""
    if (
        connections[using].vendor == "postgresql"
        and "ai_features_wallet" in connections[using].introspection.table_names()
    ):
        with connections[using].cursor() as cursor:
            for path in _FUNCTIONS:
                cursor.execute(path.read_text().replace("user_key", user_key_type()))


@cache
def user_key_type() -> str:
    """The column type of a reference to a user, whose model is the project's; `user_key` in the functions."""
    return str(get_user_model()._meta.pk.rel_db_type(connection))


def apply(operations: Sequence[Operation], *, may_wait: bool = True) -> list[Applied | Busy | None]:
    """What became of each operation; None is for the exact path, and BUSY comes only without `may_wait`.

    Commits, unless the caller has a transaction open.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql":
        return [_spend_on_sqlite(operation) if operation.op == "spend" else None for operation in operations]
    if len(operations) == 1 and (alone := _spend_alone(operations[0])) is not None:
        return [alone]
    # Wallets in id order; the sort keeps the order of arrival within one.
    numbered = sorted(enumerate(operations), key=lambda pair: pair[1].wallet_id)
    outcomes: list[Applied | Busy | None] = [None] * len(operations)
    rows = orjson.dumps([_as_row(number, operation) for number, operation in numbered]).decode()
    wallets = f"{{{','.join(str(number) for number in {operation.wallet_id for operation in operations})}}}"
    sql = "SELECT * FROM ai_features_apply(%s::json, %s::bigint[], %s, %s)"
    answer = fetch_all(sql, [rows, wallets, timezone.now(), may_wait])
    for number, ids, balance, available, low_balance in answer:
        outcomes[number] = BUSY if balance is None else Applied(ids, balance, available, low_balance)
    return outcomes


def _spend_alone(operation: Operation) -> Applied | None:
    """One spend without a key, in one statement; None where it is not that, or was left alone."""
    if operation.op != "spend" or operation.key is not None or len(operation.charges) != 1:
        return None
    (charge,) = operation.charges
    about = [charge.feature, _json(charge.pricing), _json(charge.metadata), _text(charge.member_id)]
    sql = (
        f"SELECT * FROM ai_features_spend(%s::bigint, %s::bigint, %s, %s::jsonb, %s::jsonb, %s::{user_key_type()}, %s)"  # noqa: S608
    )
    rows = fetch_all(sql, [operation.wallet_id, operation.credits, *about, timezone.now()])
    return Applied(*rows[0]) if rows else None


def apply_one(operation: Operation) -> Applied | None:
    """The same for one operation, waiting for its wallet."""
    (outcome,) = apply([operation])
    # Only a wallet that does not exist is busy where one may wait.
    return None if isinstance(outcome, Busy) else outcome


def settle(delivery: dict[str, Any], body: bytes) -> tuple[int, bool] | None:
    """Record a webhook that confirms a purchase and settle it in the same round trip, where both are ordinary.

    Returns the event's id and whether the purchase was settled too; None where nothing was done at all.
    """
    if connection.vendor != "postgresql":
        return None
    rows = orjson.dumps(delivery).decode()
    answer = fetch_all("SELECT * FROM ai_features_settle(%s::json, %s, %s)", [rows, body, timezone.now()])
    ((event_id, is_settled),) = answer
    return event_id, is_settled


def _as_row(number: int, operation: Operation) -> dict[str, Any]:
    """Keys as in the function's record; one charge stands in the row itself, several in a list."""
    row: dict[str, Any] = {"n": number, "op": operation.op, "w": operation.wallet_id, "c": operation.credits}
    if operation.key is not None:
        row |= {"k": operation.key, "q": operation.request}
    if operation.reservation_id is not None:
        row |= {"r": operation.reservation_id, "closes": operation.closes}
    if operation.over_http:
        row["h"] = True
    if operation.expires_at is not None:
        row["e"] = operation.expires_at
    match operation.charges:
        case []:
            pass
        case [only]:
            row |= _charge(only)
            row["t"] = only.token
        case several:
            row["items"] = [{"c": charge.amount, **_charge(charge)} for charge in several]
    return row


def _charge(charge: Charge) -> dict[str, Any]:
    row: dict[str, Any] = {"f": charge.feature}
    if charge.pricing is not None:
        row["p"] = charge.pricing
    if charge.metadata is not None:
        row["d"] = charge.metadata
    if charge.member_id is not None:
        row["m"] = charge.member_id
    return row


_PAY = """
UPDATE ai_features_wallet SET balance = balance - %s, unallocated = unallocated + %s
 WHERE id = %s AND balance - held >= %s AND debt = 0 AND overdue = 0 AND NOT is_capped
   AND (next_expiry_at IS NULL OR next_expiry_at > %s)
RETURNING balance, balance - held, low_balance
"""
_ENTER = """
INSERT INTO ai_features_ledgerentry
  (wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, created_at)
VALUES (%s, 'spend', %s, %s, %s, %s, %s, %s, %s)
RETURNING id
"""
_KEY_IS_KNOWN = "SELECT 1 FROM ai_features_idempotencykey WHERE wallet_id = %s AND key = %s"
_REMEMBER = (
    "INSERT INTO ai_features_idempotencykey (wallet_id, key, request, answer, created_at) VALUES (%s, %s, %s, %s, %s)"
)


def _spend_on_sqlite(operation: Operation) -> Applied | None:
    wallet_id, credits_, key = operation.wallet_id, operation.credits, operation.key
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        if key is not None and cursor.execute(_KEY_IS_KNOWN, [wallet_id, key]).fetchone():
            return None
        paid = cursor.execute(_PAY, [credits_, credits_, wallet_id, credits_, now]).fetchone()
        if paid is None:
            return None
        balance, available, low_balance = paid
        running, ids = balance + credits_, []
        for charge in operation.charges:
            running -= charge.amount
            about = [charge.feature, _json(charge.pricing), _json(charge.metadata), _for_sqlite(charge.member_id), now]
            ids.append(cursor.execute(_ENTER, [wallet_id, -charge.amount, running, *about]).fetchone()[0])
        if key is not None:
            answer = {"ids": ids, "balance": balance}
            cursor.execute(_REMEMBER, [wallet_id, key, _json(operation.request), _json(answer), now])
    return Applied(ids, balance, available, low_balance)


def _for_sqlite(key: UserKey | None) -> Any:
    return get_user_model()._meta.pk.get_db_prep_value(key, connection)


def _text(key: UserKey | None) -> str | None:
    return None if key is None else str(key)


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
