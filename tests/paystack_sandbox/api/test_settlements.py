"""Balance, ledger and payouts; the session timeout."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.clock import iso
from paystack_sandbox.settling import next_payout_ms
from tests.paystack_sandbox.conftest import Start

DAY = 86400
NET = 8000 - 156


@pytest.fixture(autouse=True)
def morning(paystack_sandbox: PaystackSandbox) -> None:
    """Ten o'clock, so that no payout comes in between."""
    now = paystack_sandbox.sandbox.clock.now()
    seconds = (now.replace(hour=10, minute=0, second=0) + timedelta(days=1) - now).total_seconds()
    paystack_sandbox.advance(seconds)


def balance(client: httpx2.Client) -> int:
    body = client.get("/balance").json()
    assert body["message"] == "Balances retrieved"
    return body["data"][0]["balance"]


def test_payments_less_fees_are_held_and_paid_out(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    paid = [paystack_sandbox.pay(start()["reference"]) for _ in range(2)]
    assert balance(client) == 2 * NET
    paystack_sandbox.advance(seconds=4 * DAY)
    assert balance(client) == 0
    body = client.get("/settlement?status=success").json()
    assert body["message"] == "Settlements retrieved"
    payout = body["data"][0]
    assert (payout["total_processed"], payout["total_fees"], payout["total_amount"]) == (16000, 312, 2 * NET)
    assert (payout["effective_amount"], payout["deductions"]) == (2 * NET, None)
    assert payout["settlement_date"].endswith("T00:00:00.000Z")
    listed = client.get(f"/settlement/{payout['id']}/transactions").json()
    assert (listed["meta"]["total"], listed["meta"]["total_volume"]) == (2, 16000)
    by_filter = client.get("/transaction", params={"settlement": payout["id"]}).json()["data"]
    assert {row["id"] for row in by_filter} == {row["id"] for row in paid}


def test_refunds_are_deducted_from_the_next_payout(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    first = paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.advance(seconds=4 * DAY)
    client.post("/refund", json={"transaction": first["reference"], "amount": 3000})
    assert balance(client) == -3000
    paystack_sandbox.advance(seconds=4 * DAY)
    assert len(client.get("/settlement").json()["data"]) == 1
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.advance(seconds=4 * DAY)
    payout = client.get("/settlement").json()["data"][0]
    assert (payout["effective_amount"], payout["deductions"]) == (NET - 3000, 3000)
    refund = client.get("/refund").json()["data"][0]
    assert refund["settlement"] == payout["id"]


def test_ledger_adds_up(client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    paid = paystack_sandbox.pay(start()["reference"], channel="card", card={"number": "4084080000671803"})
    client.post("/refund", json={"transaction": paid["reference"], "amount": 3000})
    paystack_sandbox.advance(seconds=5 * DAY)
    rows = client.get("/balance/ledger").json()["data"]
    assert [(row["model_responsible"], row["difference"]) for row in reversed(rows)] == [
        ("Transaction", NET),
        ("Refund", -3000),
        ("Refund", 3000),
        ("Settlement", -NET),
    ]
    running = 0
    for row in reversed(rows):
        running += row["difference"]
        assert row["balance"] == running


@pytest.mark.parametrize(
    ("paid", "payout"),
    [("2026-11-23T10:00", "2026-11-24"), ("2026-11-27T10:00", "2026-11-30"), ("2026-11-28T10:00", "2026-11-30")],
)
def test_payouts_on_working_days(paid: str, payout: str) -> None:
    moment = datetime.fromisoformat(paid).replace(tzinfo=UTC)
    assert (iso(next_payout_ms(int(moment.timestamp() * 1000), 1)) or "")[:10] == payout


@pytest.mark.parametrize("path", ["/settlement/7/transactions", "/settlement/x/transactions"])
def test_unknown_settlement(client: httpx2.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_session_times_out(
    client: httpx2.Client, payer: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    path = "/integration/payment_session_timeout"
    assert client.get(path).json()["data"] == {"payment_session_timeout": 0}
    reference = start()["reference"]
    answer = client.put(path, json={"timeout": 30}).json()
    assert (answer["message"], answer["data"]) == (
        "Payment session timeout updated",
        {"payment_session_timeout": 30},
    )
    paystack_sandbox.advance(seconds=31)
    late = payer.post(f"/_sandbox/transactions/{reference}/pay", json={"channel": "ussd"})
    assert late.status_code == 409
    assert paystack_sandbox.transaction(reference)["status"] == "abandoned"
    client.put(path, json={"timeout": 0})
    assert paystack_sandbox.pay(reference)["status"] == "success"


@pytest.mark.parametrize("body", [{}, {"timeout": -1}, {"timeout": "soon"}])
def test_timeout_refuses(client: httpx2.Client, body: dict) -> None:
    assert client.put("/integration/payment_session_timeout", json=body).status_code == 400
