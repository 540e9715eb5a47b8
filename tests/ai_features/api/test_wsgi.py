"""The WSGI handler of the short way answers as Django's does, and sends Django's signals where they are needed."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from knox.models import AuthToken

from ai_features.billing import AIBillingService
from ai_features.wsgi import Handler

# Django's signals close a connection that is inside a test's transaction.
pytestmark = pytest.mark.django_db(transaction=True)

SPEND = "/ai/api/credits/spend/"
BODY = b'{"credits": 1}'


@pytest.fixture
def token(buyer: User) -> str:
    AIBillingService.grant(buyer, 3, reason="trial")
    text: str = AuthToken.objects.create(buyer)[1]
    return text


@pytest.fixture
def sent() -> Iterator[list[str]]:
    names: list[str] = []
    listeners = {"started": request_started, "finished": request_finished}
    receivers = {name: lambda name=name, **_: names.append(name) for name in listeners}
    for name, signal in listeners.items():
        signal.connect(receivers[name], weak=False)
    yield names
    for name, signal in listeners.items():
        signal.disconnect(receivers[name])


def ask(
    handler: WSGIHandler, path: str = SPEND, method: str = "POST", **extra: str
) -> tuple[str, dict[str, str], bytes]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.url_scheme": "http",
        **extra,
    }
    started: list[Any] = []
    answer = handler(environ, lambda status, headers: started.extend([status, dict(headers)]))
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    status, headers = started
    return status, headers, body


def test_spend_is_answered_without_signals_and_otherwise_as_by_django(token: str, sent: list[str]) -> None:
    given = {"HTTP_AUTHORIZATION": f"Token {token}", "HTTP_X_REQUEST_ID": "the-same-request"}
    status, headers, body = ask(Handler(), **given)
    assert (sent, status, b'"new_balance":2.0' in body) == ([], "200 OK", True)
    by_django = ask(WSGIHandler(), **given)
    assert (by_django[0], by_django[1]) == (status, headers)
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_refusals_of_the_short_way_are_answered_as_by_django(token: str, sent: list[str]) -> None:
    AIBillingService.spend(User.objects.get(), 3)
    status, _headers, body = ask(Handler(), HTTP_AUTHORIZATION=f"Token {token}")
    assert (sent, status, b"insufficient_credits" in body) == ([], "402 Payment Required", True)
    assert ask(Handler(), HTTP_AUTHORIZATION=f"Token {token}", HTTP_HOST="evil.example")[0] == "400 Bad Request"


def test_addresses_in_an_answer_know_where_the_project_is_mounted(token: str) -> None:
    AIBillingService.spend(User.objects.get(), 3)
    given = {"HTTP_AUTHORIZATION": f"Token {token}", "SCRIPT_NAME": "/shop"}
    _status, _headers, body = ask(Handler(), **given)
    assert json.loads(body)["buy_url"].endswith("/shop/credits/")
    assert "/shop" not in json.loads(ask(Handler(), HTTP_AUTHORIZATION=f"Token {token}")[2])["buy_url"]


@pytest.mark.parametrize(
    ("path", "method", "token", "expected"),
    [
        (SPEND, "POST", "a" * 64, "401 Unauthorized"),
        (SPEND, "GET", "a" * 64, "401 Unauthorized"),
        ("/ai/api/usage/stats/", "GET", "a" * 64, "401 Unauthorized"),
        ("/nowhere/", "GET", "a" * 64, "404 Not Found"),
    ],
)
def test_what_needs_the_long_way_gets_both_signals_once(
    sent: list[str], path: str, method: str, token: str, expected: str
) -> None:
    status, _headers, _body = ask(Handler(), path, method, HTTP_AUTHORIZATION=f"Token {token}")
    assert (status, sent) == (expected, ["started", "finished"])


def test_without_the_middleware_everything_is_djangos(token: str, sent: list[str], settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "TokenRequestsFirst" not in name]
    status, _headers, _body = ask(Handler(), HTTP_AUTHORIZATION=f"Token {token}")
    assert (status, sent) == ("200 OK", ["started", "finished"])
