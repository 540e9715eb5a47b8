import re

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.conftest import Start

# The keys of the sample in facts 3.5.
FIELDS = {
    *("id", "domain", "status", "reference", "receipt_number", "amount"),
    *("message", "gateway_response", "paid_at", "created_at", "channel", "currency"),
    *("ip_address", "metadata", "log", "fees", "fees_split", "authorization"),
    *("customer", "plan", "split", "order_id", "paidAt", "createdAt"),
    *("requested_amount", "pos_transaction_data", "source", "fees_breakdown", "connect", "transaction_date"),
    *("plan_object", "subaccount"),
}


def verify(client: httpx2.Client, reference: str) -> dict:
    body = client.get(f"/transaction/verify/{reference}").json()
    assert (body["status"], body["message"]) == (True, "Verification successful")
    return body["data"]


def test_unpaid_is_abandoned(client: httpx2.Client, start: Start) -> None:
    data = verify(client, start()["reference"])
    assert (data["status"], data["gateway_response"]) == ("abandoned", "The transaction was not completed")
    assert (data["paid_at"], data["paidAt"], data["authorization"], data["log"], data["fees"]) == (
        None,
        None,
        {},
        None,
        None,
    )


def test_has_the_fields_of_the_sample(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    assert set(verify(client, reference)) == FIELDS
    paystack_sandbox.pay(reference)
    assert set(verify(client, reference)) == FIELDS


def test_paid_by_card(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference)
    data = verify(client, reference)
    assert (data["status"], data["channel"], data["gateway_response"]) == ("success", "card", "Successful")
    assert (data["amount"], data["requested_amount"], data["fees"], data["domain"]) == (8000, 8000, 156, "test")
    assert data["ip_address"] == "127.0.0.1"
    card = data["authorization"]
    assert (card["bin"], card["last4"], card["card_type"], card["reusable"]) == ("408408", "4081", "visa ", True)
    assert re.fullmatch(r"AUTH_[a-z0-9]{8,10}", card["authorization_code"])
    assert re.fullmatch(r"SIG_[A-Za-z0-9]{20}", card["signature"])


def test_same_card_has_the_same_signature_and_a_new_code(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    first, second = (paystack_sandbox.pay(start()["reference"])["authorization"] for _ in range(2))
    assert first["signature"] == second["signature"]
    assert first["authorization_code"] != second["authorization_code"]


def test_paid_by_mobile_money(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference, channel="mobile_money", phone="0551234987", provider="mtn")
    data = verify(client, reference)
    assert (data["message"], data["gateway_response"], data["log"]) == ("madePayment", "Approved", None)
    wallet = data["authorization"]
    assert (wallet["bin"], wallet["last4"], wallet["exp_year"]) == ("055XXX", "X987", "9999")
    assert (wallet["bank"], wallet["brand"]) == ("MTN Mobile Money", "Mtn mobile money")


def test_dates_are_utc_with_milliseconds(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference)
    data = verify(client, reference)
    for field in ("created_at", "createdAt", "paid_at", "paidAt", "transaction_date"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data[field])


def test_ids_need_more_than_32_bits(client: httpx2.Client, start: Start) -> None:
    assert verify(client, start()["reference"])["id"] > 2**32


def test_passing_fees_on_raises_the_amount() -> None:
    with PaystackSandbox(settings=Settings(pass_fees_to_payer=True)) as sandbox:
        body = {"email": "a@b.co", "amount": 8000, "reference": "fees-on-top"}
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers)
        paid = sandbox.pay("fees-on-top")
    assert (paid["amount"], paid["requested_amount"], paid["fees"]) == (8160, 8000, 159)


@pytest.mark.parametrize("key", ["id", "reference"])
def test_timeline_by_id_and_reference(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox, key: str
) -> None:
    paid = paystack_sandbox.pay(start()["reference"])
    body = client.get(f"/transaction/timeline/{paid[key]}").json()
    assert body["message"] == "Timeline retrieved"
    assert [entry["type"] for entry in body["data"]["history"]] == ["action", "success"]


def test_fetch_by_id(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    row = paystack_sandbox.transaction(start()["reference"])
    body = client.get(f"/transaction/{row['id']}").json()
    assert (body["message"], body["data"]["reference"]) == ("Transaction retrieved", row["reference"])
    assert body["data"]["helpdesk_link"] is None
