import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.api.conftest import client_of
from tests.paystack_sandbox.conftest import Start

MISMATCH = (
    "Email does not match Authorization code. Authorization may be inactive or belong to a different email. "
    "Please confirm."
)


def charge(client: httpx2.Client, code: str, path: str = "charge_authorization", **body: object) -> httpx2.Response:
    fields = {"email": "ama@example.com", "amount": 5000, "authorization_code": code, **body}
    return client.post(f"/transaction/{path}", json=fields)


def test_saved_card_is_charged_at_once(client: httpx2.Client, saved_card: str) -> None:
    body = charge(client, saved_card, reference="again").json()
    data = body["data"]
    assert (body["message"], data["status"], data["gateway_response"]) == ("Charge attempted", "success", "Approved")
    assert data["authorization"]["authorization_code"] == saved_card
    assert client.get("/transaction/verify/again").json()["data"]["status"] == "success"


def test_bank_may_decline_later_charges(client: httpx2.Client, payer: httpx2.Client, saved_card: str) -> None:
    payer.put(f"/_sandbox/authorizations/{saved_card}", json={"declines": "Insufficient Funds"})
    response = charge(client, saved_card)
    assert (response.status_code, response.json()["data"]["status"]) == (200, "failed")
    assert response.json()["data"]["gateway_response"] == "Insufficient Funds"
    payer.put(f"/_sandbox/authorizations/{saved_card}", json={})
    assert charge(client, saved_card).json()["data"]["status"] == "success"


def test_card_expires_by_the_clock(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    card = {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}
    paid = paystack_sandbox.pay(start()["reference"], channel="card", card=card)
    paystack_sandbox.advance(seconds=10 * 366 * 86400)
    data = charge(client, paid["authorization"]["authorization_code"]).json()["data"]
    assert (data["status"], data["gateway_response"]) == ("failed", "Expired card")


def test_bank_may_ask_for_approval(client: httpx2.Client, payer: httpx2.Client, saved_card: str) -> None:
    payer.put(f"/_sandbox/authorizations/{saved_card}", json={"asks_approval": True})
    body = charge(client, saved_card, reference="paused").json()
    assert body["message"] == "Please, redirect your customer to the authorization url provided"
    assert body["data"]["paused"] is True
    payer.post(f"{body['data']['authorization_url']}/answer", data={"step": "bank_page", "bank_page": "approve"})
    assert client.get("/transaction/verify/paused").json()["data"]["status"] == "success"


def test_queued_charge_waits_its_turn(
    client: httpx2.Client, saved_card: str, paystack_sandbox: PaystackSandbox
) -> None:
    assert charge(client, saved_card, queue=True, reference="queued").json()["data"]["status"] == "queued"
    paystack_sandbox.advance(seconds=60)
    assert client.get("/transaction/verify/queued").json()["data"]["status"] == "success"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"authorization_code": "AUTH_nope"}, "Authorization code is invalid"),
        ({"email": "kofi@example.com"}, MISMATCH),
        ({"currency": "NGN"}, "Currency not supported by merchant"),
        ({"amount": 0}, "Invalid Amount Sent"),
        ({"queue": "perhaps"}, '"queue" must be a boolean'),
    ],
)
def test_refusals_do_not_use_up_the_reference(
    client: httpx2.Client, saved_card: str, change: dict, message: str
) -> None:
    refused = charge(client, saved_card, reference="mine", **change)
    assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert charge(client, saved_card, reference="mine").json()["data"]["status"] == "success"


def test_only_reusable_and_active_authorizations(
    client: httpx2.Client, start: Start, saved_card: str, paystack_sandbox: PaystackSandbox
) -> None:
    wallet = paystack_sandbox.pay(start()["reference"], channel="mobile_money", phone="0551234987")["authorization"]
    assert charge(client, wallet["authorization_code"]).json()["message"] == MISMATCH
    client.post("/customer/authorization/deactivate", json={"authorization_code": saved_card})
    assert charge(client, saved_card).json()["message"] == MISMATCH


def test_partial_debit_is_refused_in_ghana(client: httpx2.Client, saved_card: str) -> None:
    response = charge(client, saved_card, "partial_debit", currency="GHS")
    assert (response.status_code, response.json()["message"]) == (
        400,
        "Currency GHS is not supported for Partial Debit",
    )


@pytest.mark.parametrize(
    ("balance", "least", "status", "amount"),
    [
        (None, None, "success", 5000),
        (3000, 2000, "success", 3000),
        (1000, 2000, "failed", 5000),
        (0, None, "failed", 5000),
    ],
)
def test_partial_debit_takes_what_is_there(balance: int | None, least: int | None, status: str, amount: int) -> None:
    for client in client_of("GHS", Settings(partial_debit_currencies=frozenset({"GHS"}))):
        client.post("/transaction/initialize", json={"email": "ama@example.com", "amount": 100, "reference": "first"})
        paid = client.sandbox.pay("first")  # type: ignore[attr-defined]
        code = paid["authorization"]["authorization_code"]
        client.put(f"/_sandbox/authorizations/{code}", json={"balance": balance})
        data = charge(client, code, "partial_debit", currency="GHS", at_least=least).json()["data"]
        assert (data["status"], data["amount"], data["requested_amount"], data["plan"]) == (status, amount, 5000, 0)


def test_partial_debit_of_a_stranger() -> None:
    for client in client_of("NGN"):
        response = charge(client, "AUTH_x", "partial_debit", currency="NGN")
        assert (response.status_code, response.json()["message"]) == (400, "Customer not found")


def test_check_of_a_saved_card(client: httpx2.Client, payer: httpx2.Client, saved_card: str) -> None:
    assert charge(client, saved_card, "check_authorization").json()["data"] == {"amount": 5000, "currency": "GHS"}
    payer.put(f"/_sandbox/authorizations/{saved_card}", json={"balance": 4999})
    assert charge(client, saved_card, "check_authorization").status_code == 400
