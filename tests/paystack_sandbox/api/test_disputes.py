"""Disputes: raised by the control route, reminded of and accepted by the clock, answered by the API."""

import json
from collections.abc import Callable

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.clock import iso
from paystack_sandbox.disputing import add_working_hours
from tests.paystack_sandbox.conftest import Start

Events = Callable[[], list[str]]
HOUR = 3600
EVIDENCE = {
    "customer_email": "ama@example.com",
    "customer_name": "Ama Mensah",
    "customer_phone": "0551234987",
    "service_details": "100 credits",
}


@pytest.fixture
def dispute(start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> dict:
    reference = paystack_sandbox.pay(start()["reference"])["reference"]
    response = payer.post("/_sandbox/disputes", json={"transaction": reference})
    assert response.status_code == 201
    return response.json()


def resolve(client: httpx2.Client, dispute: dict, resolution: str, amount: int = 8000) -> httpx2.Response:
    body = {"resolution": resolution, "message": "As agreed", "refund_amount": amount, "uploaded_filename": "x"}
    return client.put(f"/dispute/{dispute['id']}/resolve", json=body)


def transaction_status(client: httpx2.Client, dispute: dict) -> str:
    return client.get(f"/transaction/{dispute['transaction']['id']}").json()["data"]["status"]


def test_raised_by_the_payer(client: httpx2.Client, dispute: dict, paystack_sandbox: PaystackSandbox) -> None:
    row = paystack_sandbox.webhooks()[0]
    data = row["payload"]["data"]
    assert row["event"] == "charge.dispute.create"
    assert (data["status"], data["transaction_reference"], data["last4"]) == (
        "awaiting-merchant-feedback",
        None,
        "4081",
    )
    assert {"created_at", "updated_at"} < set(data)
    assert "createdAt" not in data
    fetched = client.get(f"/dispute/{dispute['id']}").json()
    assert (fetched["message"], fetched["data"]["refund_amount"]) == ("Dispute retrieved", 8000)


def test_list_and_by_transaction(client: httpx2.Client, dispute: dict) -> None:
    transaction_id = dispute["transaction"]["id"]
    for query in ({"status": "awaiting-merchant-feedback"}, {"transaction": transaction_id}, {"use_cursor": "true"}):
        body = client.get("/dispute", params=query).json()
        assert (body["message"], [row["id"] for row in body["data"]]) == ("Disputes retrieved", [dispute["id"]])
    assert client.get("/dispute?status=resolved").json()["data"] == []
    body = client.get(f"/dispute/transaction/{transaction_id}").json()
    assert (body["message"], body["data"]["id"]) == ("Dispute retrieved successfully", dispute["id"])


def test_reminders_every_four_hours_and_then_accepted(
    client: httpx2.Client, start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    reference = paystack_sandbox.pay(start()["reference"])["reference"]
    dispute = payer.post("/_sandbox/disputes", json={"transaction": reference, "category": "fraud"}).json()
    paystack_sandbox.advance(seconds=9 * HOUR)
    assert events()[-2:] == ["charge.dispute.remind"] * 2
    paystack_sandbox.advance(seconds=5 * 24 * HOUR)
    data = client.get(f"/dispute/{dispute['id']}").json()["data"]
    assert (data["status"], data["resolution"], data["resolvedAt"]) == ("resolved", "auto-accepted", data["dueAt"])
    assert transaction_status(client, dispute) == "reversed"
    assert events()[-1] == "charge.dispute.resolve"
    resolved = paystack_sandbox.webhooks()[0]["payload"]["data"]
    assert resolved["transaction"]["status"] == "reversed"


@pytest.mark.parametrize(
    ("resolution", "status", "refunds"), [("merchant-accepted", "reversed", [5000]), ("declined", "success", [])]
)
def test_answered_by_the_merchant(
    client: httpx2.Client,
    dispute: dict,
    paystack_sandbox: PaystackSandbox,
    events: Events,
    resolution: str,
    status: str,
    refunds: list[int],
) -> None:
    body = resolve(client, dispute, resolution, 5000).json()
    assert (body["message"], body["data"]["status"]) == ("Dispute successfully resolved", "resolved")
    assert (body["data"]["resolution"], body["data"]["message"]["body"]) == (resolution, "As agreed")
    assert transaction_status(client, dispute) == status
    assert [row["amount"] for row in client.get("/refund").json()["data"]] == refunds
    paystack_sandbox.advance(seconds=5 * 24 * HOUR)
    assert events()[-1] == "charge.dispute.resolve"
    assert resolve(client, dispute, resolution).status_code == 400


def test_evidence_upload_and_update(client: httpx2.Client, payer: httpx2.Client, dispute: dict) -> None:
    made = client.post(f"/dispute/{dispute['id']}/evidence", json=EVIDENCE).json()
    assert (made["message"], made["data"]["dispute"]) == ("Evidence created", dispute["id"])
    address = client.get(f"/dispute/{dispute['id']}/upload_url?upload_filename=receipt.pdf").json()["data"]
    assert payer.put(address["signedUrl"], content=b"%PDF").status_code == 200
    change = {"refund_amount": 1000, "uploaded_filename": address["fileName"]}
    data = client.put(f"/dispute/{dispute['id']}", json=change).json()["data"]
    assert (data["refund_amount"], data["attachments"]) == (1000, address["fileName"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "", {"refund_amount": 8001}, 400),
        ("PUT", "", {}, 400),
        ("PUT", "/resolve", {"resolution": "maybe", "message": "x", "refund_amount": 1, "uploaded_filename": "x"}, 400),
        ("PUT", "/resolve", {"resolution": "declined"}, 400),
        ("POST", "/evidence", {"customer_email": "a@b.co"}, 400),
        ("GET", "/upload_url", None, 400),
    ],
)
def test_refusals(client: httpx2.Client, dispute: dict, method: str, path: str, body: dict, status: int) -> None:
    response = client.request(method, f"/dispute/{dispute['id']}{path}", content=json.dumps(body).encode())
    assert (response.status_code, response.json()["status"]) == (status, False)


@pytest.mark.parametrize("path", ["/dispute/7", "/dispute/x", "/dispute/transaction/7", "/dispute/export"])
def test_unknown(client: httpx2.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"transaction": "nope"}, {"transaction": "open"}, {"transaction": "paid", "category": "x"}]
)
def test_control_route_refuses(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox, body: dict
) -> None:
    start(reference="open")
    paystack_sandbox.pay(start(reference="paid")["reference"])
    assert payer.post("/_sandbox/disputes", json=body).status_code in (400, 404)


@pytest.mark.parametrize(
    ("hours", "until"), [(4, "2026-11-27T20:00"), (8, "2026-11-30T00:00"), (32, "2026-12-01T00:00")]
)
def test_working_hours_leave_the_weekend_out(hours: int, until: str) -> None:
    friday = 1795795200000  # 2026-11-27T16:00Z
    assert (iso(add_working_hours(friday, hours)) or "")[:16] == until
