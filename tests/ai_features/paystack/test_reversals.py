"""Refunds and disputes as Paystack answers them: its own samples, its odd shapes, and the sandbox."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ai_features.exceptions import PaystackBadResponse, PaystackRefused
from ai_features.paystack import PaystackDispute, PaystackRefund, PaystackService
from ai_features.paystack.reversals import reference_in_event
from paystack_sandbox import PaystackSandbox
from tests.ai_features.paystack.odd_server import OddServer, accepted

CREATED: dict[str, Any] = {
    "transaction": {"id": 1004723697, "reference": "T685312322670591", "amount": 10000},
    "merchant_note": "Refund for transaction T685312322670591 by test@me.com",
    "status": "pending",
    "currency": "NGN",
    "domain": "live",
    "amount": 10000,
    "id": 3018284,
    "createdAt": "2021-12-07T09:21:17.122Z",
}
LISTED: dict[str, Any] = {
    "id": "3018284",
    "transaction": 1004723697,
    "dispute": None,
    "amount": "10000",
    "currency": "NGN",
    "status": "processed",
    "created_at": "2021-12-07T09:21:17.000Z",
    "refunded_at": "2021-12-08T09:21:17.000Z",
}
DISPUTED: dict[str, Any] = {
    "id": 358950,
    "refund_amount": 5800,
    "currency": "NGN",
    "status": "awaiting-merchant-feedback",
    "resolution": None,
    "domain": "live",
    "transaction": {"id": 896467688, "status": "success", "reference": "v3mjfgbnc19v97x", "amount": 5800},
    "transaction_reference": None,
    "category": "chargeback",
    "dueAt": "2020-11-25T18:00:00.000Z",
    "resolvedAt": None,
    "created_at": "2020-11-24T13:46:57.000Z",
}


def test_refund_is_read_from_the_answer_to_create() -> None:
    refund = PaystackRefund.from_payload(CREATED)
    assert (refund.id, refund.transaction_id, refund.reference) == (3018284, 1004723697, "T685312322670591")
    assert (refund.status, refund.amount_minor, refund.currency) == ("pending", 10000, "NGN")
    assert refund.created_at == datetime(2021, 12, 7, 9, 21, 17, 122000, UTC)


def test_refund_is_read_from_a_row_of_the_list() -> None:
    refund = PaystackRefund.from_payload(LISTED)
    assert (refund.id, refund.transaction_id, refund.amount_minor, refund.dispute_id) == (
        3018284,
        1004723697,
        10000,
        None,
    )


@pytest.mark.parametrize(("dispute", "number"), [(7, 7), ("7", 7), ({"id": 7}, 7), ({}, None), ("x", None)])
def test_dispute_of_a_refund_comes_in_several_shapes(dispute: Any, number: int | None) -> None:
    assert PaystackRefund.from_payload({**LISTED, "dispute": dispute}).dispute_id == number


@pytest.mark.parametrize(
    "change", [{"id": None}, {"id": "x"}, {"amount": "1.5"}, {"amount": None}, {"status": ""}, {"status": None}]
)
def test_refund_without_what_it_hangs_on_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PaystackBadResponse):
        PaystackRefund.from_payload({**LISTED, **change})


def test_dispute_is_read_from_the_event_of_the_documentation() -> None:
    dispute = PaystackDispute.from_payload(DISPUTED)
    assert (dispute.id, dispute.reference, dispute.transaction_id) == (358950, "v3mjfgbnc19v97x", 896467688)
    assert (dispute.is_open, dispute.is_accepted, dispute.refund_amount_minor) == (True, False, 5800)
    assert dispute.due_at == datetime(2020, 11, 25, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("resolution", "transaction_status", "is_accepted"),
    [
        ("merchant-accepted", "reversed", True),
        ("auto-accepted", "success", True),
        ("declined", "reversed", False),
        (None, "reversed", True),
        ("new-word", "success", False),
    ],
)
def test_who_has_the_money_in_the_end(resolution: str | None, transaction_status: str, is_accepted: bool) -> None:
    ended = {"status": "resolved", "resolution": resolution}
    paid = {**DISPUTED["transaction"], "status": transaction_status}
    dispute = PaystackDispute.from_payload({**DISPUTED, **ended, "transaction": paid})
    assert (dispute.is_open, dispute.is_accepted) == (False, is_accepted)


@pytest.mark.parametrize(
    ("data", "reference"),
    [
        ({"transaction_reference": "T1"}, "T1"),
        ({"transaction_reference": None, "transaction": {"reference": "T2"}}, "T2"),
        ({"transaction": 12, "transaction_reference": "T3"}, "T3"),
        ({"transaction_reference": ["T"]}, ""),
        ({"transaction_reference": "T\0"}, ""),
        ({}, ""),
    ],
)
def test_reference_in_an_event(data: dict[str, Any], reference: str) -> None:
    assert reference_in_event(data) == reference


def test_refund_is_asked_for_in_the_subunit(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(CREATED)]
    service.create_refund(transaction="T1", amount=Decimal("100.00"), currency="NGN", merchant_note="why")
    assert odd.body() == {"transaction": "T1", "amount": 10000, "currency": "NGN", "merchant_note": "why"}


def test_unreadable_answer_to_a_refund_may_have_made_one(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted({**CREATED, "id": None})]
    with pytest.raises(PaystackBadResponse) as caught:
        service.create_refund(transaction="T1", amount=1, currency="NGN")
    assert caught.value.outcome_unknown


def test_unreadable_row_of_the_list_is_an_error(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted([LISTED, {"id": None}])]
    with pytest.raises(PaystackBadResponse):
        list(service.list_refunds(transaction_id=1))


def test_answer_for_another_refund_or_dispute_is_refused(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(LISTED)]
    with pytest.raises(PaystackBadResponse, match="another refund"):
        service.fetch_refund(1)
    odd.answers = [accepted(DISPUTED)]
    with pytest.raises(PaystackBadResponse, match="another dispute"):
        service.fetch_dispute(1)


@pytest.fixture
def paid(sandbox: PaystackSandbox) -> int:
    PaystackService.initialize_transaction(email="ama@example.com", amount=80, reference="T-1")
    return int(sandbox.pay("T-1", channel="card", card={"number": "4084080000671902"})["id"])


def test_life_of_a_refund_at_the_sandbox(sandbox: PaystackSandbox, paid: int) -> None:
    asked = PaystackService.create_refund(transaction="T-1", amount=30, currency="GHS")
    assert [row.id for row in PaystackService.list_refunds(transaction_id=paid)] == [asked.id]
    sandbox.advance(seconds=360)
    assert PaystackService.fetch_refund(asked.id).status == "needs-attention"
    sent = PaystackService.retry_refund(asked.id, currency="GHS", account_number="0123456789", bank_id="9")
    assert sent.status == "processing"


def test_refusal_of_a_refund_keeps_paystacks_words(paid: int) -> None:
    with pytest.raises(PaystackRefused, match="cannot exceed"):
        PaystackService.create_refund(transaction="T-1", amount=81, currency="GHS")


def test_dispute_is_found_at_the_sandbox(sandbox: PaystackSandbox, paid: int) -> None:
    number = sandbox._call("POST", "/_sandbox/disputes", {"transaction": "T-1"})["id"]
    assert PaystackService.fetch_dispute(number).reference == "T-1"
    assert [row.id for row in PaystackService.list_disputes(transaction_id=paid)] == [number]
    assert list(PaystackService.list_disputes(status="resolved")) == []
