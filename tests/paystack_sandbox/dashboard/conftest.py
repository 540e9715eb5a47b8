from collections.abc import Callable

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.conftest import Start

Press = Callable[..., httpx2.Response]


@pytest.fixture
def press(payer: httpx2.Client) -> Press:
    """Send a form of the dashboard, as a browser does."""

    def press(path: str, **form: str) -> httpx2.Response:
        return payer.post(path, data=form, headers={"origin": str(payer.base_url).rstrip("/")})

    return press


@pytest.fixture
def paid(start: Start, paystack_sandbox: PaystackSandbox) -> str:
    """The page of a paid transaction of GHS 80.00."""
    data = paystack_sandbox.pay(start(reference="order-7")["reference"])
    return f"/dashboard/transactions/{data['id']}"
