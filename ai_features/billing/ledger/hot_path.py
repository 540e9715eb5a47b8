"""The ordinary case of the operations that apps send by the thousand, in one round trip.

On PostgreSQL the function in `hot_path.sql` applies a list of operations, each accepted on its own or left alone; its
plans stay cached in the server without any state of a session, so a pooler in transaction mode is fine. It takes only
what needs no thought: no debt, no caps, nothing due to expire, enough credits, a key never seen. What it leaves alone
is for the exact path, which does it, replays it or refuses it. On SQLite a spend is the same two statements in one
transaction, and everything else is left to the exact path.

The laws hold as they do there, by the same lock order: wallets in id order, each before its reservations. What shares a
statement with others waits for none: it passes a wallet over that another transaction holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connection, connections, transaction
from django.utils import timezone

from ai_features.billing.ledger.accounts import Charge, UserKey
from ai_features.billing.ledger.arrays import array, quoted
from ai_features.billing.round_trip import Answer, Row, ask
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

MAY_FLUSH = "has_function_privilege(3577::oid, 'EXECUTE')"
"""In SQL: whether the role may execute `pg_logical_emit_message` with a text, by its number (`spend_from_one.sql`)."""

Given = TypeVar("Given")
Element = int | str | None


@dataclass(slots=True)
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
    _elements: tuple[Element, ...] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def plain_kind(self) -> str | None:
        """`spend`, `reserve` or `capture` where many of it can share one statement: without a key, with one charge, and
        the last of its reservation. None is for `one_by_one`."""
        return self.op if self.key is None and len(self.charges) == 1 and self.closes else None

    def elements(self) -> tuple[Element, ...]:
        """What it adds to each array of the function of its plain kind. Written once, by its caller before it lines
        up: whoever carries out a batch keeps all others waiting."""
        if self._elements is None:
            self._elements = _elements_of(self)
        return self._elements


class Applied(NamedTuple):
    """The ids of the entries made, or of the reservation; `available` and `low_balance` are for notices."""

    ids: list[int]
    balance: int
    available: int
    low_balance: int | None
    wallet_id: int | None = None
    """Where the operation did not say it."""


class Delivery(NamedTuple):
    """One webhook that confirms a purchase, as the arrays of `settle.sql` have it: `told` is what it says, as JSON."""

    told: str
    body: str
    reference: str


class Recorded(NamedTuple):
    """The id of a webhook's event, and whether its purchase was settled too."""

    event_id: int
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Reply(Generic[Given]):
    """What came of a batch, in its order; None was left alone, which no call was where it `is_complete`. To read it
    takes a while, as with `round_trip.Answer`, and may be repeated."""

    read: Callable[[], list[Given | None]]
    is_complete: bool = False


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


def delivery(reference: str, told: dict[str, Any], body: bytes) -> Delivery:
    """`told` is in the function's words (`settle.sql`)."""
    return Delivery(orjson.dumps(told).decode(), f'"\\\\x{body.hex()}"', quoted(reference))


def one_by_one(operations: Sequence[Operation], *, may_wait: bool) -> Reply[Applied | Busy]:
    """Operations of any kind, each accepted on its own, in one statement. None is for the exact path, and BUSY comes
    only without `may_wait`."""
    # Wallets in id order; the sort keeps the order of arrival within one.
    numbered = sorted(enumerate(operations, start=1), key=lambda pair: pair[1].wallet_id)
    rows = orjson.dumps([_as_row(number, operation) for number, operation in numbered]).decode()
    wallets = array({operation.wallet_id for operation in operations})
    sql = "SELECT * FROM ai_features_apply(%s::json, %s::bigint[], %s, %s)"
    return _reply(operations, ask(sql, [rows, wallets, timezone.now(), may_wait]), _applied_or_busy)


def _applied_or_busy(ids: list[int] | None, balance: int | None, *rest: Any) -> Applied | Busy:
    return BUSY if ids is None or balance is None else Applied(ids, balance, *rest)


def _reply(asked: Sequence[Any], answer: Answer, make: Callable[..., Given | None]) -> Reply[Given]:
    """Of rows that begin with the number of the call, from 1."""
    return Reply(partial(_in_order, len(asked), answer.rows, make), is_complete=answer.count == len(asked))


def _in_order(size: int, rows: Callable[[], list[Row]], make: Callable[..., Given | None]) -> list[Given | None]:
    outcomes: list[Given | None] = [None] * size
    for number, *row in rows():
        outcomes[number - 1] = make(*row)
    return outcomes


# Captures come first: others may be paid from what they let go of.
_EACH = {
    "capture": """ai_features_capture_each(
  %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s::bigint[], %s::boolean[],
  %s, %s)""",
    "reserve": """ai_features_reserve_each(
  %s::bigint[], %s::bigint[], %s::text[], %s::{user_key}[], %s::text[], %s::timestamptz[], %s::boolean[], %s, %s)""",
    "spend": """ai_features_spend_each(
  %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s, %s)""",
}


def together(operations: Sequence[Operation], *, may_wait: bool) -> Reply[Applied | Busy]:
    """Plain ones in one statement, those of a kind together; None for one that was left alone, and for all where one is
    not plain. Who may wait, waits for one wallet: all are of it then, or there is one kind, which locks in id order."""
    places: dict[str, list[int]] = {}
    for place, one in enumerate(operations):
        if one.plain_kind is None:
            return _left_alone(operations)
        places.setdefault(one.plain_kind, []).append(place)
    if places.keys() == {"spend"} and len(operations) == 1:
        return _spend_alone(operations[0])
    return _each_in_place(operations, places, may_wait=may_wait)


def _each_in_place(
    operations: Sequence[Operation], places: dict[str, list[int]], *, may_wait: bool
) -> Reply[Applied | Busy]:
    kinds = tuple(kind for kind in _EACH if kind in places)
    parameters: list[Any] = []
    now = timezone.now()
    for kind in kinds:
        columns = _arrays(operations[place].elements() for place in places[kind])
        parameters += [*columns, now, may_wait]
    answer = ask(_with_user_key(_statement_of(kinds)), parameters)
    outcomes = partial(_in_places, len(operations), [places[kind] for kind in kinds], answer.rows)
    return Reply(outcomes, is_complete=answer.count == len(operations))


@cache
def _statement_of(kinds: tuple[str, ...]) -> str:
    """Rows that begin with the number of their kind, from 0, and of the call in it, from 1."""
    return " UNION ALL ".join(
        f"SELECT {number}, o.* FROM {_EACH[kind]} AS o"  # noqa: S608  the functions above
        for number, kind in enumerate(kinds)
    )


def _in_places(size: int, places: list[list[int]], rows: Callable[[], list[Row]]) -> list[Applied | Busy | None]:
    outcomes: list[Applied | Busy | None] = [None] * size
    for which, number, *row in rows():
        outcomes[places[which][number - 1]] = Applied(*row)
    return outcomes


def _left_alone(operations: Sequence[Operation]) -> Reply[Applied | Busy]:
    return Reply(lambda: [None] * len(operations))


def _elements_of(operation: Operation) -> tuple[Element, ...]:
    """In the order of the parameters of its function."""
    (charge,) = operation.charges
    if operation.digest:
        return operation.digest, *_elements_of_entry(charge)[:-1]
    mark = "true" if operation.over_http else None
    if operation.op == "reserve":
        until = None if operation.expires_at is None else operation.expires_at.isoformat()
        about = charge.amount, quoted(charge.feature), quoted(_text(charge.member_id)), quoted(charge.token or None)
        return operation.wallet_id, *about, until, mark
    if operation.op == "capture":
        return operation.wallet_id, *_elements_of_entry(charge), operation.reservation_id, mark
    return operation.wallet_id, *_elements_of_entry(charge)


def _elements_of_entry(charge: Charge) -> tuple[Element, ...]:
    about = quoted(_json(charge.pricing)), quoted(_json(charge.metadata)), quoted(_text(charge.member_id))
    return charge.amount, quoted(charge.feature), *about


def _arrays(rows: Iterable[tuple[Element, ...]]) -> list[str]:
    """An array for each column."""
    return [array(column) for column in zip(*rows, strict=True)]


_SPEND_OF_ASKER = """
SELECT * FROM ai_features_spend_by_token(
  %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s, %s)
"""


def by_token(operations: Sequence[Operation], *, may_wait: bool) -> Reply[Applied | Busy]:
    """The same for spends that come with a token, each by the token's user; None where no token in force has the
    digest, and BUSY, only without `may_wait`, where its wallet was left alone. The function is that of
    `ai_features.lean`, which knows the tables of tokens and users."""
    columns = _arrays(one.elements() for one in operations)
    answer = ask(_SPEND_OF_ASKER, [*columns, timezone.now(), may_wait])
    return _reply(operations, answer, _applied if may_wait else _applied_or_busy)


def _applied(ids: list[int] | None, *paid: Any) -> Applied | None:
    return None if ids is None else Applied(ids, *paid)


_SPEND_ALONE = "SELECT * FROM ai_features_spend(%s::bigint, %s::bigint, %s, %s::jsonb, %s::jsonb, %s::{user_key}, %s)"


def _spend_alone(operation: Operation) -> Reply[Applied | Busy]:
    (charge,) = operation.charges
    about = [charge.feature, _json(charge.pricing), _json(charge.metadata), _text(charge.member_id)]
    answer = ask(_with_user_key(_SPEND_ALONE), [operation.wallet_id, operation.credits, *about, timezone.now()])
    return Reply(lambda: [_only(answer)], is_complete=bool(answer.count))


def _only(answer: Answer) -> Applied | None:
    return Applied(*answer.rows()[0]) if answer.count else None


_FROM_ONE = """
CALL ai_features_spend_and_let_go(
  %s::bigint, %s::bigint, %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s::timestamptz,
  NULL, NULL, NULL, NULL)
"""
_FROM_ASKER = """
CALL ai_features_spend_by_token_and_let_go(
  %s::text, %s::bigint, %s::bigint[], %s::text[], %s::text[], %s::text[], %s::timestamptz,
  NULL, NULL, NULL, NULL, NULL)
"""
_PERHAPS_AFTER_THE_COMMIT = ("57014", "42501")
"""SQLSTATE of what may also come between the two transactions: canceled, and forbidden just now."""


def from_one(operations: Sequence[Operation]) -> Reply[Applied | Busy]:
    """All of one wallet, or by one token, for which they wait. Spends are the same as one call with as many entries, at
    the least cost, and let go of the wallet before the disk has them; all are done then, or None. Not inside a
    transaction. Raises OperationalError where it is not known which."""
    if any(one.plain_kind != "spend" for one in operations):
        return together(operations, may_wait=True)
    total = sum(one.credits for one in operations)
    if total > MAX_MICRO:
        return _left_alone(operations)
    (whose,) = {one.digest or one.wallet_id for one in operations}
    columns = _arrays(one.elements() for one in operations)
    sql = _FROM_ASKER if isinstance(whose, str) else _FROM_ONE
    try:
        answer = ask(_with_user_key(sql), [whose, total, *columns[1:], timezone.now()])
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) in _PERHAPS_AFTER_THE_COMMIT:
            raise OperationalError("Whether the credits were spent is not known.") from error
        raise
    if answer.begins_with_null:
        return _left_alone(operations)
    return Reply(partial(_each_of_one, operations, total, answer), is_complete=True)


def _each_of_one(operations: Sequence[Operation], total: int, answer: Answer) -> list[Applied | Busy | None]:
    (row,) = answer.rows()
    paid = Applied(*row)
    outcomes: list[Applied | Busy | None] = []
    to_come = total
    for entry_id, one in zip(paid.ids, operations, strict=True):
        to_come -= one.credits
        left = paid.balance + to_come, paid.available + to_come
        outcomes.append(Applied([entry_id], *left, paid.low_balance, paid.wallet_id))
    return outcomes


_CHARGE = """
SELECT * FROM ai_features_charge(
  %s, %s::bigint, %s::bigint, %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[],
  %s::bigint, %s, %s, %s, %s::jsonb, %s)
"""


def _charge_many(operation: Operation) -> Applied | None:
    assert operation.charges
    answer = ask(
        _with_user_key(_CHARGE),
        [
            operation.op,
            operation.wallet_id,
            operation.credits,
            *_arrays(map(_elements_of_entry, operation.charges)),
            operation.reservation_id,
            operation.closes,
            operation.expires_at,
            operation.key,
            _json(operation.request),
            timezone.now(),
        ],
    )
    return _only(answer)


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
        (outcome,) = by_token([operation], may_wait=True).read()
        return outcome if isinstance(outcome, Applied) else None
    if len(operation.charges) > 1 or not operation.closes:
        return _charge_many(operation)
    for way in (together, one_by_one):
        (outcome,) = way([operation], may_wait=True).read()
        # Only a wallet that does not exist is busy where one may wait.
        if isinstance(outcome, Applied):
            return outcome
    return None


_SETTLE = "SELECT * FROM ai_features_settle(%s::json, %s::bytea[], %s::text[], %s::bigint, %s)"


def settle(deliveries: Sequence[Delivery]) -> Reply[Recorded]:
    """Record webhooks and settle the purchases that they confirm, where both are ordinary; on PostgreSQL."""
    told, bodies, references = zip(*deliveries, strict=True)
    columns = f"[{','.join(told)}]", array(bodies), array(references)
    return _reply(deliveries, ask(_SETTLE, [*columns, MAX_MICRO, timezone.now()]), Recorded)


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
