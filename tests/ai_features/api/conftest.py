import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from paystack_sandbox import PaystackSandbox

CARD = {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}


@pytest.fixture
def api(buyer: User) -> APIClient:
    """The buyer's own client, with a token got the way a client gets it."""
    client = APIClient()
    token = client.post("/ai/api/token/", {"username": "ama", "password": "ama"}, format="json").json()["token"]
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@pytest.fixture
def other_api(other_buyer: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(other_buyer)
    return client


@pytest.fixture
def paid(api: APIClient, sandbox: PaystackSandbox) -> str:
    """The reference of a Value pack that Paystack has the money for and we do not know of yet."""
    reference: str = api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json").json()["reference"]
    sandbox.pay(reference, channel="card", card=CARD)
    return reference


@pytest.fixture
def anonymous() -> Client:
    return Client()
