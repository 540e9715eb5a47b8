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
MOMENT_SECONDS = 0.0005
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
        line = _own_line(operation.wallet_id)
    outcome = line.apply(operation)
    return None if isinstance(outcome, Busy) else outcome


OWN_LINES_MAX = 256


class Line:
    """At most `at_once` batches of it are on their way to the database; the callers that wait are the next.

    As long as anybody waits there is a leader: whoever stops makes one of them the next.
    """

    def __init__(self, *, at_once: int, may_wait: bool) -> None:
        self._at_once = at_once
        self._may_wait = may_wait
        self._guard = threading.Lock()
        self._waiting: list[_Call] = []
        self._inside = 0
        self._crowd = 0
        """The most that were inside lately."""
        self._leaders = 0
        self._gathering: _Call | None = None
        """The leader who is about to set out."""

    @property
    def is_empty(self) -> bool:
        return not self._inside

    def apply(self, operation: Operation) -> Applied | Busy | None:
        call = _Call(operation)
        with self._guard:
            self._inside += 1
            self._crowd = max(self._crowd, self._inside)
            if self._leaders < self._at_once and self._gathering is None:
                self._make_leader(call)
            else:
                self._waiting.append(call)
                if self._gathering is not None and self._are_enough(len(self._waiting) + 1):
                    self._gathering.joined.release()
                    self._gathering = None
        try:
            if not call.leads:
                call.woken.acquire()
            if call.leads:
                self._lead(call)
        except BaseException:
            self._give_up(call)
            raise
        return call.outcome()

    def _are_enough(self, number: int) -> bool:
        """Whether so many are a fair share: as many in each batch at the database, and as many on their way here."""
        return number >= self._crowd // (self._at_once + 1)

    def _make_leader(self, call: _Call) -> None:
        self._leaders += 1
        call.leads = True
        if not self._are_enough(len(self._waiting) + 1):
            self._gathering, call.joined = call, _taken_lock()

    def _lead(self, leader: _Call) -> None:
        """Carry out this call with those who wait, and then the next few batches: going on takes less time than
        waking another to do it."""
        leader.leads = False
        batch, turns = [leader], IN_A_ROW
        try:
            if self._gathering is leader:
                # Those who were here just now share this commit, if they come back in a moment.
                leader.joined.acquire(timeout=MOMENT_SECONDS)
            with self._guard:
                if self._gathering is leader:
                    self._gathering = None
                batch += self._take()
            while batch:
                self._carry_out(batch, leader)
                turns -= 1
                with self._guard:
                    self._inside -= len(batch)
                    batch = self._take() if turns and self._are_enough(len(self._waiting)) else []
        finally:
            with self._guard:
                self._inside -= len(batch)
                self._stop_leading()

    def _take(self) -> list[_Call]:
        batch, self._waiting = self._waiting[:LONGEST], self._waiting[LONGEST:]
        self._crowd = max(self._inside, self._crowd - 1)
        return batch

    def _carry_out(self, batch: list[_Call], leader: _Call) -> None:
        try:
            _carry_out(batch, may_wait=self._may_wait)
        finally:
            for call in batch:
                if call is not leader:
                    call.woken.release()

    def _stop_leading(self) -> None:
        self._leaders -= 1
        if self._waiting and self._gathering is None:
            successor = self._waiting.pop(0)
            self._make_leader(successor)
            successor.woken.release()

    def _give_up(self, call: _Call) -> None:
        """The caller was interrupted, as by a signal; whoever waits must not wait for it."""
        with self._guard:
            if call in self._waiting:
                self._waiting.remove(call)
                self._inside -= 1
            elif call.leads:
                self._inside -= 1
                self._gathering = None if self._gathering is call else self._gathering
                self._stop_leading()


class _Call:
    """One caller. `woken` is released when its outcome is known, or when it is its turn to lead; `joined`, of a leader
    who is about to set out, when enough have come."""

    __slots__ = ("applied", "error", "joined", "leads", "operation", "woken")

    joined: threading.Lock

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.applied: Applied | Busy | None = None
        self.error: BaseException | None = None
        self.leads = False
        self.woken = _taken_lock()

    def outcome(self) -> Applied | Busy | None:
        match self.error:
            case None:
                return self.applied
            case DatabaseError() | InterfaceError() as error:
                raise type(error)(*error.args) from error
            case error:
                raise OperationalError("The commit that this call shared was interrupted.") from error


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


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


def _own_line(wallet_id: int) -> Line:
    """Kept, since a wallet that was busy will be; whoever is still in one that goes is served, and only shares less."""
    if len(_own_lines) >= OWN_LINES_MAX:
        for other, line in list(_own_lines.items()):
            if line.is_empty:
                _own_lines.pop(other, None)
    return _own_lines.setdefault(wallet_id, Line(at_once=1, may_wait=True))
