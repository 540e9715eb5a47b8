"""A line of callers who share what is done for one of them: a commit.

Whoever carries out a batch keeps all others waiting, so it does nothing else: each call is written down by its caller
before it lines up, and one of those who are served reads the answer and wakes the rest, while the next batch is on its
way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError

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

Read = Callable[[], None]
"""What is left to do when the answer to a batch is here: to give each call its outcome. Safe to repeat."""


class Line(Generic[Asked, Given]):
    """At most `at_once` batches of it are on their way to the database; the callers that wait are the next.

    As long as anybody waits there is a leader: whoever stops makes one of them the next.
    """

    def __init__(
        self, carry_out: Callable[[list[Call[Asked, Given]]], Read], *, at_once: int, large: int = LARGE
    ) -> None:
        self._at_once = at_once
        self._large = large
        self._send_off = carry_out
        self._guard = threading.Lock()
        self._waiting: list[Call[Asked, Given]] = []
        self._inside = 0
        self._crowd = 0
        """The most that were inside lately."""
        self._leaders = 0
        self._opened_at = time.monotonic()
        self._gathering: Call[Asked, Given] | None = None
        """The leader who is about to set out."""

    @property
    def is_empty(self) -> bool:
        return not self._inside

    def is_over(self, seconds: float) -> bool:
        """Whether it has been there for so long, and nobody needs it."""
        return not self._inside and self._crowd <= 1 and time.monotonic() > self._opened_at + seconds

    def apply(self, asked: Asked) -> Given | None:
        call: Call[Asked, Given] = Call(asked)
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

    def _enter(self, call: Call[Asked, Given]) -> bool:
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

    def _gather(self, leader: Call[Asked, Given]) -> None:
        if not self._are_enough():
            leader.joined = _taken_lock()
            self._gathering = leader

    def _lead(self, leader: Call[Asked, Given]) -> None:
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

    def _gathered(self, leader: Call[Asked, Given], batch: list[Call[Asked, Given]]) -> list[Call[Asked, Given]]:
        """The batch with all who go along: those who were here just now share this commit, if they come back in a
        moment."""
        if self._gathering is leader:
            leader.joined.acquire(timeout=MOMENT_SECONDS)
        with self._guard:
            if self._gathering is leader:
                self._gathering = None
            most = min(self._share(), LONGEST)
            batch = batch + self._waiting[:most]
            errand, size, rest = Errand(batch), len(batch), self._waiting[most:]
            # From the line to the leader in one step: should it be interrupted from here on, it wakes them.
            leader.errand, leader.took_along, self._waiting = errand, size, rest
            self._crowd = max(self._inside, self._crowd - 1)
            return batch

    def _carry_out(self, batch: list[Call[Asked, Given]], leader: Call[Asked, Given]) -> None:
        errand = leader.errand
        assert errand is not None
        errand.read = self._send_off(batch)
        self._hand_out(errand, leader)
        leader.errand = None

    def _hand_out(self, errand: Errand[Asked, Given], leader: Call[Asked, Given]) -> None:
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

    def _stop_leading(self, leader: Call[Asked, Given]) -> None:
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

    def _give_up(self, call: Call[Asked, Given]) -> None:
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


class Call(Generic[Asked, Given]):
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
        self.errand: Errand[Asked, Given] | None = None
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


class Errand(Generic[Asked, Given]):
    """To read the answer to a batch and wake its callers. Whoever is interrupted at it does it again, for whom it was
    handed to may never have been woken."""

    __slots__ = ("callers", "read")

    def __init__(self, callers: Sequence[Call[Asked, Given]]) -> None:
        self.callers = tuple(callers)
        self.read: Read = nothing
        """Not before the answer is here."""

    def do(self) -> None:
        self.read()
        for call in self.callers:
            call.wake_for_good()


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def nothing() -> None:
    """To be told, as long as there is no answer."""
