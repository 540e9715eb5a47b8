"""Few threads wait for a Paystack that is silent."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from ai_features.exceptions import PaystackError, PaystackTimeout, PaystackUnavailable
from ai_features.paystack import PaystackService, breaker, within
from tests.ai_features.paystack.bodies import INITIALIZED, VERIFIED
from tests.ai_features.paystack.odd_server import OddServer, accepted, refused, reply
from tests.waiting import until

PATIENCE_SECONDS = 0.3

Wait = Callable[[float], None]


class Held:
    """Paystack answers when it is let."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self.may_answer.wait(30)
        connection.sendall(accepted(VERIFIED))


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.may_answer.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def hasty(make_service: Any) -> PaystackService:
    return make_service(read_timeout_seconds=PATIENCE_SECONDS, max_retries=0)


def verify(service: PaystackService) -> bool:
    return service.verify_transaction("re4lyvq3s3").is_paid


def initialize(service: PaystackService) -> Any:
    return service.initialize_transaction(email="ama@example.com", amount=Decimal(80), reference="re4lyvq3s3")


def breaker_of(service: PaystackService) -> breaker.Breaker:
    return service._connection._breaker


@pytest.fixture
def two_waiting(odd: OddServer, held: Held, service: PaystackService, pool: ThreadPoolExecutor) -> list[Future[bool]]:
    """As many as may, while it is open."""
    odd.answers = [held]
    breaker_of(service).heard_nothing()
    calls = [pool.submit(verify, service) for _ in range(breaker.AT_ONCE)]
    until(lambda: len(odd.requests) == len(calls))
    return calls


@pytest.fixture
def others_wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """So many seconds."""
    return partial(monkeypatch.setattr, breaker, "MOMENT_SECONDS")


@pytest.mark.parametrize("call", [verify, initialize])
def test_call_that_hears_nothing_opens_it(odd: OddServer, held: Held, hasty: PaystackService, call: Any) -> None:
    odd.answers = [held]
    with pytest.raises(PaystackTimeout):
        call(hasty)
    assert breaker_of(hasty).is_open


def test_call_that_somebody_else_cuts_short_does_not(odd: OddServer, held: Held, service: PaystackService) -> None:
    odd.answers = [held]
    with within(PATIENCE_SECONDS), pytest.raises(PaystackTimeout):
        verify(service)
    assert not breaker_of(service).is_open


def test_call_that_is_cut_short_keeps_it_open(odd: OddServer, held: Held, service: PaystackService) -> None:
    odd.answers = [held]
    gate = breaker_of(service)
    gate._silent_at = since = time.monotonic() - 10
    with within(PATIENCE_SECONDS), pytest.raises(PaystackTimeout):
        verify(service)
    assert gate._silent_at > since


def test_repeat_that_has_not_its_whole_time_does_not_open_it(odd: OddServer, held: Held, make_service: Any) -> None:
    odd.answers = [reply(b"", 500), held]
    patient = make_service(read_timeout_seconds=20, total_timeout_seconds=0.5)
    with pytest.raises(PaystackTimeout):
        verify(patient)
    assert len(odd.requests) == 2
    assert not breaker_of(patient).is_open


def test_refused_connection_does_not(make_service: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    nobody = make_service(base_url=f"http://127.0.0.1:{address[1]}", max_retries=0)
    with pytest.raises(PaystackUnavailable):
        verify(nobody)
    assert not breaker_of(nobody).is_open


@pytest.mark.parametrize("answer", [accepted(VERIFIED), refused("No such thing", status=404), reply(b"", 500)])
def test_any_answer_closes_it(odd: OddServer, hasty: PaystackService, answer: bytes) -> None:
    odd.answers = [answer]
    breaker_of(hasty).heard_nothing()
    with contextlib.suppress(PaystackError):
        verify(hasty)
    assert not breaker_of(hasty).is_open


def test_it_closes_by_itself(service: PaystackService, monkeypatch: pytest.MonkeyPatch) -> None:
    breaker_of(service).heard_nothing()
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0)
    assert not breaker_of(service).is_open


def test_while_it_is_open_others_are_refused_with_nothing_sent(
    two_waiting: list[Future[bool]],
    odd: OddServer,
    held: Held,
    service: PaystackService,
    others_wait: Wait,
) -> None:
    others_wait(0.1)
    for call in (verify, initialize):
        with pytest.raises(PaystackUnavailable) as caught:
            call(service)
        assert (type(caught.value), caught.value.outcome_unknown) == (PaystackUnavailable, False)
    assert len(odd.requests) == breaker.AT_ONCE
    held.may_answer.set()
    assert [call.result(20) for call in two_waiting] == [True, True]
    assert verify(service)


def test_whoever_comes_as_paystack_is_back_gets_through(
    two_waiting: list[Future[bool]],
    odd: OddServer,
    held: Held,
    service: PaystackService,
    pool: ThreadPoolExecutor,
    others_wait: Wait,
) -> None:
    others_wait(20)
    calls = two_waiting + [pool.submit(verify, service) for _ in range(6)]
    time.sleep(0.2)
    assert len(odd.requests) == breaker.AT_ONCE
    held.may_answer.set()
    assert [call.result(20) for call in calls] == [True] * 8


def test_closed_it_stops_nobody(odd: OddServer, held: Held, service: PaystackService, pool: ThreadPoolExecutor) -> None:
    odd.answers = [held]
    calls = [pool.submit(verify, service) for _ in range(8)]
    until(lambda: len(odd.requests) == 8)
    held.may_answer.set()
    assert all(call.result(20) for call in calls)


def test_wait_for_others_ends_with_the_callers_own_time(
    two_waiting: list[Future[bool]],
    odd: OddServer,
    held: Held,
    service: PaystackService,
    others_wait: Wait,
) -> None:
    others_wait(60)
    started = time.monotonic()
    with within(0.2), pytest.raises(PaystackUnavailable):
        verify(service)
    assert time.monotonic() - started < 20
    assert len(odd.requests) == breaker.AT_ONCE
    held.may_answer.set()


def test_calls_of_the_process_that_forked_are_not_counted(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(INITIALIZED)]
    parent = os.getpid() + 1
    breaker_of(service)._inside = {(parent, thread) for thread in range(breaker.AT_ONCE)}
    breaker_of(service).heard_nothing()
    assert initialize(service)
