from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.api.openapi import operation_of, unexplained
from tests.paystack_sandbox.conftest import Start

Post = Callable[..., Any]
CARD = {"number": "4084084084084081", "cvv": "408", "expiry": "12/60"}


@pytest.fixture
def client(client: httpx2.Client) -> httpx2.Client:
    """As everywhere, but every answer it gets is held to the OpenAPI document."""
    client.event_hooks = {"response": [as_documented]}
    return client


def as_documented(response: httpx2.Response) -> None:
    operation = operation_of(response.request.method, response.request.url.path)
    if response.is_success and operation is not None:
        response.read()
        assert unexplained(operation, response.status_code, response.json()) == []


@pytest.fixture
def saved_card(start: Start, paystack_sandbox: PaystackSandbox) -> str:
    """The code of a reusable authorization of ama@example.com."""
    code: str = paystack_sandbox.pay(start()["reference"])["authorization"]["authorization_code"]
    return code


@pytest.fixture
def events(paystack_sandbox: PaystackSandbox) -> Callable[[], list[str]]:
    """Names of all events so far, oldest first."""
    return lambda: [row["event"] for row in reversed(paystack_sandbox.webhooks())]


@pytest.fixture
def south_africa() -> Iterator[httpx2.Client]:
    yield from client_of("ZAR")


@pytest.fixture
def kenya() -> Iterator[httpx2.Client]:
    yield from client_of("KES")


@pytest.fixture
def nigeria() -> Iterator[httpx2.Client]:
    yield from client_of("NGN")


def client_of(currency: str, settings: Settings | None = None) -> Iterator[httpx2.Client]:
    """A client of a sandbox of another country; `client.sandbox` is the sandbox."""
    with PaystackSandbox(currencies=(currency,), settings=settings) as sandbox:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        with httpx2.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
            client.event_hooks = {"response": [as_documented]}
            client.sandbox = sandbox  # type: ignore[attr-defined]
            yield client
