"""Refunds: their amounts, their life by the clock, their events."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.clock import Clock
from tests.paystack_sandbox.conftest import Start

Events = Callable[[], list[str]]
STEP = 180


@pytest.fixture
def paid(start: Start, paystack_sandbox: PaystackSandbox) -> dict:
    return paystack_sandbox.pay(start()["reference"])


def refund(client: httpx2.Client, transaction: object, **body: object) -> httpx2.Response:
    return client.post("/refund", json={"transaction": transaction, **body})


def status_of(client: httpx2.Client, reference: str) -> str:
    return client.get(f"/transaction/verify/{reference}").json()["data"]["status"]


def test_full_refund_from_asked_to_processed(
    client: httpx2.Client, paid: dict, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    body = refund(client, paid["reference"]).json()
    data = body["data"]
    assert (body["message"], data["status"], data["amount"]) == (
        "Refund has been queued for processing",
        "pending",
        8000,
    )
    assert data["transaction"]["reference"] == paid["reference"]
    assert status_of(client, paid["reference"]) == "reversal-pending"
    paystack_sandbox.advance(seconds=STEP)
    assert client.get(f"/refund/{data['id']}").json()["data"]["status"] == "processing"
    paystack_sandbox.advance(seconds=STEP)
    assert status_of(client, paid["reference"]) == "reversed"
    assert events() == ["charge.success", "refund.pending", "refund.processing", "refund.processed"]


def test_one_leap_of_the_clock_dates_each_step(
    client: httpx2.Client, paid: dict, paystack_sandbox: PaystackSandbox, monkeypatch
) -> None:
    # On a busy machine time passes between two looks at the clock.
    looks, now_ms = count(), Clock.now_ms
    monkeypatch.setattr(Clock, "now_ms", lambda self: now_ms(self) + (0 if self._held_at else 5 * next(looks)))
    created = refund(client, paid["id"]).json()["data"]
    paystack_sandbox.advance(seconds=86400)
    row = client.get(f"/refund/{created['id']}").json()["data"]
    asked, done = (datetime.fromisoformat(text) for text in (created["createdAt"], row["refunded_at"]))
    assert (row["status"], done - asked) == ("processed", timedelta(seconds=2 * STEP))


@pytest.mark.parametrize(
    ("card", "status", "transaction_status"),
    [("4084080000671803", "failed", "success"), ("4084080000671902", "needs-attention", "reversal-pending")],
)
def test_cards_whose_refund_does_not_end_well(
    client: httpx2.Client,
    start: Start,
    paystack_sandbox: PaystackSandbox,
    events: Events,
    card: str,
    status: str,
    transaction_status: str,
) -> None:
    paid = paystack_sandbox.pay(start()["reference"], channel="card", card={"number": card})
    refund_id = refund(client, paid["reference"]).json()["data"]["id"]
    paystack_sandbox.advance(seconds=2 * STEP)
    assert client.get(f"/refund/{refund_id}").json()["data"]["status"] == status
    assert status_of(client, paid["reference"]) == transaction_status
    assert events()[-1] == f"refund.{status}"


def test_retry_with_the_payers_account(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    paid = paystack_sandbox.pay(start()["reference"], channel="card", card={"number": "4084080000671902"})
    refund_id = refund(client, paid["reference"]).json()["data"]["id"]
    account = {"refund_account_details": {"currency": "GHS", "account_number": "0123456789", "bank_id": "9"}}
    early = client.post(f"/refund/retry_with_customer_details/{refund_id}", json=account)
    assert (early.status_code, early.json()["code"]) == (422, "invalid_params")
    paystack_sandbox.advance(seconds=2 * STEP)
    body = client.post(f"/refund/retry_with_customer_details/{refund_id}", json=account).json()
    assert body["message"] == "Refund retried and has been queued for processing"
    assert body["data"]["status"] == "processing"
    paystack_sandbox.advance(seconds=STEP)
    assert status_of(client, paid["reference"]) == "reversed"
    assert events()[-2:] == ["refund.processing", "refund.processed"]


def test_event_bodies_have_their_oddities(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    paid = paystack_sandbox.pay(start()["reference"], channel="card", card={"number": "4084080000671902"})
    refund(client, paid["reference"])
    paystack_sandbox.advance(seconds=2 * STEP)
    attention, _, pending = [row["payload"]["data"] for row in paystack_sandbox.webhooks()][:3]
    assert (pending["amount"], pending["refund_reference"], "id" in pending) == ("8000", None, False)
    assert (attention["amount"], type(attention["id"]), "processor" in attention) == (8000, str, False)
    assert {"customer_note", "merchant_note"} < set(attention)


@pytest.mark.parametrize(
    ("before", "body", "message"),
    [
        ([], {"amount": 8001}, "Total refund amount cannot exceed original transaction amount"),
        ([3000], {}, "Total refund amount cannot exceed original transaction amount"),
        ([3000, 5000], {"amount": 100}, "Cannot refund less than GHS0.5"),
        ([], {"amount": 99}, "The minimum amount you may send in a single refund at this time is: GHS1.00"),
        ([], {"currency": "NGN"}, "Transaction currency must match refund currency"),
        ([], {"amount": 10.5}, '"amount" must be an integer'),
        ([], {"transaction": "nope"}, "Transaction not found"),
    ],
)
def test_refusals(client: httpx2.Client, paid: dict, before: list[int], body: dict, message: str) -> None:
    for amount in before:
        assert refund(client, paid["reference"], amount=amount).status_code == 200
    response = client.post("/refund", json={"transaction": paid["reference"], **body})
    assert response.json()["message"] == message
    assert response.status_code in (400, 404)


def test_unpaid_transaction_cannot_be_refunded(client: httpx2.Client, start: Start) -> None:
    assert refund(client, start()["reference"]).status_code == 400


def test_list_by_the_transactions_number_only(client: httpx2.Client, paid: dict) -> None:
    refund(client, paid["reference"], amount=1000)
    refund(client, paid["reference"], amount=2000)
    body = client.get("/refund", params={"transaction": paid["id"], "currency": "NGN"}).json()
    assert (body["message"], [row["amount"] for row in body["data"]]) == ("Refunds retrieved", [2000, 1000])
    assert (body["data"][0]["transaction"], body["meta"]["total"]) == (paid["id"], 2)
    assert client.get("/refund", params={"transaction": paid["reference"]}).json()["data"] == []


def test_refund_from_the_dashboard(client: httpx2.Client, payer: httpx2.Client, paid: dict) -> None:
    made = payer.post("/_sandbox/refunds", json={"transaction": paid["reference"], "amount": 1000})
    assert made.status_code == 201
    assert client.get(f"/refund/{made.json()['id']}").json()["data"]["amount"] == 1000
    assert payer.post("/_sandbox/refunds", json={"transaction": "nope"}).status_code == 404


@pytest.mark.parametrize("path", ["/refund/7", "/refund/x", "/refund/99999999999999999999"])
def test_unknown_refund(client: httpx2.Client, path: str) -> None:
    assert client.get(path).status_code == 404
