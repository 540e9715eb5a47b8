"""The ordinary case of the operations that apps send by the thousand, in one round trip.

On PostgreSQL a function applies a list of operations, each accepted on its own or left alone; its plans stay cached in
the server without any state of a session, so a pooler in transaction mode is fine. It takes only what needs no
thought: no debt, no caps, nothing due to expire, enough credits, a key never seen. What it leaves alone is for the
exact path, which does it, replays it or refuses it. On SQLite a spend is the same two statements in one transaction
(`on_sqlite`), and everything else is left to the exact path.

The laws hold as they do there, by the same lock order: wallets in id order, each before its reservations. What shares a
statement with others waits for none: it passes a wallet over that another transaction holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections
from django.utils import timezone

from ai_features.billing.ledger import on_sqlite
from ai_features.billing.ledger.arrays import array
from ai_features.billing.ledger.functions import with_user_key
from ai_features.billing.ledger.operations import (
    BUSY,
    SPEND_COLUMNS,
    Applied,
    Busy,
    Element,
    Operation,
    Outcome,
    Reply,
    elements_of_entry,
    in_order,
    json_text,
    key_text,
)
from ai_features.billing.round_trip import Answer, ask
from ai_features.money import MAX_MICRO

_APPLY = """
SELECT * FROM ai_features_apply(
  %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s::text[], %s::text[],
  %s::bigint[], %s::timestamptz[], %s::boolean[], %s::text[], %s::text[], %s, %s)
"""
_SPEND_EACH = """
SELECT * FROM ai_features_spend_each(
  %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::{user_key}[], %s, %s)
"""


def together(operations: Sequence[Operation], *, may_wait: bool = False) -> Reply[Outcome]:
    """Calls of any kind in one statement. None was left alone; BUSY found its wallet held by another transaction, or,
    of spends by themselves, was perhaps left alone. With `may_wait` they wait for their wallets."""
    if not all(one.is_plain_spend for one in operations):
        columns = _arrays(one.elements() for one in operations)
        answer = ask(with_user_key(_APPLY), [*columns, timezone.now(), may_wait])
        return in_order(operations, answer, _applied_or_busy)
    if len(operations) == 1 and not may_wait:
        return _spend_alone(operations[0])
    columns = _arrays(one.elements()[:SPEND_COLUMNS] for one in operations)
    answer = ask(with_user_key(_SPEND_EACH), [*columns, timezone.now(), may_wait])
    return _or_busy(in_order(operations, answer, Applied))


def _applied_or_busy(ids: list[int] | None, balance: int | None, *rest: Any) -> Outcome:
    return BUSY if ids is None or balance is None else Applied(ids, balance, *rest)


def _or_busy(reply: Reply[Applied]) -> Reply[Outcome]:
    return Reply(lambda: [outcome or BUSY for outcome in reply.read()])


_SPEND_ALONE = "SELECT * FROM ai_features_spend(%s::bigint, %s::bigint, %s, %s::jsonb, %s::jsonb, %s::{user_key}, %s)"


def _spend_alone(operation: Operation) -> Reply[Outcome]:
    (charge,) = operation.charges
    about = [charge.feature, json_text(charge.pricing), json_text(charge.metadata), key_text(charge.member_id)]
    answer = ask(with_user_key(_SPEND_ALONE), [operation.wallet_id, operation.credits, *about, timezone.now()])
    return _or_busy(Reply(lambda: [_only(answer)]))


def _only(answer: Answer) -> Applied | None:
    rows = answer.rows()
    return Applied(*rows[0]) if rows else None


def _left_alone(operations: Sequence[Operation]) -> Reply[Outcome]:
    return Reply(lambda: [None] * len(operations))


def _arrays(rows: Iterable[tuple[Element, ...]]) -> list[str]:
    """An array for each column."""
    return [array(column) for column in zip(*rows, strict=True)]


_SPEND_OF_ASKER = """
SELECT * FROM ai_features_spend_by_token(
  %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s, %s)
"""


def by_token(operations: Sequence[Operation], *, may_wait: bool = False) -> Reply[Outcome]:
    """The same for spends that come with a token, each by the token's user; None where no token in force has the
    digest. The function is that of `ai_features.lean`, which knows the tables of tokens and users."""
    columns = _arrays(one.elements() for one in operations)
    return in_order(operations, ask(_SPEND_OF_ASKER, [*columns, timezone.now(), may_wait]), _applied_or_busy)


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


def from_one(operations: Sequence[Operation]) -> Reply[Outcome]:
    """All of one wallet, or by one token, for which they wait. Spends are the same as one call with as many entries, at
    the least cost, and let go of the wallet before the disk has them; all are done then, or None. Not inside a
    transaction. Raises OperationalError where it is not known which."""
    if not all(one.is_plain_spend for one in operations):
        return together(operations, may_wait=True)
    total = sum(one.credits for one in operations)
    if total > MAX_MICRO:
        return _left_alone(operations)
    (whose,) = {one.digest or one.wallet_id for one in operations}
    columns = _arrays(one.elements()[1:SPEND_COLUMNS] for one in operations)
    sql = _FROM_ASKER if isinstance(whose, str) else _FROM_ONE
    try:
        answer = ask(with_user_key(sql), [whose, total, *columns, timezone.now()])
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) in _PERHAPS_AFTER_THE_COMMIT:
            raise OperationalError("Whether the credits were spent is not known.") from error
        raise
    if answer.begins_with_null:
        return _left_alone(operations)
    return Reply(partial(_each_of_one, operations, total, answer))


def _each_of_one(operations: Sequence[Operation], total: int, answer: Answer) -> list[Outcome | None]:
    (row,) = answer.rows()
    paid = Applied(*row)
    outcomes: list[Outcome | None] = []
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
    for may_wait in (False, True):
        (outcome,) = together([operation], may_wait=may_wait).read()
        if not isinstance(outcome, Busy):
            return outcome
    return None
