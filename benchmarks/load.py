"""Closed loops: each client sends its next call when the last one is answered, until the time is up."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Protocol

from django.db import connection, connections

SEED = 20_260_101
WARM_UP_SECONDS = 0.5


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Client:
    """`step` makes one call and says how many operations that was; `finish` is part of the measured time.

    A step that raises StopIteration has nothing left to send.
    """

    step: Callable[[], int]
    finish: Callable[[], None] = _nothing


MakeClient = Callable[[Random], Client]


class Barrier(Protocol):
    def wait(self) -> int: ...
    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Run:
    operations: int
    started_at: float
    ended_at: float


def in_threads(make: MakeClient, clients: int, seconds: float) -> float:
    """Operations a second of so many threads of this process."""
    return _rate(_threads(make, range(clients), threading.Barrier(clients), seconds))


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """Threads that are started meanwhile share one core, as they share Python's lock anyway. On Linux."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def in_processes(make: MakeClient, processes: int, threads: int, seconds: float) -> float:
    """The same of so many processes with so many threads each."""
    connections.close_all()
    forks = multiprocessing.get_context("fork")
    barrier, results = forks.Barrier(processes * threads), forks.SimpleQueue()

    def run(first: int) -> None:
        results.put(_threads(make, range(first, first + threads), barrier, seconds))

    children = [forks.Process(target=run, args=(number * threads,)) for number in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        if child.exitcode:
            raise RuntimeError(f"A client process ended with exit status {child.exitcode}.")
    return _rate([one for _ in children for one in results.get()])


def _threads(make: MakeClient, numbers: range, barrier: Barrier, seconds: float) -> list[_Run]:
    with ThreadPoolExecutor(len(numbers)) as pool:
        futures = [pool.submit(_drive, make, number, barrier, seconds) for number in numbers]
        return [future.result() for future in futures]


def _drive(make: MakeClient, number: int, barrier: Barrier, seconds: float) -> _Run:
    try:
        client = make(Random(SEED + number))
        _repeat(client, WARM_UP_SECONDS)
        barrier.wait()
        started_at = time.perf_counter()
        operations = _repeat(client, seconds)
        client.finish()
        return _Run(operations, started_at, time.perf_counter())
    except BaseException:
        barrier.abort()
        raise
    finally:
        connection.close()


def _repeat(client: Client, seconds: float) -> int:
    step, clock = client.step, time.perf_counter
    operations, end = 0, clock() + seconds
    while clock() < end:
        try:
            operations += step()
        except StopIteration:
            break
    return operations


def _rate(runs: list[_Run]) -> float:
    elapsed = max(run.ended_at for run in runs) - min(run.started_at for run in runs)
    return sum(run.operations for run in runs) / elapsed
