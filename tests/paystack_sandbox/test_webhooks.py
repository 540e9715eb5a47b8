import hashlib
import hmac
import json
import threading

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.conftest import Start
from tests.paystack_sandbox.receiver import Receiver

HOUR = 3600
# The keys of the newest recorded body (facts 8.3, 8.4 and 3.5).
FIELDS = {
    *("id", "domain", "status", "reference", "amount", "message", "gateway_response", "paid_at", "created_at"),
    *("channel", "currency", "ip_address", "metadata", "fees_breakdown", "log", "fees", "fees_split", "authorization"),
    *(
        "customer",
        "plan",
        "subaccount",
        "split",
        "order_id",
        "paidAt",
        "requested_amount",
        "pos_transaction_data",
        "source",
    ),
}


def test_signature_is_over_the_bytes_sent(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.pay(start(metadata={"who": "Akosua Ɛ \u2028 </script>"})["reference"])
    paystack_sandbox.wait_for_webhooks()
    headers, body = receiver.deliveries[0]
    assert headers["x-paystack-signature"] == hmac.new(b"sk_test_sandbox", body, hashlib.sha512).hexdigest()
    assert (headers["content-type"], headers["user-agent"]) == ("application/json", "Paystack/2.0")
    assert headers["accept"] == "application/json, text/plain, */*"


def test_charge_success_has_todays_fields(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.pay(start(metadata='{"cart": 7}')["reference"])
    paystack_sandbox.wait_for_webhooks()
    body = json.loads(receiver.bodies[0])
    assert (set(body), body["event"], set(body["data"])) == ({"event", "data"}, "charge.success", FIELDS)
    assert (body["data"]["metadata"], body["data"]["plan"], body["data"]["log"]["success"]) == ({"cart": 7}, {}, True)
    assert body["data"]["source"]["source"] == "checkout"


def test_wrong_sum_is_rejected_and_the_order_stays_unpaid(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    row = paystack_sandbox.pay(start()["reference"], channel="bank_transfer", amount=5000)
    paystack_sandbox.wait_for_webhooks()
    body = json.loads(receiver.bodies[0])
    assert (row["status"], body["event"]) == ("abandoned", "bank.transfer.rejected")
    assert body["data"]["bank_transfer"] == {
        "amount": "5000",
        "message": "incorrect amount sent",
        "message_type": "INCORRECT_AMOUNT",
        "transaction_id": str(row["id"]),
    }


def test_declines_send_nothing(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.pay(start()["reference"], channel="card", card={"number": "4084080000005408"})
    paystack_sandbox.wait_for_webhooks()
    assert (receiver.deliveries, paystack_sandbox.webhooks()) == ([], [])


@pytest.mark.parametrize("status", [201, 204, 302, 400, 500])
def test_only_200_counts_and_redirects_are_not_followed(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox, status: int
) -> None:
    receiver.statuses, receiver.location = [status], receiver.url
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    delivery = paystack_sandbox.webhooks()[0]
    assert (delivery["delivered"], [a["status"] for a in delivery["attempts"]]) == (False, [status])
    assert len(receiver.deliveries) == 1


def test_attempts_keep_the_answer(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference)
    paystack_sandbox.wait_for_webhooks()
    delivery = paystack_sandbox.webhooks()[0]
    assert (delivery["reference"], delivery["url"], delivery["next_attempt_at"]) == (reference, receiver.url, None)
    assert [(a["status"], a["error"], a["response"]) for a in delivery["attempts"]] == [(200, None, "note")]


def test_hourly_retry_after_the_clock_moved(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    receiver.statuses = [500]
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    paystack_sandbox.advance(seconds=HOUR - 60)
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.deliveries) == 1
    paystack_sandbox.advance(seconds=61)
    paystack_sandbox.wait_for_webhooks()
    assert paystack_sandbox.webhooks()[0]["delivered"]
    assert receiver.bodies[0] == receiver.bodies[1]


def test_test_mode_gives_up_after_ten_hours(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    receiver.statuses = [500] * 50
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    paystack_sandbox.advance(seconds=100 * HOUR)
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.deliveries) == 11
    assert paystack_sandbox.webhooks()[0]["next_attempt_at"] is None


def test_live_mode_retries_in_minutes_then_for_72_hours() -> None:
    with Receiver() as receiver, PaystackSandbox(receiver.url, "sk_live_x") as sandbox:
        receiver.statuses = [500] * 100
        headers = {"Authorization": "Bearer sk_live_x"}
        body = {"email": "a@b.co", "amount": 5, "reference": "live-1"}
        httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers)
        sandbox.pay("live-1")
        sandbox.wait_for_webhooks()
        counts = [len(receiver.deliveries)]
        for seconds in (181, 180, 180, HOUR, 71 * HOUR, 100 * HOUR):
            sandbox.advance(seconds=seconds)
            sandbox.wait_for_webhooks()
            counts.append(len(receiver.deliveries))
    assert counts == [1, 2, 3, 4, 5, 76, 76]


def test_receiver_that_is_down(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.webhook_url = "http://127.0.0.1:9/hooks"
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    attempt = paystack_sandbox.webhooks()[0]["attempts"][0]
    assert attempt["status"] is None
    assert "ConnectError" in attempt["error"]


def test_send_again_delivers_a_second_time(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    paystack_sandbox.redeliver(paystack_sandbox.webhooks()[0]["id"])
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.deliveries) == 2
    assert len(paystack_sandbox.webhooks()[0]["attempts"]) == 2


def test_payer_does_not_wait_for_a_slow_receiver(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    answered = threading.Event()
    receiver.on_delivery = lambda: answered.wait(10)
    assert paystack_sandbox.pay(start()["reference"])["status"] == "success"
    answered.set()
    paystack_sandbox.wait_for_webhooks()
    assert paystack_sandbox.webhooks()[0]["delivered"]


def test_receiver_may_call_back_while_many_are_delivered(
    start: Start, client: httpx2.Client, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    references = [start()["reference"] for _ in range(8)]
    together = threading.Barrier(8)

    def call_back() -> None:
        together.wait(10)
        assert httpx2.get(f"{paystack_sandbox.url}/bank").status_code == 200

    receiver.on_delivery = call_back
    for reference in references:
        paystack_sandbox.pay(reference)
    paystack_sandbox.wait_for_webhooks()
    assert all(delivery["delivered"] for delivery in paystack_sandbox.webhooks())


def test_without_an_address_events_are_only_kept(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.pay(start()["reference"])
    delivery = paystack_sandbox.webhooks()[0]
    assert (delivery["attempts"], delivery["delivered"], delivery["next_attempt_at"]) == ([], False, None)


def test_reset_stops_deliveries_under_way(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    answered = threading.Event()
    receiver.on_delivery = lambda: answered.wait(30)
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.reset()
    paystack_sandbox.wait_for_webhooks(timeout_seconds=15)
    answered.set()
    assert paystack_sandbox.webhooks() == []


def test_list_goes_on_before_an_id(start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    for _ in range(3):
        paystack_sandbox.pay(start()["reference"])
    newest, *older = paystack_sandbox.webhooks()
    assert payer.get("/_sandbox/webhooks", params={"before": newest["id"]}).json() == older
    assert payer.get("/_sandbox/webhooks", params={"before": "x"}).status_code == 422
