"""The pytest fixture `paystack_sandbox`: one server for the whole run, emptied for each test."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from paystack_sandbox.server import PaystackSandbox


@pytest.fixture(scope="session")
def _paystack_sandbox_server() -> "Iterator[PaystackSandbox]":
    # Not at the top: every pytest run loads this module, with or without a sandbox.
    from paystack_sandbox.server import PaystackSandbox  # noqa: PLC0415

    with PaystackSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def paystack_sandbox(_paystack_sandbox_server: "PaystackSandbox") -> "Iterator[PaystackSandbox]":
    """A running, empty sandbox with no webhook address, no faults and the clock at real time."""
    _paystack_sandbox_server.webhook_url = None
    _paystack_sandbox_server.reset()
    yield _paystack_sandbox_server
    _paystack_sandbox_server.webhook_url = None
    _paystack_sandbox_server.reset()
