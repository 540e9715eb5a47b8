"""`PaystackSandbox` in a Python test."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2
import pytest
import time_machine

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.conftest import Start
from tests.paystack_sandbox.receiver import Receiver


def test_merchant_refunds_and_payer_disputes(
    start: Start, paystack_sandbox: PaystackSandbox, receiver: Receiver
) -> None:
    reference = paystack_sandbox.pay(start()["reference"])["reference"]
    assert paystack_sandbox.refund(reference, amount=1000)["amount"] == 1000
    assert paystack_sandbox.dispute(reference, category="fraud")["category"] == "fraud"
    paystack_sandbox.wait_for_webhooks()
    events = [row["event"] for row in reversed(paystack_sandbox.webhooks())]
    assert events == ["charge.success", "refund.pending", "charge.dispute.create"]
    assert len(receiver.deliveries) == 3


def test_what_is_refused_says_why(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    with pytest.raises(RuntimeError, match="Only a paid transaction can be disputed"):
        paystack_sandbox.dispute(reference)
    with pytest.raises(RuntimeError, match="404"):
        paystack_sandbox.refund("nope")


def test_two_run_side_by_side() -> None:
    with PaystackSandbox() as one, PaystackSandbox(country="nigeria") as other:
        assert one.url != other.url
        for sandbox, currency in ((one, "GHS"), (other, "NGN")):
            headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
            body = {"email": "ama@example.com", "amount": 8000, "reference": "same"}
            httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers)
            assert sandbox.transaction("same")["currency"] == currency


def test_stopped_sandbox_says_that_it_is_not_running() -> None:
    with PaystackSandbox() as sandbox:
        pass
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.webhook_url


def test_fixture_gives_an_empty_sandbox_without_a_webhook_address(paystack_sandbox: PaystackSandbox) -> None:
    assert paystack_sandbox.webhook_url is None
    assert paystack_sandbox.webhooks() == []
    assert paystack_sandbox.sandbox.dice.faults.are_off
    assert paystack_sandbox.sandbox.clock.offset_ms == 0


def test_answers_carry_the_date_of_the_sandboxs_clock(paystack_sandbox: PaystackSandbox) -> None:
    def date() -> datetime:
        answer = httpx2.get(f"{paystack_sandbox.url}/bank")
        (value,) = answer.headers.get_list("date")
        return parsedate_to_datetime(value)

    with time_machine.travel(datetime(2031, 5, 1, tzinfo=UTC), tick=False):
        assert date() == datetime(2031, 5, 1, tzinfo=UTC)
    assert abs(date() - datetime.now(UTC)) < timedelta(seconds=5)
    paystack_sandbox.advance(seconds=3600)
    assert abs(date() - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=5)
