"""What the dashboard's forms do."""

import re

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.conftest import Start
from tests.paystack_sandbox.dashboard.conftest import Press
from tests.paystack_sandbox.receiver import Receiver


def events(sandbox: PaystackSandbox) -> list[str]:
    return [row["event"] for row in sandbox.webhooks()]


def test_part_is_refunded(press: Press, payer: httpx2.Client, paid: str, paystack_sandbox: PaystackSandbox) -> None:
    answer = press(paid, do="refund", amount="10.50", note="One was broken")
    assert (answer.status_code, answer.headers["location"]) == (303, paid)
    text = payer.get(paid).text
    for shown in ("GHS 10.50", "One was broken", "all: GHS 69.50", "reversal pending"):
        assert shown in text
    assert events(paystack_sandbox)[0] == "refund.pending"


def test_empty_amount_refunds_all(press: Press, payer: httpx2.Client, paid: str) -> None:
    press(paid, do="refund", amount="")
    assert 'value="refund"' not in payer.get(paid).text
    assert press(paid, do="refund").status_code == 422


@pytest.mark.parametrize("amount", ["80.01", "0.50", "0", "-1", "1.005", "lots", "NaN", "1e400", "9" * 30])
def test_refund_of_another_amount_is_refused(
    press: Press, paid: str, paystack_sandbox: PaystackSandbox, amount: str
) -> None:
    answer = press(paid, do="refund", amount=amount)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert events(paystack_sandbox) == ["charge.success"]


def test_dispute_is_raised_and_accepted(
    press: Press, payer: httpx2.Client, paid: str, paystack_sandbox: PaystackSandbox
) -> None:
    press(paid, do="dispute", category="fraud", amount="20", message="Not me")
    text = payer.get(paid).text
    dispute = re.search(r'name="dispute" value="(\d+)"', text)
    assert dispute is not None
    assert "fraud: Not me" in text
    press(paid, do="accept", dispute=dispute[1])
    assert events(paystack_sandbox)[:2] == ["charge.dispute.resolve", "charge.dispute.create"]
    assert paystack_sandbox.transaction("order-7")["status"] == "reversed"
    assert press(paid, do="accept", dispute=dispute[1]).status_code == 422


def test_declined_dispute_moves_no_money(
    press: Press, payer: httpx2.Client, paid: str, paystack_sandbox: PaystackSandbox
) -> None:
    press(paid, do="dispute", category="general")
    (dispute,) = re.findall(r'name="dispute" value="(\d+)"', payer.get(paid).text)
    press(paid, do="decline", dispute=dispute)
    assert paystack_sandbox.transaction("order-7")["status"] == "success"
    assert "declined" in payer.get(paid).text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"do": "sell"},
        {"do": "dispute", "category": "boredom"},
        {"do": "dispute", "category": "fraud", "amount": "80.01"},
        {"do": "accept", "dispute": "7"},
        {"do": "decline", "dispute": "x"},
    ],
)
def test_forms_that_make_no_sense(press: Press, paid: str, form: dict[str, str]) -> None:
    assert press(paid, **form).status_code == 422


def test_unpaid_transaction_is_neither_refunded_nor_disputed(
    start: Start, press: Press, paystack_sandbox: PaystackSandbox
) -> None:
    path = f"/dashboard/transactions/{paystack_sandbox.transaction(start()['reference'])['id']}"
    assert press(path, do="refund").status_code == 422
    assert press(path, do="dispute", category="fraud").status_code == 422


def test_body_that_is_no_form(payer: httpx2.Client, paid: str) -> None:
    for body in (b"\xff=1", b"do[x]=1", b"[1]", b"x" * 2 * 1024 * 1024):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert payer.post(paid, content=body, headers=headers).status_code == 422


def test_delivery_is_sent_again(
    start: Start, press: Press, paystack_sandbox: PaystackSandbox, receiver: Receiver
) -> None:
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.wait_for_webhooks()
    assert press("/dashboard/webhooks/1").headers["location"] == "/dashboard/webhooks/1"
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.deliveries) == 2
    assert receiver.deliveries[0] == receiver.deliveries[1]


def test_delivery_without_an_address_can_not_be_sent(press: Press, paid: str) -> None:
    answer = press("/dashboard/webhooks/1")
    assert (answer.status_code, "--webhook-url" in answer.text) == (422, True)
    assert press("/dashboard/webhooks/2").status_code == 404


@pytest.mark.parametrize(
    ("form", "seconds"),
    [({"by": "3 minutes"}, 180), ({"number": "2", "unit": "hours"}, 7200), ({"number": "30", "unit": "days"}, 2592000)],
)
def test_clock_moves_on(press: Press, payer: httpx2.Client, form: dict[str, str], seconds: int) -> None:
    assert press("/dashboard/clock", **form).status_code == 303
    assert payer.get("/_sandbox/clock").json()["advanced_seconds"] == seconds


def test_clock_goes_to_what_waits_first(
    start: Start, press: Press, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference, channel="mobile_money", phone="0241234567", outcome="wait")
    assert "phone prompt" in payer.get("/dashboard/clock").text
    press("/dashboard/clock", do="next")
    assert paystack_sandbox.transaction(reference)["status"] == "failed"
    assert press("/dashboard/clock", do="next").status_code == 422


@pytest.mark.parametrize(
    "form",
    [{}, {"number": "0", "unit": "days"}, {"number": "-1", "unit": "days"}, {"number": "1", "unit": "weeks"},
     {"number": "1.5", "unit": "hours"}, {"number": "9999999999", "unit": "days"}, {"by": "x"}],
)  # fmt: skip
def test_clock_refuses(press: Press, payer: httpx2.Client, form: dict[str, str]) -> None:
    assert press("/dashboard/clock", **form).status_code == 422
    assert payer.get("/_sandbox/clock").json()["advanced_seconds"] == 0


def test_sandbox_is_emptied(press: Press, payer: httpx2.Client, paid: str, paystack_sandbox: PaystackSandbox) -> None:
    press("/dashboard/clock", by="1 hours")
    assert press("/dashboard/clock", do="reset").headers["location"] == "/"
    assert "No transaction yet" in payer.get("/").text
    assert payer.get(paid).status_code == 404
    assert paystack_sandbox.sandbox.log.newest() == []
