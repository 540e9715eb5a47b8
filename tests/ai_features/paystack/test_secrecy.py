"""The key is in the Authorization header and nowhere else."""

import logging
import socket
import traceback
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from ai_features.exceptions import PaystackError
from ai_features.paystack import PaystackService
from tests.ai_features.paystack.bodies import VERIFIED
from tests.ai_features.paystack.conftest import KEY
from tests.ai_features.paystack.odd_server import OddServer, accepted, refused, reply


def shown(error: BaseException) -> str:
    """All that an error tracker would collect, local variables included."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(trace.format()) + repr(error) + str(vars(error))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def cut(_: socket.socket) -> None:
    """Close without a word."""


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def initialize(service: PaystackService) -> Any:
    return service.initialize_transaction(email="ama@example.com", amount=Decimal(80), reference="T1")


@pytest.mark.parametrize(
    "answer",
    [
        reset,
        cut,
        lambda connection: connection.sendall(b"not http at all\r\n\r\n"),
        lambda connection: connection.recv(1),
        reply(b"<html>", 500),
        reply(b"<html>"),
        refused("Invalid key", "invalid_Key", 401),
        refused("Rate limit exceeded!", "rate_limited", 429),
        reply({"status": True}, 302, location="https://elsewhere.example/"),
    ],
)
def test_failure_and_its_causes_hold_no_key(odd: OddServer, make_service: Any, answer: Any) -> None:
    odd.answers = [answer]
    with pytest.raises(PaystackError) as caught:
        initialize(make_service(read_timeout_seconds=2))
    assert KEY not in shown(caught.value)
    for error in chain(caught.value):
        assert KEY not in str(vars(error))
        request = getattr(error, "_request", None)
        assert request is None or "authorization" not in request.headers


def test_write_that_stops_halfway_shows_no_key(service: PaystackService, monkeypatch: pytest.MonkeyPatch) -> None:
    def stall(*_: Any) -> int:
        raise TimeoutError

    monkeypatch.setattr(socket.socket, "send", stall)
    with pytest.raises(PaystackError) as caught:
        initialize(service)
    assert "WriteTimeout" in shown(caught.value)
    assert KEY not in shown(caught.value)


def test_unreachable_server_shows_no_key(make_service: Any) -> None:
    with pytest.raises(PaystackError) as caught:
        initialize(make_service(base_url="http://127.0.0.1:1"))
    assert KEY not in shown(caught.value)


def test_wrong_configuration_shows_no_key(settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY, settings.PAYSTACK_BASE_URL = KEY, "nonsense"
    settings.PAYSTACK_PREVIOUS_SECRET_KEYS = [KEY]
    with pytest.raises(ImproperlyConfigured) as caught:
        PaystackService.verify_transaction("T1")
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in trace.stack if "/ai_features/paystack/" in frame.filename and "test" not in frame.name]
    assert len(ours) > 2
    assert KEY not in str([frame.locals for frame in ours])


def test_answer_that_echoes_the_key_is_scrubbed(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [refused(f"Invalid key Bearer {KEY}", KEY, 400)]
    with pytest.raises(PaystackError) as caught:
        initialize(service)
    assert caught.value.paystack_message == "Invalid key Bearer [secret key]"
    assert KEY not in shown(caught.value)
    odd.answers = [accepted(VERIFIED | {"gateway_response": KEY})]
    assert KEY not in str(service.verify_transaction("re4lyvq3s3").raw)


def test_logs_of_every_level_hold_no_key_and_no_person(
    odd: OddServer, service: PaystackService, caplog: pytest.LogCaptureFixture
) -> None:
    odd.answers = [reply(b"", 503), accepted(VERIFIED)]
    for library in ("httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, library)
    with caplog.at_level(logging.DEBUG):
        service.verify_transaction("re4lyvq3s3")
        with pytest.raises(PaystackError):
            initialize(service)
    assert "httpcore2" in {record.name.split(".")[0] for record in caplog.records}
    assert KEY not in caplog.text
    assert "ama@example.com" not in caplog.text


def test_service_shows_its_address_and_no_key(service: PaystackService, odd: OddServer) -> None:
    service.verify_webhook_signature(b"{}", "")
    assert repr(service) == f"<PaystackService at {odd.url}>"
    assert KEY not in str(vars(service)) + str(vars(vars(service)["_connection"]))


def test_call_is_one_line_in_the_log(
    odd: OddServer, service: PaystackService, caplog: pytest.LogCaptureFixture
) -> None:
    odd.answers = [reply(b"", 503), accepted(VERIFIED)]
    with caplog.at_level(logging.INFO, "ai_features.paystack"):
        service.verify_transaction("re4lyvq3s3")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "ai_features.paystack"]
    assert line.startswith("GET /transaction/verify/{reference} 200 ")
    assert line.endswith(" ms attempts=2 reference=re4lyvq3s3")


@pytest.mark.parametrize(("answer", "word"), [(reply(b"", 401), " 401 "), (cut, " paystack_unavailable ")])
def test_failed_call_is_one_line_too(
    odd: OddServer, service: PaystackService, caplog: pytest.LogCaptureFixture, answer: Any, word: str
) -> None:
    odd.answers = [answer]
    with caplog.at_level(logging.INFO, "ai_features.paystack"), pytest.raises(PaystackError):
        initialize(service)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "ai_features.paystack"]
    assert line.startswith("POST /transaction/initialize")
    assert word in line
