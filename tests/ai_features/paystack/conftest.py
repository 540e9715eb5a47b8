from collections.abc import Iterator
from typing import Any

import pytest

from ai_features.paystack import PaystackService
from tests.ai_features.paystack.odd_server import OddServer

KEY = "sk_test_0123456789abcdefDONOTSHOW"


@pytest.fixture
def odd() -> Iterator[OddServer]:
    with OddServer() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    """Every pause the service made between two attempts, in seconds."""
    return []


@pytest.fixture
def make_service(odd: OddServer, pauses: list[float]) -> Iterator[Any]:
    """Services that talk to the odd server and pause in no time. They have patience, for a machine may be busy; whoever
    waits in vain takes another."""
    made = []

    def make(**changes: Any) -> PaystackService:
        wanted = {"secret_key": KEY, "base_url": odd.url, "read_timeout_seconds": 15, "total_timeout_seconds": 60}
        service = PaystackService(**{**wanted, "sleep": pauses.append, "jitter": lambda: 0.5, **changes})
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


@pytest.fixture
def service(make_service: Any) -> PaystackService:
    return make_service()
