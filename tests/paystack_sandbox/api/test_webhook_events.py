import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.conftest import Start
from tests.paystack_sandbox.receiver import Receiver

EVENTS = "/integration/webhooks/events"


@pytest.fixture
def paid(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> dict:
    paid = paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    return paid


def test_listed_fetched_and_looked_up(client: httpx2.Client, paid: dict, receiver: Receiver) -> None:
    body = client.get(EVENTS).json()
    row = body["data"][0]
    assert (body["message"], body["meta"]) == ("Webhooks listed", {"next": None, "previous": None, "perPage": 50})
    assert (row["category"], row["event_name"], row["category_row_id"]) == (
        "transactions",
        "charge.success",
        paid["id"],
    )
    assert (row["status"], row["response_code"], row["trial_count"], len(row["_id"])) == ("Delivered", 200, 1, 24)
    whole = client.get(f"{EVENTS}/{row['_id']}").json()
    assert whole["message"] == "Webhook Retrieved"
    assert (whole["data"]["webhook_url"], whole["data"]["merchant_response_body"]) == (receiver.url, "note")
    for key in (paid["id"], paid["reference"], row["_id"]):
        assert client.get(f"{EVENTS}/lookup", params={"reference": key}).json() == whole


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "Delivered"}, 1),
        ({"status": "Failed"}, 0),
        ({"category": "transactions"}, 1),
        ({"category": "refunds"}, 0),
        ({"event_type": "charge.success"}, 1),
        ({"category_row_id": "7"}, 0),
        ({"from": "2000-01-01", "to": "2001-01-01"}, 0),
        ({"limit": "1"}, 1),
    ],
)
def test_filters(client: httpx2.Client, paid: dict, query: dict, found: int) -> None:
    assert len(client.get(EVENTS, params=query).json()["data"]) == found


def test_failed_event_is_retrying(
    client: httpx2.Client, start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    receiver.statuses = [500]
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    row = client.get(EVENTS, params={"status": "Pending"}).json()["data"][0]
    assert (row["status_detail"], row["response_code"]) == ("retrying", 500)


def test_sent_again(client: httpx2.Client, paid: dict, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    event_id = client.get(EVENTS).json()["data"][0]["_id"]
    response = client.post(f"{EVENTS}/resend", json={"ids": [event_id, "nope"]})
    assert response.status_code == 202
    assert response.json()["data"] == {"count": 1, "failed": 1, "failed_ids": ["nope"]}
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.bodies) == 2


def test_sent_again_by_filter(
    client: httpx2.Client, paid: dict, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    matching = {"event_type": "charge.success"}
    preview = client.post(f"{EVENTS}/resend-matching?preview=true", json=matching)
    assert (preview.status_code, preview.json()["data"]) == (200, {"count": 1})
    response = client.post(f"{EVENTS}/resend-matching", json=matching)
    assert (response.status_code, response.json()["data"]["count"]) == (202, 1)
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.bodies) == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/665f1c2a9d1e4b0012a3c4d5", 404, "Webhook event not found"),
        ("GET", "/x", 404, "Webhook event not found"),
        ("GET", "/lookup", 400, "reference is required"),
        ("GET", "/lookup?reference=nope", 404, "Webhook event not found"),
        ("GET", "?next=bjox&previous=bjox", 400, "Invalid query: must be one of next or previous"),
        ("POST", "/resend", 400, "ids must be a non-empty array"),
    ],
)
def test_refusals(client: httpx2.Client, method: str, path: str, status: int, message: str) -> None:
    response = client.request(method, f"{EVENTS}{path}")
    assert (response.status_code, response.json()["message"]) == (status, message)
