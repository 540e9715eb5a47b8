"""The ordinary case of the operations that apps send by the thousand, in one round trip.

On PostgreSQL the function in `hot_path.sql` applies a list of operations, each accepted on its own or left alone; its
plans stay cached in the server without any state of a session, so a pooler in transaction mode is fine. It takes only
what needs no thought: no debt, no caps, nothing due to expire, enough credits, a key never seen. What it leaves alone
is for the exact path, which does it, replays it or refuses it. On SQLite a spend is the same two statements in one
transaction (`on_sqlite`), and everything else is left to the exact path.

The laws hold as they do there, by the same lock order: wallets in id order, each before its reservations. What shares a
statement with others waits for none: it passes a wallet over that another transaction holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections
from django.utils import timezone

from ai_features.billing.ledger import on_sqlite
from ai_features.billing.ledger.arrays import array
from ai_features.billing.ledger.functions import with_user_key
from ai_features.billing.ledger.operations import (
    BUSY,
    Applied,
    Busy,
    Element,
    Operation,
    Reply,
    as_row,
    elements_of_entry,
    in_order,
    json_text,
    key_text,
)
from ai_features.billing.round_trip import Answer, Row, ask
from ai_features.money import MAX_MICRO

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
    answer = ask(with_user_key(_statement_of(kinds)), parameters)
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
    return in_order(operations, answer, _applied if may_wait else _applied_or_busy)


def _applied_or_busy(ids: list[int] | None, balance: int | None, *rest: Any) -> Applied | Busy:
    return BUSY if ids is None or balance is None else Applied(ids, balance, *rest)


def _applied(ids: list[int] | None, *paid: Any) -> Applied | None:
    return None if ids is None else Applied(ids, *paid)


_SPEND_ALONE = "SELECT * FROM ai_features_spend(%s::bigint, %s::bigint, %s, %s::jsonb, %s::jsonb, %s::{user_key}, %s)"


def _spend_alone(operation: Operation) -> Reply[Applied | Busy]:
    (charge,) = operation.charges
    about = [charge.feature, json_text(charge.pricing), json_text(charge.metadata), key_text(charge.member_id)]
    answer = ask(with_user_key(_SPEND_ALONE), [operation.wallet_id, operation.credits, *about, timezone.now()])
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
        answer = ask(with_user_key(sql), [whose, total, *columns[1:], timezone.now()])
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


def one_by_one(operations: Sequence[Operation], *, may_wait: bool) -> Reply[Applied | Busy]:
    """Operations of any kind, each accepted on its own, in one statement. None is for the exact path, and BUSY comes
    only without `may_wait`."""
    # Wallets in id order; the sort keeps the order of arrival within one.
    numbered = sorted(enumerate(operations, start=1), key=lambda pair: pair[1].wallet_id)
    rows = orjson.dumps([as_row(number, operation) for number, operation in numbered]).decode()
    wallets = array({operation.wallet_id for operation in operations})
    sql = "SELECT * FROM ai_features_apply(%s::json, %s::bigint[], %s, %s)"
    return in_order(operations, ask(sql, [rows, wallets, timezone.now(), may_wait]), _applied_or_busy)


_CHARGE = """
SELECT * FROM ai_features_charge(
  %s, %s::bigint, %s::bigint, %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[],
  %s::bigint, %s, %s, %s, %s::jsonb, %s)
"""


def _charge_many(operation: Operation) -> Applied | None:
    assert operation.charges
    answer = ask(
        with_user_key(_CHARGE),
        [
            operation.op,
            operation.wallet_id,
            operation.credits,
            *_arrays(map(elements_of_entry, operation.charges)),
            operation.reservation_id,
            operation.closes,
            operation.expires_at,
            operation.key,
            json_text(operation.request),
            timezone.now(),
        ],
    )
    return _only(answer)


def apply_one(operation: Operation) -> Applied | None:
    """One operation, waiting for its wallet; None is for the exact path. Commits, unless a transaction is open."""
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        return on_sqlite.spend(operation) if operation.op == "spend" else None
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
