"""Callers that wait at the same moment share one commit.

A call that finds no other at work goes straight to the database. While it is there, others line up; when it comes
back, one of them takes the whole line along in one transaction, where each is accepted or left to the exact path on
its own. So a lone call waits for nobody, and a hundred calls on one wallet don't wait a hundred times for its lock.

The common line never waits for a wallet that another transaction holds; calls on that wallet get a line of their own.
"""

from __future__ import annotations

import threading

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections

from ai_features.billing.ledger import hot_path
from ai_features.billing.ledger.hot_path import Applied, Busy, Operation

LONGEST = 128
IN_A_ROW = 8
"""Batches that one caller carries out, its own the first, before another takes over."""


def apply(operation: Operation) -> Applied | None:
    """As `hot_path.apply` for one operation. Inside a transaction of the caller's it goes alone, as it must."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql" or database.in_atomic_block or not database.get_autocommit():
        return hot_path.apply_one(operation)
    line = _own_lines.get(operation.wallet_id)
    if line is None:
        outcome = _common_line.apply(operation)
        if not isinstance(outcome, Busy):
            return outcome
        line = _own_lines.setdefault(operation.wallet_id, Line(at_once=1, may_wait=True))
    outcome = line.apply(operation)
    if line.is_empty:
        # Whoever took it out of the dictionary a moment ago is still served; two lines only share less.
        _own_lines.pop(operation.wallet_id, None)
    return None if isinstance(outcome, Busy) else outcome


class Line:
    """At most `at_once` batches of it are on their way to the database; the callers that wait are the next."""

    def __init__(self, *, at_once: int, may_wait: bool) -> None:
        self._at_once = at_once
        self._may_wait = may_wait
        self._guard = threading.Lock()
        self._waiting: list[_Call] = []
        self._leaders = 0

    @property
    def is_empty(self) -> bool:
        return not self._leaders and not self._waiting

    def apply(self, operation: Operation) -> Applied | Busy | None:
        call = _Call(operation)
        with self._guard:
            leads = self._leaders < self._at_once
            if leads:
                self._leaders += 1
            else:
                self._waiting.append(call)
        if leads:
            self._lead([call])
        else:
            call.woken.acquire()
            if call.batch is not None:
                self._lead(call.batch)
        return call.outcome()

    def _lead(self, batch: list[_Call]) -> None:
        """Carry out this batch and the next few: going on takes less time than waking another to do it."""
        leader = batch[0]
        for _ in range(IN_A_ROW):
            try:
                _carry_out(batch, may_wait=self._may_wait)
            except BaseException:
                self._hand_over()
                raise
            finally:
                for call in batch:
                    if call is not leader:
                        call.woken.release()
            batch = self._take()
            if not batch:
                return
        self._hand_over(batch)

    def _take(self) -> list[_Call]:
        """Those who wait; where nobody does, one leader less."""
        with self._guard:
            batch, self._waiting = self._waiting[:LONGEST], self._waiting[LONGEST:]
            if not batch:
                self._leaders -= 1
        return batch

    def _hand_over(self, batch: list[_Call] | None = None) -> None:
        batch = self._take() if batch is None else batch
        if batch:
            batch[0].batch = batch
            batch[0].woken.release()


class _Call:
    """One caller. `woken` is released when its outcome is known, or with `batch` when it is its turn to lead."""

    __slots__ = ("applied", "batch", "error", "operation", "woken")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.applied: Applied | Busy | None = None
        self.error: BaseException | None = None
        self.batch: list[_Call] | None = None
        self.woken = threading.Lock()
        self.woken.acquire()

    def outcome(self) -> Applied | Busy | None:
        match self.error:
            case None:
                return self.applied
            case DatabaseError() | InterfaceError() as error:
                raise type(error)(*error.args) from error
            case error:
                raise OperationalError("The commit that this call shared was interrupted.") from error


def _carry_out(batch: list[_Call], *, may_wait: bool) -> None:
    try:
        outcomes = hot_path.apply([call.operation for call in batch], may_wait=may_wait)
        for call, outcome in zip(batch, outcomes, strict=True):
            call.applied = outcome
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
                _carry_out([call], may_wait=may_wait)
    except BaseException as error:
        for call in batch:
            call.error = error
        raise


_common_line = Line(at_once=2, may_wait=False)
_own_lines: dict[int, Line] = {}
