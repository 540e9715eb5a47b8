"""Any values for any operation: JSON comes back, never a 500, and the next request is served."""

import json

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.api.call import Route
from paystack_sandbox.api.operations import ROUTES
from tests.paystack_sandbox.conftest import Start
from tests.paystack_sandbox.test_hostile import VALUES, clean

ANYTHING = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EMAIL = {"email": "ama@example.com", "amount": 8000}
FIELDS = (
    *("email", "amount", "currency", "reference", "metadata", "plan", "authorization_code", "queue", "at_least"),
    *("card", "bank", "mobile_money", "bank_transfer", "ussd", "qr", "eft", "capitec_pay", "pin", "otp", "birthday"),
    *("customer", "risk_action", "first_name", "phone", "type", "bvn", "country", "transaction", "customer_note"),
    *("refund_account_details", "name", "interval", "invoice_limit", "send_sms", "start_date", "code", "token"),
    *("refund_amount", "resolution", "message", "uploaded_filename", "evidence", "timeout", "ids", "status", "from"),
    *("account_number", "account_name", "account_type", "bank_code", "country_code", "document_type"),
)
QUERY = (
    *("perPage", "page", "next", "previous", "use_cursor", "from", "to", "status", "customer", "amount", "transaction"),
    *("account_number", "bank_code", "country", "upload_filename", "reference", "category", "limit", "preview"),
)
PATH_VALUES = (
    *("open", "paid", "waiting", "ama@example.com", "3000001", "3000002", "5000000001", "x%00", "%ff", "9" * 30),
    f"{1:024x}",
)
# Beginnings of the truth, so that not every request fails at the first check.
SOME = VALUES | st.sampled_from(
    ["ama@example.com", 8000, 100, "GHS", "open", "paid", "waiting", "daily", "declined", {"phone": "0551234987"}]
)


@pytest.fixture
def stocked(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> httpx2.Client:
    """Something of every kind is there: its numbers are the first ones."""
    start(reference="open")
    card = {"number": "4084080000671902"}
    paid = paystack_sandbox.pay(start(reference="paid")["reference"])
    paystack_sandbox.pay(start(reference="refunded")["reference"], channel="card", card=card)
    waiting = {"number": "5060666666666666666", "cvv": "123", "expiry": "12/60"}
    client.post("/charge", json={**EMAIL, "reference": "waiting", "card": waiting})
    client.post("/refund", json={"transaction": "refunded"})
    client.post("/_sandbox/disputes", json={"transaction": "paid"})
    plan = client.post("/plan", json={"name": "x", "amount": 100, "interval": "daily"}).json()["data"]["plan_code"]
    client.post("/subscription", json={"customer": "ama@example.com", "plan": plan, "start_date": "2090-01-01"})
    paystack_sandbox.advance(seconds=400)
    assert paid["status"] == "success"
    return client


def served(response: httpx2.Response) -> None:
    assert response.status_code < 500, response.text
    assert "status" in response.json()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@ANYTHING
@given(data=st.data())
def test_takes_anything(stocked: httpx2.Client, route: Route, data: st.DataObject) -> None:
    path = route.path
    while "{" in path:
        value = data.draw(st.sampled_from(PATH_VALUES))
        path = path[: path.index("{")] + value + path[path.index("}") + 1 :]
    query = clean(data.draw(st.dictionaries(st.sampled_from(QUERY), st.text(max_size=20), max_size=4)))
    body = data.draw(st.dictionaries(st.sampled_from(FIELDS), SOME, max_size=8))
    content = None if route.method == "GET" else json.dumps(data.draw(st.sampled_from([body, EMAIL | body]))).encode()
    served(stocked.request(route.method, path, params=query, content=content))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_sandbox/refunds"),
        ("POST", "/_sandbox/disputes"),
        ("PUT", "/_sandbox/authorizations/AUTH_x"),
        ("GET", "/_sandbox/authorizations/AUTH_x"),
        ("PUT", "/files/uploads/x"),
    ],
)
@ANYTHING
@given(body=st.dictionaries(st.sampled_from(["transaction", "amount", "category", "message", "balance"]), SOME))
def test_control_routes_take_anything(payer: httpx2.Client, method: str, path: str, body: dict) -> None:
    served(payer.request(method, path, content=json.dumps(body).encode()))


def test_what_a_saved_authorization_takes(payer: httpx2.Client, saved_card: str) -> None:
    for body in ({"balance": "x"}, {"declines": [1]}, {"asks_approval": "perhaps"}, {"balance": -1}):
        assert payer.put(f"/_sandbox/authorizations/{saved_card}", json=body).status_code == 400
