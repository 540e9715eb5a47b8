from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.api.conftest import client_of
from tests.paystack_sandbox.conftest import Start

KNOWN = {
    "country": "NG",
    "type": "bank_account",
    "account_number": "0123456789",
    "bvn": "20012345677",
    "bank_code": "007",
    "first_name": "Asta",
    "last_name": "Lavista",
}


def create(client: httpx2.Client, **body: object) -> dict:
    response = client.post("/customer", json={"email": "kofi@example.com", **body})
    assert (response.status_code, response.json()["message"]) == (200, "Customer created")
    return response.json()["data"]


def test_create_and_fetch_by_code_email_and_in_any_case(client: httpx2.Client) -> None:
    made = create(client, first_name="Kofi", phone="+233551234987", metadata={"shop": 7})
    assert made["customer_code"].startswith("CUS_")
    for path in (made["customer_code"], "kofi@example.com", "KOFI@example.com"):
        found = client.get(f"/customer/{path}").json()
        assert found["message"] == "Customer retrieved"
        assert (found["data"]["first_name"], found["data"]["metadata"]) == ("Kofi", {"shop": 7})


@pytest.mark.parametrize("metadata", [8000, 1.5, True, "8000", "plain", "[1]", [1]])
def test_metadata_that_is_no_object_is_refused(client: httpx2.Client, metadata: Any) -> None:
    code = create(client, metadata='{"shop": 7}')["customer_code"]
    for method, path in (("POST", "/customer"), ("PUT", f"/customer/{code}")):
        answer = client.request(method, path, json={"email": "kofi@example.com", "metadata": metadata})
        assert (answer.status_code, answer.json()["message"]) == (400, '"metadata" must be an object')
    assert client.get(f"/customer/{code}").json()["data"]["metadata"] == {"shop": 7}


def test_the_same_email_is_the_same_customer(client: httpx2.Client) -> None:
    first, second = create(client, first_name="Kofi"), create(client, last_name="Mensah")
    assert (second["id"], second["first_name"], second["last_name"]) == (first["id"], "Kofi", "Mensah")


def test_a_payer_is_a_customer_with_what_was_paid(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.pay(start()["reference"])
    start()
    data = client.get("/customer/ama@example.com").json()["data"]
    assert len(data["transactions"]) == 2
    assert (data["total_transactions"], data["total_transaction_value"]) == (1, [{"currency": "GHS", "amount": 8000}])
    assert [card["last4"] for card in data["authorizations"]] == ["4081"]


def test_list_by_page_and_by_cursor(client: httpx2.Client) -> None:
    for number in range(5):
        create(client, email=f"payer{number}@example.com")
    page = client.get("/customer?perPage=2&page=2").json()
    assert [row["email"] for row in page["data"]] == ["payer2@example.com", "payer1@example.com"]
    assert page["meta"] == {"total": 5, "skipped": 2, "perPage": 2, "page": 2, "pageCount": 3}
    first = client.get("/customer?perPage=3&use_cursor=true").json()
    rest = client.get("/customer", params={"perPage": 3, "next": first["meta"]["next"]}).json()
    assert [row["email"] for row in rest["data"]] == ["payer1@example.com", "payer0@example.com"]
    assert rest["meta"]["next"] is None


def test_update_changes_what_is_sent(client: httpx2.Client) -> None:
    code = create(client, first_name="Kofi", last_name="Mensah")["customer_code"]
    body = client.put(f"/customer/{code}", json={"first_name": "Kwame"}).json()
    assert (body["message"], body["data"]["first_name"], body["data"]["last_name"]) == (
        "Customer updated",
        "Kwame",
        "Mensah",
    )


@pytest.mark.parametrize("path", ["/customer/CUS_nope", "/customer/nobody@example.com"])
def test_unknown_customer(client: httpx2.Client, path: str) -> None:
    response = client.get(path)
    message = "Customer email is invalid for your test domain."
    assert (response.status_code, response.json()["message"]) == (404, message)


@pytest.mark.parametrize(
    "body", [{"email": "x"}, {}, {"email": "a@b.co", "first_name": []}, {"email": "a@b.co", "phone": {"a": 1}}]
)
def test_create_refuses(client: httpx2.Client, body: dict) -> None:
    assert client.post("/customer", json=body).status_code == 400


def test_denied_customer_cannot_pay(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    body = client.post("/customer/set_risk_action", json={"customer": "ama@example.com", "risk_action": "deny"}).json()
    assert (body["message"], body["data"]["risk_action"]) == ("Customer updated", "deny")
    assert paystack_sandbox.pay(reference)["gateway_response"] == "Denied by fraud system"


def test_risk_action_may_be_forbidden() -> None:
    for client in client_of("GHS", Settings(may_set_risk_action=False)):
        response = client.post("/customer/set_risk_action", json={"customer": "x", "risk_action": "allow"})
        assert response.status_code == 403


@pytest.mark.parametrize(("change", "ending"), [({}, "success"), ({"bank_code": "999991"}, "failed")])
def test_identification_ends_with_an_event(
    client: httpx2.Client,
    paystack_sandbox: PaystackSandbox,
    events: Callable[[], list[str]],
    change: dict,
    ending: str,
) -> None:
    code = create(client)["customer_code"]
    response = client.post(f"/customer/{code}/identification", json=KNOWN | change)
    assert (response.status_code, response.json()["message"]) == (202, "Customer Identification in progress")
    assert events() == []
    paystack_sandbox.advance(seconds=60)
    assert events() == [f"customeridentification.{ending}"]
    data = paystack_sandbox.webhooks()[0]["payload"]["data"]
    assert (data["customer_code"], data["identification"]["bvn"]) == (code, "200*****677")
    assert client.get(f"/customer/{code}").json()["data"]["identified"] is (ending == "success")


def test_bad_bvn(client: httpx2.Client) -> None:
    code = create(client)["customer_code"]
    response = client.post(f"/customer/{code}/identification", json=KNOWN | {"bvn": "1"})
    assert (response.status_code, response.json()["message"]) == (400, "Invalid BVN")


def test_deactivated_authorization_is_gone_but_verify_still_shows_it(client: httpx2.Client, saved_card: str) -> None:
    body = {"authorization_code": saved_card}
    assert client.post("/customer/authorization/deactivate", json=body).json() == {
        "status": True,
        "message": "Authorization has been deactivated",
    }
    again = client.post("/customer/authorization/deactivate", json=body)
    assert (again.status_code, again.json()["message"]) == (404, "Authorization code not found.")
    assert client.get("/customer/ama@example.com").json()["data"]["authorizations"] == []
    paid = client.get("/transaction").json()["data"][0]
    assert paid["authorization"]["reusable"] is True
