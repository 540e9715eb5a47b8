"""What becomes of each failure, and what is tried again."""

import gzip
import json
import os
import socket
import time
from decimal import Decimal
from typing import Any

import pytest

from ai_features.exceptions import (
    DuplicateReference,
    PaystackBadResponse,
    PaystackError,
    PaystackKeyRefused,
    PaystackRateLimited,
    PaystackRefused,
    PaystackTimeout,
    PaystackUnavailable,
    TransactionNotFound,
)
from ai_features.paystack import PaystackService
from tests.ai_features.paystack import bodies
from tests.ai_features.paystack.bodies import INITIALIZED, VERIFIED
from tests.ai_features.paystack.odd_server import OddServer, accepted, refused, reply

PAID = accepted(VERIFIED)


def verify(service: PaystackService) -> Any:
    return service.verify_transaction("re4lyvq3s3")


def initialize(service: PaystackService) -> Any:
    return service.initialize_transaction(email="ama@example.com", amount=Decimal(80), reference="re4lyvq3s3")


def failure_of(call: Any, service: PaystackService) -> PaystackError:
    with pytest.raises(PaystackError) as caught:
        call(service)
    return caught.value


def cut(_: socket.socket) -> None:
    """Close without a word."""


def cut_in_mid_body(connection: socket.socket) -> None:
    connection.sendall(PAID[:-20])


def say_nothing(connection: socket.socket) -> None:
    """Until the other side hangs up."""
    connection.recv(1)


def drip_headers(connection: socket.socket) -> None:
    for byte in PAID:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    head, body = PAID.split(b"\r\n\r\n", 1)
    connection.sendall(head + b"\r\n\r\n")
    for byte in body:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (bodies.WRONG_KEY, PaystackKeyRefused),
        (bodies.UNKNOWN_REFERENCE, TransactionNotFound),
        (bodies.UNKNOWN_ID, TransactionNotFound),
        (bodies.DUPLICATE, DuplicateReference),
        (bodies.FOREIGN_CURRENCY, PaystackRefused),
    ],
)
@pytest.mark.parametrize("call", [verify, initialize])
def test_recorded_errors_keep_their_meaning_and_words(
    odd: OddServer, service: PaystackService, call: Any, recorded: tuple[int, Any], expected: type[PaystackError]
) -> None:
    status, body = recorded
    odd.answers = [reply(body, status)]
    error = failure_of(call, service)
    assert (type(error), error.status_code, error.outcome_unknown) == (expected, status, False)
    assert error.details()["paystack_message"] == body["message"]
    assert len(odd.requests) == 1


@pytest.mark.parametrize(
    ("message", "code", "status", "expected"),
    [
        ("", "transaction_not_found", 404, TransactionNotFound),
        ("Transaction reference not found", "", 404, TransactionNotFound),
        ("Duplicate Transaction Reference", "", 400, DuplicateReference),
        ("No Authorization Header was found", "", 401, PaystackKeyRefused),
        ("Your IP address is not allowed to make this call", "", 403, PaystackKeyRefused),
        ("Invalid Amount Sent", "", 400, PaystackRefused),
        ("Not Found", "", 404, PaystackRefused),
        ("Declined", "", 200, PaystackRefused),
        ("Invalid character in transaction reference", "invalid_character_in_reference", 400, PaystackRefused),
    ],
)
def test_errors_are_told_by_code_or_words(
    odd: OddServer, service: PaystackService, message: str, code: str, status: int, expected: type[PaystackError]
) -> None:
    odd.answers = [refused(message, code, status)]
    error = failure_of(verify, service)
    assert (type(error), error.paystack_message, error.paystack_code) == (expected, message, code)


def test_words_of_a_refusal_reach_the_message(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [refused("Invalid Amount Sent")]
    assert str(failure_of(initialize, service)) == "Paystack refused this request: Invalid Amount Sent"


def test_endless_words_are_cut(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [refused("x" * 10_000)]
    assert len(failure_of(initialize, service).paystack_message) == 300


def test_refused_key_needs_no_body(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [reply(b"", 401)]
    assert type(failure_of(verify, service)) is PaystackKeyRefused


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"<html>welcome to the hotel wifi</html>", content_type="text/html"),
        reply(b""),
        reply(b"", 204),
        reply(json.dumps({"status": True, "data": VERIFIED}).encode()[:-40]),
        reply([VERIFIED]),
        reply("text"),
        reply(None),
        reply({"message": "no status", "data": VERIFIED}),
        reply({"status": "true", "data": VERIFIED}),
        reply({"status": 1, "data": VERIFIED}),
        reply(b'{"status": true, "data": ' + b"[" * 5000),
        reply(b"\xff\xfe\x00"),
        reply(b"<html>", 404),
        accepted(None),
        accepted([VERIFIED]),
        accepted("text"),
        accepted({}),
        accepted({"authorization_url": 7}),
        reply({"status": True, "data": VERIFIED}, 302, location="/elsewhere"),
        reply({"status": True, "data": VERIFIED}, 307, location="http://127.0.0.1:9/"),
        reply({"status": True, "data": VERIFIED}, 304),
    ],
)
@pytest.mark.parametrize("call", [verify, initialize])
def test_unreadable_answers_are_not_asked_for_again(
    odd: OddServer, service: PaystackService, call: Any, answer: bytes
) -> None:
    odd.answers = [answer]
    error = failure_of(call, service)
    assert type(error) is PaystackBadResponse
    assert error.outcome_unknown is (call is initialize)
    assert len(odd.requests) == 1


@pytest.mark.parametrize("data", [None, {}, "text", {"data": []}])
def test_list_wants_a_list(odd: OddServer, service: PaystackService, data: Any) -> None:
    odd.answers = [accepted(data)]
    assert type(failure_of(lambda asked: asked.list_banks(), service)) is PaystackBadResponse


def test_half_a_character_in_a_name_does_not_hide_a_payment(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [reply(json.dumps({"status": True, "data": VERIFIED}).replace("TEST BANK", "\\ud83d").encode())]
    assert verify(service).is_paid


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 524])
def test_read_survives_a_passing_server_error(
    odd: OddServer, service: PaystackService, pauses: list[float], status: int
) -> None:
    odd.answers = [reply(b"<html>", status), reply(b"", status), PAID]
    assert verify(service).is_paid
    assert pauses == [0.2, pytest.approx(0.6)]


@pytest.mark.parametrize("trouble", [cut, cut_in_mid_body, say_nothing])
def test_read_survives_a_lost_connection(odd: OddServer, make_service: Any, trouble: Any) -> None:
    odd.answers = [trouble, PAID]
    assert verify(make_service(read_timeout_seconds=2)).is_paid
    assert len(odd.requests) == 2


def test_read_gives_up_after_the_last_retry(odd: OddServer, service: PaystackService, pauses: list[float]) -> None:
    odd.answers = [reply(b"", 503)]
    error = failure_of(verify, service)
    assert (type(error), error.status_code, error.outcome_unknown) == (PaystackUnavailable, 503, False)
    assert (len(odd.requests), len(pauses)) == (3, 2)


def test_retries_can_be_switched_off(odd: OddServer, make_service: Any) -> None:
    odd.answers = [reply(b"", 503)]
    failure_of(verify, make_service(max_retries=0))
    assert len(odd.requests) == 1


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (reply(b"<html>", 500), PaystackUnavailable),
        (reply({"status": False, "message": "try later"}, 503), PaystackUnavailable),
        (reply(b"", 408), PaystackTimeout),
        (cut, PaystackUnavailable),
        (cut_in_mid_body, PaystackUnavailable),
        (say_nothing, PaystackTimeout),
    ],
)
def test_write_that_may_have_been_done_is_sent_once(
    odd: OddServer, make_service: Any, trouble: Any, expected: type[PaystackError]
) -> None:
    odd.answers = [trouble, accepted(INITIALIZED)]
    error = failure_of(initialize, make_service(read_timeout_seconds=2))
    assert (type(error), error.outcome_unknown) == (expected, True)
    assert len(odd.requests) == 1


@pytest.mark.parametrize("call", [verify, initialize])
def test_nobody_listening_is_tried_again_and_certainly_not_done(
    make_service: Any, pauses: list[float], call: Any
) -> None:
    error = failure_of(call, make_service(base_url="http://127.0.0.1:1"))
    assert (type(error), error.outcome_unknown, len(pauses)) == (PaystackUnavailable, False, 2)


def test_write_is_sent_when_somebody_listens_at_last(odd: OddServer, make_service: Any) -> None:
    odd.answers = [accepted(INITIALIZED)]
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        address = closed_soon.getsockname()
    service = make_service(
        base_url=f"http://127.0.0.1:{address[1]}", sleep=lambda _: odd.listen_at(address), max_retries=1
    )
    assert initialize(service).reference == "re4lyvq3s3"
    assert len(odd.requests) == 1


def test_unknown_host_is_unavailable(make_service: Any) -> None:
    error = failure_of(initialize, make_service(base_url="http://paystack.invalid"))
    assert (type(error), error.outcome_unknown) == (PaystackUnavailable, False)


def test_server_that_speaks_no_tls_gets_no_request(make_service: Any, odd: OddServer) -> None:
    service = make_service(base_url=odd.url.replace("http://", "https://"), connect_timeout_seconds=0.2)
    error = failure_of(initialize, service)
    assert (isinstance(error, PaystackUnavailable), error.outcome_unknown) == (True, False)


def limited(**headers: str) -> bytes:
    body = {"status": False, "message": "Rate limit exceeded!", "type": "api_error", "code": "rate_limited"}
    return reply(body, 429, **headers)


@pytest.mark.parametrize("call", [verify, initialize])
@pytest.mark.parametrize("headers", [{"x_ratelimit_reset": "2"}, {"retry_after": "2"}, {"x_ratelimit_reset": "1.2"}])
def test_short_rate_limit_is_waited_for(
    odd: OddServer, make_service: Any, pauses: list[float], call: Any, headers: dict[str, str]
) -> None:
    odd.answers = [limited(**headers), accepted(VERIFIED | INITIALIZED)]
    assert call(make_service(total_timeout_seconds=20)).reference == "re4lyvq3s3"
    assert pauses == [2]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x_ratelimit_reset": "41"}, 41),
        ({"retry_after": "4"}, 4),
        ({"x_ratelimit_reset": "soon", "retry_after": "60"}, 60),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"x_ratelimit_reset": "1790000000"}, None),
        ({"x_ratelimit_reset": "-1"}, None),
        ({"x_ratelimit_reset": "nan"}, None),
        ({}, None),
    ],
)
def test_long_rate_limit_is_told(
    odd: OddServer, make_service: Any, headers: dict[str, str], seconds: int | None
) -> None:
    odd.answers = [limited(**headers)]
    error = failure_of(initialize, make_service(total_timeout_seconds=4))
    assert (type(error), error.retry_after_seconds) == (PaystackRateLimited, seconds)
    assert (len(odd.requests), error.outcome_unknown) == (1, False)


@pytest.mark.parametrize("drip", [drip_headers, drip_body])
@pytest.mark.parametrize("call", [verify, initialize])
def test_dripping_answer_ends_with_the_total(odd: OddServer, make_service: Any, call: Any, drip: Any) -> None:
    odd.answers = [drip]
    started = time.monotonic()
    error = failure_of(call, make_service(total_timeout_seconds=0.6))
    assert type(error) is PaystackTimeout
    # All of it would take more than a minute.
    assert 0.5 < time.monotonic() - started < 30
    assert error.outcome_unknown is (call is initialize)


def test_total_leaves_no_time_for_every_retry(odd: OddServer, make_service: Any) -> None:
    odd.answers = [say_nothing]
    failure_of(verify, make_service(read_timeout_seconds=0.4, total_timeout_seconds=2.5, max_retries=20))
    assert 1 < len(odd.requests) < 8


def test_endless_headers_end(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000)]
    assert isinstance(failure_of(initialize, service), PaystackUnavailable)


@pytest.mark.parametrize("announced", [True, False])
def test_giant_answer_is_cut_off(odd: OddServer, make_service: Any, announced: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" if announced else b"HTTP/1.1 200 OK\r\n\r\n"
    odd.answers = [lambda connection: connection.sendall(head + b" " * 100_000)]
    error = failure_of(verify, make_service(max_response_bytes=50_000))
    assert type(error) is PaystackBadResponse
    assert "larger than 50000 bytes" in str(error)


def test_compressed_answer_counts_with_its_true_size(odd: OddServer, make_service: Any) -> None:
    odd.answers = [reply(gzip.compress(b" " * 10_000_000), content_encoding="gzip")]
    assert "larger" in str(failure_of(verify, make_service(max_response_bytes=1_000_000)))


def test_compressed_answer_nobody_asked_for_is_read(odd: OddServer, service: PaystackService) -> None:
    content = gzip.compress(json.dumps({"status": True, "data": VERIFIED}).encode())
    odd.answers = [reply(content, content_encoding="gzip")]
    assert verify(service).is_paid


def test_broken_compression_is_unreadable(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [reply(os.urandom(64), content_encoding="gzip")]
    assert type(failure_of(verify, service)) is PaystackBadResponse


def test_answer_as_large_as_a_full_page_is_read(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted([VERIFIED | {"metadata": "x" * 10_000}] * 100)]
    assert len(list(service.list_transactions())) == 100
