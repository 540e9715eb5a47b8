"""Who goes along with whom, without a database."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ai_features.billing.ledger import queue
from ai_features.billing.ledger.queue import LARGE, LARGE_SOONER, Line


class Database:
    """Answers each call with itself, and holds the first batch until it is told to go on."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_go_on = threading.Event()

    def __call__(self, batch: Sequence[Any]) -> None:
        self.sizes.append(len(batch))
        assert self.may_go_on.wait(20)
        for call in batch:
            call.given = call.asked


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.001)


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


def test_longest_batch_is_longer_than_no_other(monkeypatch) -> None:
    monkeypatch.setattr(queue, "LONGEST", 3)
    database = Database()
    line: Line[int, int] = Line(database, at_once=1)
    with ThreadPoolExecutor(9) as pool:
        calls = [pool.submit(line.apply, number) for number in range(9)]
        until(lambda: len(line._waiting) == 8)
        database.may_go_on.set()
        assert [call.result(20) for call in calls] == list(range(9))
    assert max(database.sizes) == 3


def test_leader_interrupted_while_others_are_awaited_leaves_the_line_open(monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError

    database = Database()
    database.may_go_on.set()
    line: Line[int, int] = Line(database, at_once=1)
    line._crowd = 8
    monkeypatch.setattr(queue, "MOMENT_SECONDS", 20)
    before = signal.signal(signal.SIGUSR1, interrupt)
    threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGUSR1]).start()
    with pytest.raises(InterruptedError):
        line.apply(1)
    signal.signal(signal.SIGUSR1, before)
    monkeypatch.setattr(queue, "MOMENT_SECONDS", 0.001)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(line.apply, 2).result(20) == 2
    assert line.is_empty
