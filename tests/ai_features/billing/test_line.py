"""Who goes along with whom, without a database."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

import pytest
from django.db import OperationalError

from ai_features.billing.ledger import line as lines
from ai_features.billing.ledger import queue
from ai_features.billing.ledger.accounts import Charge
from ai_features.billing.ledger.line import LARGE, LARGE_SOONER, Call, Errand, Line
from ai_features.billing.ledger.operations import BUSY, Applied, Operation, Outcome, Reply
from ai_features.billing.ledger.queue import _tell
from tests.waiting import until


class InterruptedByHand(BaseException):
    """As KeyboardInterrupt, which pytest takes for its own."""


class Database:
    """Answers each call with itself, and holds the first batch until it is told to go on."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_go_on = threading.Event()

    def __call__(self, batch: Sequence[Any]) -> Callable[[], None]:
        self.sizes.append(len(batch))
        assert self.may_go_on.wait(20)
        return partial(_tell, batch, Reply(lambda: [call.asked for call in batch]))


@pytest.mark.parametrize(
    ("large", "callers", "sizes"),
    [
        (LARGE, 1, [1]),
        (LARGE, 2, [1, 1]),
        (LARGE, 11, [1, 10]),
        (LARGE, 12, [1, 6, 5]),
        (LARGE, 16, [1, 8, 7]),
        (LARGE, 33, [1, 17, 15]),
        (LARGE_SOONER, 5, [1, 4]),
        (LARGE_SOONER, 6, [1, 3, 2]),
        (LARGE_SOONER, 8, [1, 4, 3]),
    ],
)
def test_few_go_together_and_half_of_many(large: int, callers: int, sizes: list[int]) -> None:
    database = Database()
    line: Line[int, int] = Line(database, at_once=1, large=large)
    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(line.apply, 0)]
        until(lambda: database.sizes == [1])
        calls += [pool.submit(line.apply, number) for number in range(1, callers)]
        until(lambda: len(line._waiting) == callers - 1)
        database.may_go_on.set()
        assert [call.result(20) for call in calls] == list(range(callers))
    assert database.sizes == sizes
    assert line.is_empty


def test_half_of_many_set_out_while_another_batch_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOMENT_SECONDS", 20)
    database = Database()
    line: Line[int, int] = Line(database, at_once=2)
    with ThreadPoolExecutor(LARGE) as pool:
        calls = [pool.submit(line.apply, 0)]
        until(lambda: database.sizes == [1])
        calls += [pool.submit(line.apply, number) for number in range(1, LARGE)]
        until(lambda: len(database.sizes) == 2)
        assert database.sizes == [1, 1 + LARGE // 2]
        until(lambda: len(line._waiting) == LARGE - 2 - LARGE // 2)
        monkeypatch.setattr(lines, "MOMENT_SECONDS", 0)
        database.may_go_on.set()
        assert [call.result(20) for call in calls] == list(range(LARGE))
    assert line.is_empty


def test_longest_batch_is_longer_than_no_other(monkeypatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 3)
    database = Database()
    line: Line[int, int] = Line(database, at_once=1)
    with ThreadPoolExecutor(9) as pool:
        calls = [pool.submit(line.apply, number) for number in range(9)]
        until(lambda: len(line._waiting) == 8)
        database.may_go_on.set()
        assert [call.result(20) for call in calls] == list(range(9))
    assert max(database.sizes) == 3


class Gates:
    """A database that answers each batch when it is told to, and whose answers may be hard to read."""

    def __init__(self, batches: int) -> None:
        self.asked = [threading.Event() for _ in range(batches)]
        self.may_answer = [threading.Event() for _ in range(batches)]
        self.batches: list[list[Any]] = []
        self.readers: list[list[int]] = [[] for _ in range(batches)]
        self.hard_to_read: dict[int, BaseException] = {}
        self.may_read = threading.Event()
        self.may_read.set()

    def __call__(self, batch: Sequence[Any]) -> Callable[[], None]:
        number = len(self.batches)
        self.batches.append([call.asked for call in batch])
        self.asked[number].set()
        assert self.may_answer[number].wait(20)
        return partial(_tell, batch, Reply(partial(self.read, number)))

    def read(self, number: int) -> list[Any]:
        self.readers[number].append(threading.get_ident())
        assert self.may_read.wait(20)
        if number in self.hard_to_read:
            raise self.hard_to_read.pop(number)
        return self.batches[number]


@pytest.fixture
def gates() -> Gates:
    return Gates(3)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def line_up(pool: ThreadPoolExecutor, gates: Gates, *, then: int = 2) -> tuple[Line[int, int], list[Future[int]]]:
    """One at the database, who will lead, then three, and then so many: a batch each. Of six, three are enough."""
    line: Line[int, int] = Line(gates, at_once=1, large=5)
    calls = [pool.submit(line.apply, 0)]
    assert gates.asked[0].wait(20)
    calls += [pool.submit(line.apply, number) for number in (1, 2, 3)]
    until(lambda: len(line._waiting) == 3)
    gates.may_answer[0].set()
    assert gates.asked[1].wait(20)
    calls += [pool.submit(line.apply, 4 + number) for number in range(then)]
    until(lambda: len(line._waiting) == then)
    gates.may_answer[1].set()
    return line, calls


def test_answer_is_read_by_one_of_those_it_is_for_while_the_next_batch_is_on_its_way(
    gates: Gates, pool: ThreadPoolExecutor
) -> None:
    line, calls = line_up(pool, gates)
    assert gates.asked[2].wait(20)
    assert [call.result(20) for call in calls[1:4]] == [1, 2, 3]
    # The leader goes on, though it has its own outcome.
    assert not calls[0].done()
    assert not calls[4].done()
    gates.may_answer[2].set()
    assert [calls[number].result(20) for number in (0, 4, 5)] == [0, 4, 5]
    (leader,), (reader,), (last,) = gates.readers
    # Too few waited when the first and the last answer came.
    assert leader == last != reader
    assert line.is_empty


class Guard:
    """A line's lock. A thread named in `pauses` stops right after it let it go, as the interpreter may have it."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.pauses: dict[str, threading.Event] = {}
        self.after: Callable[[], None] | None = None

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if (pause := self.pauses.pop(threading.current_thread().name, None)) is not None:
            assert pause.wait(20)
        if self.after is not None:
            after, self.after = self.after, None
            after()


def test_caller_who_is_made_leader_before_it_waits_takes_no_outcome_for_its_own(gates: Gates, monkeypatch) -> None:
    monkeypatch.setattr(lines, "IN_A_ROW", 1)
    line: Line[int, int] = Line(gates, at_once=1, large=1)
    guard = Guard(line._guard)
    monkeypatch.setattr(line, "_guard", guard)
    results: dict[int, int | None] = {}

    def call(number: int) -> None:
        results[number] = line.apply(number)

    def start(number: int, waiting: int) -> None:
        threads.append(threading.Thread(target=call, args=[number], name=f"caller {number}"))
        threads[-1].start()
        until(lambda: len(line._waiting) == waiting)

    threads: list[threading.Thread] = []
    may_wait = guard.pauses["caller 1"] = threading.Event()
    start(0, 0)
    assert gates.asked[0].wait(20)
    for number in (1, 2, 3, 4):
        start(number, number)
    gates.may_answer[0].set()
    until(lambda: line._waiting[0].asked == 2)
    may_wait.set()
    assert gates.asked[1].wait(20)
    gates.may_read.clear()
    start(5, 1)
    start(6, 2)
    start(7, 3)
    gates.may_answer[1].set()
    # Another reads the answer to its batch, and takes a while.
    until(lambda: len(gates.readers[1]) == 1)
    time.sleep(0.05)
    assert 1 not in results
    gates.may_read.set()
    for gate in gates.may_answer:
        gate.set()
    for thread in threads:
        thread.join(20)
    assert results == {number: number for number in range(8)}


def test_whoever_is_interrupted_between_answer_and_outcome_is_not_told_that_nothing_was_done(
    pool: ThreadPoolExecutor,
) -> None:
    """`None` is for what was left alone, and would be done again."""

    def carry_out(batch: Sequence[Any]) -> Callable[[], None]:
        read = gates(batch)
        if len(gates.batches) == 2:
            raise InterruptedByHand
        return read

    gates = Gates(2)
    gates.may_answer[1].set()
    line: Line[int, int] = Line(carry_out, at_once=1)
    for call in line_up_behind(pool, line, gates):
        with pytest.raises(OperationalError, match="interrupted"):
            call.result(20)
    assert line.is_empty


def line_up_behind(pool: ThreadPoolExecutor, line: Line[Any, Any], gates: Gates) -> list[Future[Any]]:
    """Three who go together as soon as the one before them is back, who will lead them."""
    calls = [pool.submit(line.apply, 0)]
    assert gates.asked[0].wait(20)
    calls += [pool.submit(line.apply, number) for number in (1, 2, 3)]
    until(lambda: len(line._waiting) == 3)
    gates.may_answer[0].set()
    with pytest.raises(InterruptedByHand):
        calls[0].result(20)
    return calls[1:]


def test_leader_interrupted_right_after_it_took_the_others_along_wakes_them(
    pool: ThreadPoolExecutor, gates: Gates, monkeypatch
) -> None:
    carry_out = Line._carry_out

    def interrupted(line: Line[Any, Any], batch: list[Any], leader: Any) -> None:
        if leader not in batch:
            raise InterruptedByHand
        carry_out(line, batch, leader)

    monkeypatch.setattr(Line, "_carry_out", interrupted)
    line: Line[int, int] = Line(gates, at_once=1)
    for call in line_up_behind(pool, line, gates):
        with pytest.raises(OperationalError, match="interrupted"):
            call.result(20)
    assert line.is_empty


def test_messenger_interrupted_as_it_is_chosen_leaves_nobody_waiting(monkeypatch) -> None:
    line: Line[int, int] = Line(lambda _batch: lambda: None, at_once=1, large=1)
    guard = Guard(line._guard)
    monkeypatch.setattr(line, "_guard", guard)
    leader, messenger, other = (Call[int, int](number) for number in range(3))
    line._crowd = 1
    guard.after = lambda: line._give_up(messenger)
    line._hand_out(Errand([leader, messenger, other]), leader)
    assert not leader.woken.locked()
    assert not other.woken.locked()


def test_leader_that_has_to_wait_for_others_reads_the_answer_itself(gates: Gates, pool: ThreadPoolExecutor) -> None:
    gates.may_answer[2].set()
    line, calls = line_up(pool, gates, then=1)
    assert [call.result(20) for call in calls] == [0, 1, 2, 3, 4]
    assert gates.readers[1] == gates.readers[0]
    assert line.is_empty


def test_leader_waits_for_its_own_answer_to_be_read(gates: Gates, pool: ThreadPoolExecutor, monkeypatch) -> None:
    monkeypatch.setattr(lines, "MOMENT_SECONDS", 20)
    monkeypatch.setattr(lines, "IN_A_ROW", 1)
    gates.may_read.clear()
    line: Line[int, int] = Line(gates, at_once=1, large=1000)
    line._crowd = 3
    calls = [pool.submit(line.apply, number) for number in range(3)]
    assert gates.asked[0].wait(20)
    calls += [pool.submit(line.apply, 3)]
    until(lambda: len(line._waiting) == 1)
    line._crowd = 1
    gates.may_answer[0].set()
    # Another leads, the answer is not read.
    assert gates.asked[1].wait(20)
    gates.may_answer[1].set()
    time.sleep(0.05)
    assert not any(call.done() for call in calls)
    gates.may_read.set()
    assert [call.result(20) for call in calls] == [0, 1, 2, 3]
    assert line.is_empty


def test_what_cannot_be_read_is_told_to_all_it_is_for(gates: Gates, pool: ThreadPoolExecutor) -> None:
    gates.hard_to_read[1] = ValueError("garbled")
    line, calls = line_up(pool, gates)
    gates.may_answer[2].set()
    for call in calls[1:4]:
        with pytest.raises(OperationalError):
            call.result(20)
    assert [call.result(20) for call in (calls[0], *calls[4:])] == [0, 4, 5]
    assert line.is_empty


@pytest.mark.parametrize("then", [2, 0])
def test_whoever_is_interrupted_while_it_reads_begins_again(gates: Gates, pool: ThreadPoolExecutor, then: int) -> None:
    """Whether it is one of those who are served or, where too few wait, the leader."""
    gates.hard_to_read[1] = InterruptedByHand()
    gates.may_answer[2].set()
    line, calls = line_up(pool, gates, then=then)
    results = [call.exception(20) or call.result() for call in calls]
    assert sum(isinstance(one, InterruptedByHand) for one in results) == 1
    assert [one for one in results if not isinstance(one, InterruptedByHand)] == [
        number for number in range(len(calls)) if not isinstance(results[number], InterruptedByHand)
    ]
    assert len(gates.readers[1]) == 2
    assert line.is_empty


def test_answer_for_one_that_has_left_is_read_by_another(gates: Gates, pool: ThreadPoolExecutor) -> None:
    line: Line[int, int] = Line(gates, at_once=1, large=1)
    calls = [pool.submit(line.apply, 0)]
    assert gates.asked[0].wait(20)

    def leave(*_: object) -> None:
        raise InterruptedByHand

    def go_on() -> None:
        # The main thread is the first of the second batch by now.
        until(lambda: len(line._waiting) == 1)
        calls.append(pool.submit(line.apply, 2))
        until(lambda: len(line._waiting) == 2)
        gates.may_answer[0].set()
        assert gates.asked[1].wait(20)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, leave)
    going = pool.submit(go_on)
    with pytest.raises(InterruptedByHand):
        line.apply(1)
    signal.signal(signal.SIGUSR1, before)
    going.result(20)
    calls.append(pool.submit(line.apply, 3))
    until(lambda: len(line._waiting) == 1)
    gates.may_answer[1].set()
    gates.may_answer[2].set()
    assert [call.result(20) for call in calls] == [0, 2, 3]
    assert line.is_empty


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How calls on a wallet went, which is busy whenever it is tried among others."""
    ways: list[str] = []

    def way(name: str, given: Outcome) -> Callable[[Sequence[Operation]], Reply[Outcome]]:
        def carry_out(asked: Sequence[Operation]) -> Reply[Outcome]:
            ways.append(name)
            return Reply(lambda: [given] * len(asked))

        return carry_out

    monkeypatch.setattr(queue, "_own_lines", {})
    monkeypatch.setattr(queue, "_may_share", lambda: True)
    monkeypatch.setattr(queue, "_common_line", queue._line(way("among others", BUSY), at_once=1))
    monkeypatch.setattr(queue.hot_path, "from_one", way("alone", Applied([1], 0, 0, None)))
    return ways


def spend() -> None:
    assert queue.apply(Operation("spend", 7, 1, [Charge(1)])) == Applied([1], 0, 0, None)


def test_wallet_that_was_busy_is_soon_tried_among_others_again(ways: list[str], monkeypatch) -> None:
    monkeypatch.setattr(queue, "OWN_LINE_SECONDS", 1000)
    spend()
    spend()
    assert ways == ["among others", "alone", "alone"]
    (line,) = queue._own_lines.values()
    line._opened_at -= 1001
    spend()
    assert ways[3:] == ["among others", "alone"]
    spend()
    assert ways[5:] == ["alone"]
    assert len(queue._own_lines) == 1


def test_wallet_that_many_queue_up_for_keeps_its_line(ways: list[str], monkeypatch) -> None:
    monkeypatch.setattr(queue, "OWN_LINE_SECONDS", 0)
    spend()
    (line,) = queue._own_lines.values()
    line._crowd = 3
    spend()
    spend()
    assert ways == ["among others", "alone", "alone", "alone"]
    # By now three calls have come one after the other.
    spend()
    assert ways[4:] == ["among others", "alone"]


def test_leader_interrupted_while_others_are_awaited_leaves_the_line_open(monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError

    database = Database()
    database.may_go_on.set()
    line: Line[int, int] = Line(database, at_once=1)
    line._crowd = 8
    monkeypatch.setattr(lines, "MOMENT_SECONDS", 20)
    before = signal.signal(signal.SIGUSR1, interrupt)
    threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGUSR1]).start()
    with pytest.raises(InterruptedError):
        line.apply(1)
    signal.signal(signal.SIGUSR1, before)
    monkeypatch.setattr(lines, "MOMENT_SECONDS", 0.001)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(line.apply, 2).result(20) == 2
    assert line.is_empty


def test_leader_interrupted_as_it_hands_on_the_lead_leaves_nobody_waiting(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[Future[Any]] = []
    taken_lock = lines._taken_lock

    def interrupted() -> threading.Lock:
        monkeypatch.setattr(lines, "_taken_lock", taken_lock)
        raise InterruptedByHand

    def carry_out(batch: Sequence[Any]) -> Callable[[], None]:
        if batch[0].asked == 0:
            others.extend(pool.submit(line.apply, number) for number in (1, 2))
            until(lambda: len(line._waiting) == 2)
            monkeypatch.setattr(lines, "_taken_lock", interrupted)
        return partial(_tell, batch, Reply(lambda: [call.asked for call in batch]))

    monkeypatch.setattr(lines, "IN_A_ROW", 1)
    line: Line[int, int] = Line(carry_out, at_once=1)
    with pytest.raises(InterruptedByHand):
        line.apply(0)
    assert [other.result(20) for other in others] == [1, 2]
    assert line.is_empty


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("at_once", [1, 2])
def test_signals_at_any_moment_leave_the_line_open(at_once: int) -> None:
    def carry_out(batch: Sequence[Any]) -> Callable[[], None]:
        time.sleep(0)
        return partial(_tell, batch, Reply(lambda: [call.asked for call in batch]))

    def interrupt(*_: object) -> None:
        raise InterruptedByHand

    def go_on(number: int) -> None:
        while not enough.is_set():
            # Who shares a commit with one that is interrupted may not be told what came of it.
            with suppress(OperationalError):
                assert line.apply(number) == number

    line: Line[int, int] = Line(carry_out, at_once=at_once, large=3)
    enough, interrupted = threading.Event(), 0
    random = Random(7)  # noqa: S311  moments, no secrets
    before = signal.signal(signal.SIGALRM, interrupt)
    others = [threading.Thread(target=go_on, args=[number], daemon=True) for number in range(3)]
    for other in others:
        other.start()
    end = time.monotonic() + 1
    try:
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 1e-3))
                # Not until it comes: where a destructor is at work, Python drops it.
                for _ in range(1000):
                    with suppress(OperationalError):
                        line.apply(9)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except InterruptedByHand:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    enough.set()
    for other in others:
        other.join(20)
    assert not any(other.is_alive() for other in others)
    assert interrupted > 100
    assert (line._leaders, line._inside, line._waiting, line._gathering) == (0, 0, [], None)
