"""Whatever a client sends: an answer in the one shape of errors, never a 500, and nothing changed."""

import json
from base64 import b64encode
from typing import Any, NoReturn

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.models import FeaturePrice, IdempotencyKey, LedgerEntry, Reservation
from tests.laws import assert_laws

SPEND = "/ai/api/credits/spend/"
RESERVATIONS = "/ai/api/credits/reservations/"
BALANCE = "/ai/api/credits/balance/"


@pytest.fixture(params=["token", "rest_framework"])
def spender(request: Any, api: APIClient, buyer: User) -> APIClient:
    """The buyer with 100 credits and one open reservation, the short way and the long way."""
    AIBillingService.grant(buyer, 100, reason="trial")
    FeaturePrice.objects.create(code="chat", per_unit=1_000_000)
    AIBillingService.reserve(buyer, 10)
    client = api if request.param == "token" else APIClient()
    if request.param != "token":
        client.force_authenticate(buyer)
    # What would be a 500 is raised here.
    client.raise_request_exception = True
    return client


def targets() -> list[str]:
    reservation = f"{RESERVATIONS}{Reservation.objects.get().pk}/"
    return [SPEND, RESERVATIONS, f"{reservation}capture/"]


def assert_refused(answer: Any, *statuses: int) -> None:
    body = answer.json()
    assert answer.status_code in statuses, body
    assert set(body) >= {"error", "message"}
    assert body["error"].isascii()
    assert body["message"]


def assert_unchanged(buyer: User) -> None:
    assert (LedgerEntry.objects.count(), Reservation.objects.count(), IdempotencyKey.objects.count()) == (1, 1, 0)
    wallet = AIBillingService.wallet(buyer)
    assert (wallet.balance, wallet.held) == (100_000_000, 10_000_000)
    assert_laws(wallet)


BODIES = [
    b"",
    b"null",
    b"5",
    b'"credits"',
    b"[]",
    b"{}",
    b'{"credits"',
    b"{'credits': 1}",
    b'{"credits": 1,}',
    b'{"credits": 1} 2',
    b'{"credits": -0.0}',
    b'{"credits": 0e9999}',
    b'{"credits": -Infinity}',
    b'{"credits": 1e-7}',
    b'{"credits": 1E+400}',
    b'{"credits": 1e999999999999999999999}',
    b'{"credits": 1e-999999999}',
    b'{"credits": 0.1234567}',
    b'{"credits": ' + b"9" * 5000 + b"}",
    b'{"credits": {"a": 1}}',
    b'{"credits": "1"}',
    b'{"credits": "NaN"}',
    b'{"credits": false}',
    b'{"credits": null}',
    b'{"credits": 9000000000000.1}',
    b'{"credits": 1, "feature": null}',
    b'{"credits": 1, "feature": ["chat"]}',
    b'{"credits": 1, "feature": "\\ud800"}',
    b'{"credits": 1, "feature": "a\\nb"}',
    b'{"credits": 1, "feature": "' + b"x" * 61 + b'"}',
    b'{"feature": ""}',
    b'{"feature": "nothing"}',
    b'{"feature": "chat", "units": -1}',
    b'{"feature": "chat", "units": 1e3}',
    b'{"feature": "chat", "units": 1000000000000000000000000000000}',
    b'{"feature": "chat", "units": "3"}',
    b'{"feature": "chat", "units": 0}',
    b'{"feature": "chat", "tokens_in": true}',
    b'{"credits": 1, "feature": "\xff"}',
    b'\xff\xfe{\x00"\x00',
    b"\x00",
    b"[" * 30_000,
    b'{"credits": ' + b"[" * 30_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:60]))
def test_body_that_cannot_be_used_is_refused_and_changes_nothing(spender: APIClient, buyer: User, body: bytes) -> None:
    for address in targets():
        assert_refused(spender.post(address, body, content_type="application/json"), 400, 422)
        assert_refused(spender.post(address, body, content_type="application/json", HTTP_IDEMPOTENCY_KEY="k"), 400, 422)
    assert_unchanged(buyer)


_METADATA = """
[]
5
"x"
{"a": 1e999999999}
{"a": 1e400}
{"a": -1e309}
{"a": 1e-999999999}
{"a": "\\ud800"}
{"a": "\\u0000"}
{"a": 123456789012345678901234567890}
"""
METADATA = [*_METADATA.split("\n")[1:-1], '{"a":' * 300 + "1" + "}" * 300, json.dumps({"a": "x" * 5000})]


@pytest.mark.parametrize("metadata", METADATA, ids=lambda text: text[:30])
def test_metadata_that_cannot_be_kept_is_refused(spender: APIClient, buyer: User, metadata: str) -> None:
    answer = spender.post(SPEND, f'{{"credits": 1, "metadata": {metadata}}}', content_type="application/json")
    assert_refused(answer, 422)
    assert "metadata" in answer.json()["fields"]
    assert_unchanged(buyer)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("5", "this is no object"),
        ('{"a": 1e400}', "a number in it is more than a float holds"),
        ('{"a": 1e999999999}', "a number in it is more than a float holds"),
        ('{"a": 123456789012345678901234567890}', "Integer exceeds 64-bit range"),
        ('{"a": "\\u0000"}', "no database keeps the character U+0000"),
        (json.dumps({"a": "x" * 5000}), "these are 5008"),
    ],
    ids=lambda text: text[:20],
)
def test_refused_metadata_says_what_is_wrong(spender: APIClient, metadata: str, words: str) -> None:
    answer = spender.post(SPEND, f'{{"credits": 1, "metadata": {metadata}}}', content_type="application/json")
    assert answer.json()["fields"]["metadata"] == [f"A JSON object of at most 4096 bytes: {words}."]


@pytest.mark.parametrize(
    ("number", "words"), [("1e999999999999999999999", "is too large"), ("1" * 5000, "has 5000 digits")]
)
def test_number_that_cannot_be_read_is_refused_in_words(spender: APIClient, number: str, words: str) -> None:
    answer = spender.post(SPEND, f'{{"credits": {number}}}', content_type="application/json")
    assert_refused(answer, 400)
    assert answer.json()["message"] == f"The body is not JSON: a number in it {words}."


@pytest.mark.parametrize("ttl", ["0", "-1", "1.5", "86401", "true", '"60"', "[]", "1" + "0" * 30])
def test_ttl_that_cannot_be_is_refused(spender: APIClient, buyer: User, ttl: str) -> None:
    renew = f"{RESERVATIONS}{Reservation.objects.get().pk}/renew/"
    for address in (RESERVATIONS, renew):
        body = f'{{"credits": 1, "ttl_seconds": {ttl}}}'
        answer = spender.post(address, body, content_type="application/json")
        assert_refused(answer, 422)
        assert list(answer.json()["fields"]) == ["ttl_seconds"]
    assert_unchanged(buyer)


@pytest.mark.parametrize(
    "body", [b'{"feature": "chat", "units": 1000000000000000000000000000000}', b'{"feature": "\\ud800"}']
)
def test_used_key_with_what_json_cannot_say_is_refused(spender: APIClient, body: bytes) -> None:
    spender.post(SPEND, {"credits": 1}, format="json", HTTP_IDEMPOTENCY_KEY="k")
    for address in targets():
        assert_refused(spender.post(address, body, content_type="application/json", HTTP_IDEMPOTENCY_KEY="k"), 422)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("text/plain", 415), ("application/xml", 415), ("multipart/form-data", 415), ("garbage", 415)],
)
def test_other_content_types_are_a_415(spender: APIClient, buyer: User, content_type: str, status: int) -> None:
    for address in targets():
        assert_refused(spender.post(address, b'{"credits": 1}', content_type=content_type), status)
    assert_unchanged(buyer)


def test_body_too_long_is_a_413(spender: APIClient, buyer: User) -> None:
    body = b'{"credits": 1, "x": "' + b"x" * 70_000 + b'"}'
    for address in targets():
        assert_refused(spender.post(address, body, content_type="application/json"), 413)
    assert_unchanged(buyer)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_other_methods_take_nothing(spender: APIClient, buyer: User, method: str) -> None:
    for address in targets():
        answer = spender.generic(method, address, b'{"credits": 1}', content_type="application/json")
        assert answer.status_code == (200 if method == "OPTIONS" else 405)
    assert_unchanged(buyer)


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "abc", "9" * 19, "9" * 40, "9" * 5000, "%00", "1/2"])
def test_reservation_that_cannot_be_is_a_404(spender: APIClient, number: str) -> None:
    for what in ("capture", "release", "renew"):
        answer = spender.post(f"{RESERVATIONS}{number}/{what}/", {"credits": 1}, format="json")
        assert_refused(answer, 404)


_QUESTIONS = """
usage/stats/?days=0
usage/stats/?days=-1
usage/stats/?days=367
usage/stats/?days=1.5
usage/stats/?days=abc
usage/stats/?days=%00
check-availability/
check-availability/?feature=%00
check-availability/?feature=nothing
check-availability/?feature=chat&units=999999999999999999999999999999
check-availability/?credits=0
check-availability/?credits=-1
check-availability/?credits=abc
check-availability/?credits=NaN
check-availability/?credits=%00
check-availability/?credits=1e999999999
credits/verify/
credits/verify/?reference=%00
"""
QUESTIONS = [*_QUESTIONS.split(), "usage/stats/?days=" + "9" * 5000]


@pytest.mark.parametrize("query", QUESTIONS, ids=lambda query: query[:50])
def test_question_that_cannot_be_answered_is_refused(spender: APIClient, query: str) -> None:
    assert_refused(spender.get(f"/ai/api/{query}"), 422)


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "%00", "cD1hYmM=", "bz0tMQ==", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=", "é" * 300),
        b64encode(b"p=" + b"9" * 5000).decode(),
    ],
    ids=lambda cursor: cursor[:30],
)
def test_cursor_that_was_never_given_is_no_500(spender: APIClient, cursor: str) -> None:
    for address in ("/ai/api/transactions/", "/ai/api/credits/purchases/"):
        answer = spender.get(f"{address}?cursor={cursor}")
        if answer.status_code != 200:
            assert_refused(answer, 422)


@pytest.mark.parametrize("size", ["x", "0", "-1", "1.5", "%00", "9" * 5000])
def test_page_of_no_size_is_refused(spender: APIClient, size: str) -> None:
    for address in ("/ai/api/transactions/", "/ai/api/credits/purchases/"):
        assert_refused(spender.get(f"{address}?page_size={size}"), 422)


@pytest.mark.parametrize("currency", ["%00", "xyz", "%F0%9F%92%B8", "x" * 1000])
def test_currency_that_is_none_is_refused(spender: APIClient, currency: str) -> None:
    assert_refused(spender.get(f"/ai/api/credits/packages/?currency={currency}"), 422)
    assert_refused(spender.get(f"/ai/api/payment-methods/?currency={currency}"), 422)


@pytest.mark.parametrize("token", ["", " ", "x", "é", "\x7f", "a b", "a" * 64, "a" * 5000, "0" * 64])
@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "Token "])
def test_token_that_is_none_is_a_401(db: None, scheme: str, token: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
    for answer in (client.get(BALANCE), client.post(SPEND, {"credits": 1}, format="json")):
        assert_refused(answer, 401)


def test_unusable_key_of_a_purchase_has_the_code_it_has_everywhere(api: APIClient) -> None:
    answer = api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json", HTTP_IDEMPOTENCY_KEY="")
    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_key_unusable")


@pytest.mark.parametrize("address", [BALANCE, SPEND])
def test_database_that_does_not_answer_is_a_503_to_repeat_later(spender: APIClient, address: str) -> None:
    def fail(*_: Any) -> NoReturn:
        raise OperationalError("the connection is closed")

    with connection.execute_wrapper(fail):
        answer = spender.get(address) if address == BALANCE else spender.post(address, {"credits": 1}, format="json")
    assert_refused(answer, 503)
    assert answer.json()["error"] == "database_unavailable"
    assert int(answer["Retry-After"]) > 0
