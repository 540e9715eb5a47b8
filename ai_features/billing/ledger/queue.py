"""Callers that wait at the same moment share one commit.

A call that finds no other at work goes straight to the database. While it is there, others line up; when it comes
back, one of them takes the whole line along in one transaction, where each is accepted or left to the exact path on
its own. So a lone call waits for nobody, and a hundred calls on one wallet don't wait a hundred times for its lock.

The common line never waits for a wallet that another transaction holds; calls on that wallet get a line of their own,
whose spends let go of it early (`hot_path.from_one`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections

from ai_features.billing.ledger import deliveries, hot_path
from ai_features.billing.ledger.deliveries import Delivery, Recorded
from ai_features.billing.ledger.line import LARGE, LARGE_SOONER, Asked, Call, Given, Line, Read
from ai_features.billing.ledger.operations import Applied, Busy, Operation, Outcome, Reply

OWN_LINES_MAX = 256
OWN_LINE_SECONDS = 0.25
"""After so long a wallet that nobody queues up for is tried among the others again, where it shares their commits."""

Way = Callable[[Sequence[Asked]], Reply[Given]]
"""How a batch goes to the database: one statement, done as a whole or not at all."""


def apply(operation: Operation) -> Applied | None:
    """As `hot_path.apply_one`. Inside a transaction of the caller's it goes alone, as it must."""
    if not _may_share():
        return hot_path.apply_one(operation)
    operation.elements()
    line = _own_lines.get(_whose(operation))
    if line is None or line.is_over(OWN_LINE_SECONDS):
        outcome = (_token_line if operation.digest else _common_line).apply(operation)
        if not isinstance(outcome, Busy):
            return outcome
        line = _own_line(operation)
    outcome = line.apply(operation)
    return None if isinstance(outcome, Busy) else outcome


def settle(delivery: Delivery) -> Recorded:
    """As `deliveries.settle`, together with the deliveries that come at the same moment. On PostgreSQL."""
    if _may_share():
        recorded = _deliveries.apply(delivery)
    else:
        (recorded,) = deliveries.settle([delivery]).read()
    assert recorded is not None
    return recorded


def _may_share() -> bool:
    database = connections[DEFAULT_DB_ALIAS]
    return database.vendor == "postgresql" and not database.in_atomic_block and database.get_autocommit()


def _line(way: Way[Asked, Given], *, at_once: int, large: int = LARGE) -> Line[Asked, Given]:
    return Line(partial(_carry_out, way), at_once=at_once, large=large)


def _carry_out(way: Way[Asked, Given], batch: list[Call[Asked, Given]]) -> Read:
    return partial(_tell, batch, _send(way, batch))


def _send(way: Way[Asked, Given], batch: list[Call[Asked, Given]]) -> Reply[Given]:
    try:
        return way([call.asked for call in batch])
    except (OperationalError, InterfaceError) as error:
        # Whether it was committed is not known; each caller repeats with its key or not at all.
        for call in batch:
            call.error = error
    except DatabaseError as error:
        # Refused and rolled back as a whole for the sake of one; the others must not suffer.
        if len(batch) == 1:
            batch[0].error = error
        else:
            for call in batch:
                _tell([call], _send(way, [call]))
    return Reply(lambda: [call.given for call in batch])


def _tell(batch: list[Call[Asked, Given]], reply: Reply[Given]) -> None:
    try:
        for call, outcome in zip(batch, reply.read(), strict=True):
            call.given, call.is_told = outcome, True
    except Exception as error:  # noqa: BLE001 – whoever reads it does so for all
        for call in batch:
            call.error = error


_common_line: Line[Operation, Outcome] = _line(hot_path.together, at_once=2)
_token_line: Line[Operation, Outcome] = _line(hot_path.by_token, at_once=1, large=LARGE_SOONER)
_own_lines: dict[int | str, Line[Operation, Outcome]] = {}
_deliveries = _line(deliveries.settle, at_once=1, large=LARGE_SOONER)


def _whose(operation: Operation) -> int | str:
    return operation.digest or operation.wallet_id


def _own_line(operation: Operation) -> Line[Operation, Outcome]:
    """Kept for a while, since a wallet that was busy will be; whoever is still in one that goes is served, and only
    shares less."""
    if len(_own_lines) >= OWN_LINES_MAX:
        for other, line in list(_own_lines.items()):
            if line.is_empty:
                _own_lines.pop(other, None)
    large = LARGE_SOONER if operation.digest else LARGE
    line = _line(hot_path.from_one, at_once=1, large=large)
    whose = _whose(operation)
    if (old := _own_lines.get(whose)) is not None and old.is_over(OWN_LINE_SECONDS):
        _own_lines.pop(whose, None)
    return _own_lines.setdefault(whose, line)
