"""Callers that wait at the same moment share one commit.

A call that finds no other at work goes straight to the database. While it is there, others line up; when it comes
back, one of them takes the whole line along in one transaction, where each is accepted or left to the exact path on
its own. So a lone call waits for nobody, and a hundred calls on one wallet don't wait a hundred times for its lock.

Whoever carries out a batch keeps all others waiting, so it does nothing else: each call is written down for the
database by its caller, and one of those who are served reads the answer and wakes the rest, while the next batch is on
its way.

The common line never waits for a wallet that another transaction holds; calls on that wallet get a line of their own,
whose spends let go of it early (`hot_path.from_one`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections

from ai_features.billing.ledger import hot_path
from ai_features.billing.ledger.hot_path import Applied, Busy, Delivery, Operation, Recorded, Reply

Asked = TypeVar("Asked")
Given = TypeVar("Given")

LONGEST = 128
MOMENT_SECONDS = 0.0005
LARGE = 12
"""A crowd from which on half of it is a batch worth its commit."""
LARGE_SOONER = 6
"""The same of what comes over HTTP alone, where Python has more to do for each call."""
IN_A_ROW = 16
"""Batches that one caller carries out, its own the first, before another takes over."""


Way = Callable[[Sequence[Asked]], Reply[Given]]
"""How a batch goes to the database: one statement, done as a whole or not at all."""
Read = Callable[[], None]
"""What is left to do when the answer to a batch is here: to give each call its outcome. Safe to repeat."""


def apply(operation: Operation) -> Applied | None:
    """As `hot_path.apply_one`. Inside a transaction of the caller's it goes alone, as it must."""
    if not _may_share():
        return hot_path.apply_one(operation)
    if operation.digest or operation.plain_kind:
        operation.elements()
    line = _own_lines.get(_whose(operation))
    if line is None or line.is_over:
        outcome = (_token_line if operation.digest else _common_line).apply(operation)
        if not isinstance(outcome, Busy):
            return outcome
        line = _own_line(operation)
    outcome = line.apply(operation)
    return None if isinstance(outcome, Busy) else outcome


def settle(delivery: Delivery) -> Recorded:
    """As `hot_path.settle`, together with the deliveries that come at the same moment. On PostgreSQL."""
    if _may_share():
        recorded = _deliveries.apply(delivery)
    else:
        (recorded,) = hot_path.settle([delivery]).read()
    assert recorded is not None
    return recorded


def _may_share() -> bool:
    database = connections[DEFAULT_DB_ALIAS]
    return database.vendor == "postgresql" and not database.in_atomic_block and database.get_autocommit()


OWN_LINES_MAX = 256
OWN_LINE_SECONDS = 0.25
"""After so long a wallet that nobody queues up for is tried among the others again, where it shares their commits."""


class Line(Generic[Asked, Given]):
    """At most `at_once` batches of it are on their way to the database; the callers that wait are the next.

    As long as anybody waits there is a leader: whoever stops makes one of them the next.
    """

    def __init__(
        self, carry_out: Callable[[list[_Call[Asked, Given]]], Read], *, at_once: int, large: int = LARGE
    ) -> None:
        self._at_once = at_once
        self._large = large
        self._send_off = carry_out
        self._guard = threading.Lock()
        self._waiting: list[_Call[Asked, Given]] = []
        self._inside = 0
        self._crowd = 0
        """The most that were inside lately."""
        self._leaders = 0
        self._opened_at = time.monotonic()
        self._gathering: _Call[Asked, Given] | None = None
        """The leader who is about to set out."""

    @property
    def is_empty(self) -> bool:
        return not self._inside

    @property
    def is_over(self) -> bool:
        """Of a line of a wallet's own: it has been there for a while, and nobody needs it."""
        return not self._inside and self._crowd <= 1 and time.monotonic() > self._opened_at + OWN_LINE_SECONDS

    def apply(self, asked: Asked) -> Given | None:
        call: _Call[Asked, Given] = _Call(asked)
        try:
            with self._guard:
                lines_up = not self._enter(call)
            # Though it may lead by now: each release is for one acquire.
            if lines_up:
                call.woken.acquire()
            if call.leads:
                self._lead(call)
                call.woken.acquire()
            if call.errand is not None:
                call.errand.do()
        except BaseException:
            self._give_up(call)
            raise
        return call.outcome()

    # A signal may interrupt the main thread at any call of a function and any turn of a loop. Between plain assignments
    # CPython looks for none: what belongs together is assigned together.

    def _enter(self, call: _Call[Asked, Given]) -> bool:
        """Says whether it leads; if not it lines up."""
        self._crowd = max(self._crowd, self._inside + 1)
        if self._leaders >= self._at_once or self._gathering is not None:
            self._waiting, self._inside = [*self._waiting, call], self._inside + 1
            leader = self._gathering
            if leader is not None and self._are_enough():
                self._gathering = None
                leader.joined.release()
            return False
        call.leads, self._leaders, self._inside = True, self._leaders + 1, self._inside + 1
        self._gather(call)
        return True

    def _share(self) -> int:
        """How many make a batch: all of a small crowd, since a batch costs more than a call in it; of a large one
        half, so that neither the database nor Python waits for the other."""
        return self._crowd if self._crowd < self._large else -(-self._crowd // 2)

    def _are_enough(self) -> bool:
        """With the leader, who goes along or has just been."""
        return len(self._waiting) + 1 >= self._share()

    def _gather(self, leader: _Call[Asked, Given]) -> None:
        if not self._are_enough():
            leader.joined = _taken_lock()
            self._gathering = leader

    def _lead(self, leader: _Call[Asked, Given]) -> None:
        """Carry out this call with those who wait, and then the next few batches: going on takes less time than
        waking another to do it."""
        batch, turns = [leader], IN_A_ROW
        try:
            batch = self._gathered(leader, batch)
            while batch:
                self._carry_out(batch, leader)
                turns -= 1
                with self._guard:
                    self._inside, leader.took_along = self._inside - leader.took_along, 0
                    if not turns or not self._waiting or self._gathering is not None:
                        break
                    self._gather(leader)
                batch = self._gathered(leader, [])
        finally:
            with self._guard:
                self._stop_leading(leader)

    def _gathered(self, leader: _Call[Asked, Given], batch: list[_Call[Asked, Given]]) -> list[_Call[Asked, Given]]:
        """The batch with all who go along: those who were here just now share this commit, if they come back in a
        moment."""
        if self._gathering is leader:
            leader.joined.acquire(timeout=MOMENT_SECONDS)
        with self._guard:
            if self._gathering is leader:
                self._gathering = None
            most = min(self._share(), LONGEST)
            batch = batch + self._waiting[:most]
            errand, size, rest = _Errand(batch), len(batch), self._waiting[most:]
            # From the line to the leader in one step: should it be interrupted from here on, it wakes them.
            leader.errand, leader.took_along, self._waiting = errand, size, rest
            self._crowd = max(self._inside, self._crowd - 1)
            return batch

    def _carry_out(self, batch: list[_Call[Asked, Given]], leader: _Call[Asked, Given]) -> None:
        errand = leader.errand
        assert errand is not None
        errand.read = self._send_off(batch)
        self._hand_out(errand, leader)
        leader.errand = None

    def _hand_out(self, errand: _Errand[Asked, Given], leader: _Call[Asked, Given]) -> None:
        """One of those who are served does it, so that the leader sets out again at once; if it must wait for others
        first, who may be among them, it does that itself."""
        with self._guard:
            others = (call for call in errand.callers if call is not leader and not call.has_left)
            messenger = next(others, leader) if self._are_enough() else leader
            messenger.errand = errand
        if messenger is leader:
            errand.do()
        else:
            messenger.wake_for_good()

    def _stop_leading(self, leader: _Call[Asked, Given]) -> None:
        """Safe to repeat."""
        if not leader.leads:
            return
        if self._gathering is leader:
            self._gathering = None
        leader.leads, self._leaders, self._inside = False, self._leaders - 1, self._inside - leader.took_along
        self._make_one_leader()

    def _make_one_leader(self) -> None:
        if self._waiting and self._gathering is None and self._leaders < self._at_once:
            is_enough = len(self._waiting) >= self._share()
            successor, *rest = self._waiting
            successor.joined = _taken_lock()
            self._waiting, successor.leads, self._leaders = rest, True, self._leaders + 1
            self._gathering = None if is_enough else successor
            successor.woken.release()

    def _give_up(self, call: _Call[Asked, Given]) -> None:
        """The caller was interrupted, as by a signal; whoever waits must not wait for it."""
        with self._guard:
            if call in self._waiting:
                rest = [one for one in self._waiting if one is not call]
                self._waiting, self._inside = rest, self._inside - 1
            elif call.leads:
                self._stop_leading(call)
            else:
                call.has_left = True
                # It may have been interrupted after it led and before another did.
                self._make_one_leader()
        if call.errand is not None:
            call.errand.do()


class _Call(Generic[Asked, Given]):
    """One caller. `woken` is released when its outcome is known, or when it is its turn to lead; `joined`, of a leader
    who is about to set out, when enough have come. `errand` is what it does for others when it is woken."""

    __slots__ = ("asked", "errand", "error", "given", "has_left", "is_told", "joined", "leads", "took_along", "woken")

    joined: threading.Lock

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.given: Given | None = None
        self.is_told = False
        """Whether `given` is its outcome."""
        self.error: BaseException | None = None
        self.errand: _Errand[Asked, Given] | None = None
        self.has_left = False
        self.leads = False
        self.took_along = 1
        """Of a leader: how many it answers for, of those inside; itself among them until it is served."""
        self.woken = _taken_lock()

    def wake_for_good(self) -> None:
        """Safe to repeat: nobody waits again after its outcome."""
        with suppress(RuntimeError):
            self.woken.release()

    def outcome(self) -> Given | None:
        match self.error:
            case None if self.is_told:
                return self.given
            case None:
                # Not one that was left alone: it may have been done.
                raise OperationalError("The commit that this call shared was interrupted.")
            case DatabaseError() | InterfaceError() as error:
                raise type(error)(*error.args) from error
            case error:
                raise OperationalError("The answer to this call could not be read.") from error


class _Errand(Generic[Asked, Given]):
    """To read the answer to a batch and wake its callers. Whoever is interrupted at it does it again, for whom it was
    handed to may never have been woken."""

    __slots__ = ("callers", "read")

    def __init__(self, callers: Sequence[_Call[Asked, Given]]) -> None:
        self.callers = tuple(callers)
        self.read: Read = _nothing
        """There is nothing to read before the answer is here."""

    def do(self) -> None:
        self.read()
        for call in self.callers:
            call.wake_for_good()


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _nothing() -> None:
    pass


def _carry_out(batch: list[_Call[Operation, Applied | Busy]], *, may_wait: bool) -> Read:
    """Each way is a commit of its own: what the first has done stays done, whatever becomes of the second."""
    way = hot_path.from_one if may_wait else partial(hot_path.together, may_wait=False)
    reply = _send(way, batch)
    if reply.is_complete:
        return partial(_tell, batch, reply)
    _tell(batch, reply)
    rest = [call for call in batch if call.given is None and call.error is None]
    return partial(_tell, rest, _send(partial(hot_path.one_by_one, may_wait=may_wait), rest)) if rest else _nothing


def _carry_out_by_token(batch: list[_Call[Operation, Applied | Busy]], *, may_wait: bool) -> Read:
    way = hot_path.from_one if may_wait else partial(hot_path.by_token, may_wait=False)
    return partial(_tell, batch, _send(way, batch))


def _settle(batch: list[_Call[Delivery, Recorded]]) -> Read:
    return partial(_tell, batch, _send(hot_path.settle, batch))


def _send(way: Way[Asked, Given], batch: list[_Call[Asked, Given]]) -> Reply[Given]:
    for call in batch:
        # What an earlier way said is no longer what came of it.
        call.is_told = False
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


def _tell(batch: list[_Call[Asked, Given]], reply: Reply[Given]) -> None:
    try:
        for call, outcome in zip(batch, reply.read(), strict=True):
            call.given, call.is_told = outcome, True
    except Exception as error:  # noqa: BLE001 – whoever reads it does so for all
        for call in batch:
            call.error = error


_common_line = Line(partial(_carry_out, may_wait=False), at_once=2)
_token_line = Line(partial(_carry_out_by_token, may_wait=False), at_once=1, large=LARGE_SOONER)
_own_lines: dict[int | str, Line[Operation, Applied | Busy]] = {}
_deliveries = Line(_settle, at_once=1, large=LARGE_SOONER)


def _whose(operation: Operation) -> int | str:
    return operation.digest or operation.wallet_id


def _own_line(operation: Operation) -> Line[Operation, Applied | Busy]:
    """Kept for a while, since a wallet that was busy will be; whoever is still in one that goes is served, and only
    shares less."""
    if len(_own_lines) >= OWN_LINES_MAX:
        for other, line in list(_own_lines.items()):
            if line.is_empty:
                _own_lines.pop(other, None)
    carry_out, large = (_carry_out_by_token, LARGE_SOONER) if operation.digest else (_carry_out, LARGE)
    line = Line(partial(carry_out, may_wait=True), at_once=1, large=large)
    whose = _whose(operation)
    if (old := _own_lines.get(whose)) is not None and old.is_over:
        _own_lines.pop(whose, None)
    return _own_lines.setdefault(whose, line)
