from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.receiver import Receiver

Start = Callable[..., dict[str, Any]]


@pytest.fixture
def client(paystack_sandbox: PaystackSandbox) -> Iterator[httpx2.Client]:
    """Any Paystack client: a base address and a key."""
    headers = {"Authorization": f"Bearer {paystack_sandbox.secret_key}"}
    with httpx2.Client(base_url=paystack_sandbox.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def payer(paystack_sandbox: PaystackSandbox) -> Iterator[httpx2.Client]:
    """A browser without JavaScript."""
    with httpx2.Client(base_url=paystack_sandbox.url, trust_env=False) as client:
        yield client


@pytest.fixture
def start(client: httpx2.Client) -> Start:
    """Initialize a transaction; answers `data`."""

    def start(**body: Any) -> dict[str, Any]:
        response = client.post("/transaction/initialize", json={"email": "ama@example.com", "amount": 8000, **body})
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    return start


@pytest.fixture
def receiver(paystack_sandbox: PaystackSandbox) -> Iterator[Receiver]:
    with Receiver() as receiver:
        paystack_sandbox.webhook_url = receiver.url
        yield receiver
        paystack_sandbox.reset()
