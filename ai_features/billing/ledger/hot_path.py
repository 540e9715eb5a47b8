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
from ai_features.billing.ledger.arrays import array, texts
from ai_features.billing.round_trip import fetch_all
from ai_features.money import MAX_MICRO

_FUNCTIONS = [
    Path(__file__).with_name(name)
    for name in (
        "hot_path.sql",
        "spend.sql",
        "spend_each.sql",
        "spend_from_one.sql",
        "reserve_each.sql",
        "capture_each.sql",
        "charge.sql",
        "settle.sql",
    )
]


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
    digest: str = ""
    """Of a token, where the wallet is not known: then that of its user."""


class Applied(NamedTuple):
    """The ids of the entries made, or of the reservation; `available` and `low_balance` are for notices."""

    ids: list[int]
    balance: int
    available: int
    low_balance: int | None
    wallet_id: int | None = None
    """Where the operation did not say it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that confirms a purchase. `told` is what it says, as JSON in the function's words (`settle.sql`)."""

    reference: str
    told: bytes
    body: bytes


class Recorded(NamedTuple):
    """The id of a webhook's event, and whether its purchase was settled too."""

    event_id: int
    is_settled: bool


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


def one_by_one(operations: Sequence[Operation], *, may_wait: bool) -> list[Applied | Busy | None]:
    """Operations of any kind, each accepted on its own, in one statement. None is for the exact path, and BUSY comes
    only without `may_wait`."""
    outcomes: list[Applied | Busy | None] = [None] * len(operations)
    # Wallets in id order; the sort keeps the order of arrival within one.
    numbered = sorted(enumerate(operations), key=lambda pair: pair[1].wallet_id)
    rows = orjson.dumps([_as_row(number, operation) for number, operation in numbered]).decode()
    wallets = array({operation.wallet_id for operation in operations})
    sql = "SELECT * FROM ai_features_apply(%s::json, %s::bigint[], %s, %s)"
    answer = fetch_all(sql, [rows, wallets, timezone.now(), may_wait])
    for number, ids, balance, available, low_balance in answer:
        outcomes[number] = BUSY if balance is None else Applied(ids, balance, available, low_balance)
    return outcomes


_SPEND_EACH = """
SELECT * FROM ai_features_spend_each(
  %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s, %s)
"""
_RESERVE_EACH = """
SELECT * FROM ai_features_reserve_each(
  %s::bigint[], %s::bigint[], %s::text[], %s::{user_key}[], %s::text[], %s::timestamptz[], %s::boolean[], %s, %s)
"""
_CAPTURE_EACH = """
SELECT * FROM ai_features_capture_each(
  %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s::bigint[], %s::boolean[],
  %s, %s)
"""


def plain_kind(operation: Operation) -> str | None:
    """`spend`, `reserve` or `capture` where many of it can share one statement: without a key, with one charge, and the
    last of its reservation. None is for `one_by_one`."""
    is_plain = operation.key is None and len(operation.charges) == 1 and operation.closes
    return operation.op if is_plain else None


def together(operations: Sequence[Operation], *, may_wait: bool) -> list[Applied | Busy | None]:
    """Those of one plain kind, in one statement; None where they are of several, or one was left alone."""
    kind = plain_kind(operations[0])
    if kind is None or any(plain_kind(one) != kind for one in operations):
        return [None] * len(operations)
    charges = [one.charges[0] for one in operations]
    if kind == "reserve":
        return _each(_RESERVE_EACH, operations, _reservation_columns(operations, charges), may_wait=may_wait)
    if kind == "capture":
        about = [array(one.reservation_id for one in operations), _marks_of_http(operations)]
        return _each(_CAPTURE_EACH, operations, [*_columns(charges), _members(charges), *about], may_wait=may_wait)
    if len(operations) == 1:
        return [_spend_alone(operations[0])]
    if may_wait and len({one.wallet_id for one in operations}) == 1:
        return _spend_from_one(operations)
    return _each(_SPEND_EACH, operations, [*_columns(charges), _members(charges)], may_wait=may_wait)


def _each(
    sql: str, operations: Sequence[Operation], columns: Sequence[str], *, may_wait: bool
) -> list[Applied | Busy | None]:
    outcomes: list[Applied | Busy | None] = [None] * len(operations)
    wallets = array(one.wallet_id for one in operations)
    for number, *applied in fetch_all(_with_user_key(sql), [wallets, *columns, timezone.now(), may_wait]):
        outcomes[number - 1] = Applied(*applied)
    return outcomes


def _reservation_columns(operations: Sequence[Operation], charges: Sequence[Charge]) -> list[str]:
    return [
        array(charge.amount for charge in charges),
        texts(charge.feature for charge in charges),
        _members(charges),
        texts(charge.token or None for charge in charges),
        array(_moment(one.expires_at) for one in operations),
        _marks_of_http(operations),
    ]


def _marks_of_http(operations: Sequence[Operation]) -> str:
    return array("true" if one.over_http else None for one in operations)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


_SPEND_OF_ASKER = """
SELECT * FROM ai_features_spend_by_token(
  %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s, %s)
"""


def by_token(operations: Sequence[Operation], *, may_wait: bool) -> list[Applied | Busy | None]:
    """The same for spends that come with a token, each by the token's user; None where no token in force has the
    digest, and BUSY, only without `may_wait`, where its wallet was left alone. The function is that of
    `ai_features.lean`, which knows the tables of tokens and users."""
    outcomes: list[Applied | Busy | None] = [None] * len(operations)
    digests = array(one.digest for one in operations)
    columns = _columns([one.charges[0] for one in operations])
    for number, ids, *paid in fetch_all(_SPEND_OF_ASKER, [digests, *columns, timezone.now(), may_wait]):
        if ids is not None:
            outcomes[number - 1] = Applied(ids, *paid)
        elif not may_wait:
            outcomes[number - 1] = BUSY
    return outcomes


def _columns(charges: Sequence[Charge]) -> list[str]:
    return [
        array(charge.amount for charge in charges),
        texts(charge.feature for charge in charges),
        texts(_json(charge.pricing) for charge in charges),
        texts(_json(charge.metadata) for charge in charges),
    ]


def _members(charges: Sequence[Charge]) -> str:
    return texts(_text(charge.member_id) for charge in charges)


_SPEND_ALONE = "SELECT * FROM ai_features_spend(%s::bigint, %s::bigint, %s, %s::jsonb, %s::jsonb, %s::{user_key}, %s)"


def _spend_alone(operation: Operation) -> Applied | None:
    (charge,) = operation.charges
    about = [charge.feature, _json(charge.pricing), _json(charge.metadata), _text(charge.member_id)]
    rows = fetch_all(_with_user_key(_SPEND_ALONE), [operation.wallet_id, operation.credits, *about, timezone.now()])
    return Applied(*rows[0]) if rows else None


def _spend_from_one(operations: Sequence[Operation]) -> list[Applied | Busy | None]:
    """All of one wallet, or none: the same as one call with as many entries, at the least cost."""
    charges = [one.charges[0] for one in operations]
    total = sum(charge.amount for charge in charges)
    paid = _spend_many(operations[0].wallet_id, total, charges) if total <= MAX_MICRO else None
    if paid is None:
        return [None] * len(operations)
    outcomes: list[Applied | Busy | None] = []
    to_come = total
    for entry_id, charge in zip(paid.ids, charges, strict=True):
        to_come -= charge.amount
        left = paid.balance + to_come, paid.available + to_come
        outcomes.append(Applied([entry_id], *left, paid.low_balance))
    return outcomes


_SPEND_FROM_ONE = """
SELECT * FROM ai_features_spend_from_one(
  %s::bigint, %s::bigint, %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s)
"""


def _spend_many(wallet_id: int, total: int, charges: Sequence[Charge]) -> Applied | None:
    parameters = [wallet_id, total, *_columns(charges), _members(charges), timezone.now()]
    rows = fetch_all(_with_user_key(_SPEND_FROM_ONE), parameters)
    return Applied(*rows[0]) if rows else None


_CHARGE = """
SELECT * FROM ai_features_charge(
  %s, %s::bigint, %s::bigint, %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[],
  %s::bigint, %s, %s, %s, %s::jsonb, %s)
"""


def _charge_many(operation: Operation) -> Applied | None:
    rows = fetch_all(
        _with_user_key(_CHARGE),
        [
            operation.op,
            operation.wallet_id,
            operation.credits,
            *_columns(operation.charges),
            _members(operation.charges),
            operation.reservation_id,
            operation.closes,
            operation.expires_at,
            operation.key,
            _json(operation.request),
            timezone.now(),
        ],
    )
    return Applied(*rows[0]) if rows else None


@cache
def _with_user_key(sql: str) -> str:
    return sql.format(user_key=user_key_type())


def _text(key: UserKey | None) -> str | None:
    return None if key is None else str(key)


def apply_one(operation: Operation) -> Applied | None:
    """One operation, waiting for its wallet; None is for the exact path. Commits, unless a transaction is open."""
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        return _spend_on_sqlite(operation) if operation.op == "spend" else None
    if operation.digest:
        (outcome,) = by_token([operation], may_wait=True)
        return outcome if isinstance(outcome, Applied) else None
    if len(operation.charges) > 1 or not operation.closes:
        if operation.op == "spend" and operation.key is None:
            return _spend_many(operation.wallet_id, operation.credits, operation.charges)
        return _charge_many(operation)
    for way in (together, one_by_one):
        (outcome,) = way([operation], may_wait=True)
        # Only a wallet that does not exist is busy where one may wait.
        if isinstance(outcome, Applied):
            return outcome
    return None


_SETTLE = "SELECT * FROM ai_features_settle(%s::json, %s::bytea[], %s::text[], %s::bigint, %s)"


def settle(deliveries: Sequence[Delivery]) -> list[Recorded | None]:
    """Record webhooks and settle the purchases that they confirm, where both are ordinary; on PostgreSQL."""
    outcomes: list[Recorded | None] = [None] * len(deliveries)
    told = f"[{','.join(delivery.told.decode() for delivery in deliveries)}]"
    bodies = array(f'"\\\\x{delivery.body.hex()}"' for delivery in deliveries)
    references = texts(delivery.reference for delivery in deliveries)
    for number, *recorded in fetch_all(_SETTLE, [told, bodies, references, MAX_MICRO, timezone.now()]):
        outcomes[number - 1] = Recorded(*recorded)
    return outcomes


def _as_row(number: int, operation: Operation) -> dict[str, Any]:
    """Keys as in the function's record."""
    row: dict[str, Any] = {"n": number, "op": operation.op, "w": operation.wallet_id, "c": operation.credits}
    if operation.key is not None:
        row |= {"k": operation.key, "q": operation.request}
    if operation.reservation_id is not None:
        row["r"] = operation.reservation_id
    if operation.over_http:
        row["h"] = True
    if operation.expires_at is not None:
        row["e"] = operation.expires_at
    for charge in operation.charges:
        row |= {"f": charge.feature, "t": charge.token}
        about = {"p": charge.pricing, "d": charge.metadata, "m": charge.member_id}
        row |= {name: value for name, value in about.items() if value is not None}
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


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
