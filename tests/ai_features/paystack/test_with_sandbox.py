"""The same calls against Paystack on localhost, as the project makes them: on the class, with the settings."""

from decimal import Decimal
from typing import Any

import pytest

from ai_features.exceptions import (
    DuplicateReference,
    PaystackKeyRefused,
    PaystackRefused,
    PaystackUnavailable,
    TransactionNotFound,
)
from ai_features.paystack import InitializedTransaction, PaystackService
from paystack_sandbox import PaystackSandbox

CARD = {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}


def open_checkout(reference: str, **changes: Any) -> InitializedTransaction:
    order: dict[str, Any] = {"email": "ama@example.com", "amount": Decimal("80.00"), "reference": reference}
    return PaystackService.initialize_transaction(**(order | changes))


def test_checkout_that_nobody_paid_is_undecided(sandbox: PaystackSandbox) -> None:
    opened = open_checkout("T-1", cancel_action="https://shop.example/no")
    assert opened.authorization_url.startswith(sandbox.url)
    transaction = PaystackService.verify_transaction("T-1")
    assert (transaction.status, transaction.amount_minor, transaction.currency) == ("abandoned", 8000, "GHS")
    assert (transaction.is_paid, transaction.is_failed, transaction.was_reversed) == (False, False, False)
    assert (transaction.paid_at, transaction.mode) == (None, "test")


def test_paid_checkout_is_paid(sandbox: PaystackSandbox) -> None:
    open_checkout("T-1")
    sandbox.pay("T-1", channel="card", card=CARD)
    transaction = PaystackService.verify_transaction("T-1")
    assert transaction.is_paid
    assert (transaction.channel, transaction.customer_email) == ("card", "ama@example.com")
    assert transaction.paid_at is not None


def test_paid_transaction_is_found_by_its_id(sandbox: PaystackSandbox) -> None:
    open_checkout("T-1")
    found = PaystackService.verify_transaction("T-1")
    assert found.id is not None
    assert PaystackService.fetch_transaction(found.id).reference == "T-1"


def test_metadata_comes_back_with_its_types(sandbox: PaystackSandbox) -> None:
    open_checkout("T-1", metadata={"order": 7, "gift": True})
    assert PaystackService.verify_transaction("T-1").metadata == {"order": 7, "gift": True}


def test_reference_serves_once(sandbox: PaystackSandbox) -> None:
    open_checkout("T-1")
    with pytest.raises(DuplicateReference):
        open_checkout("T-1")


@pytest.mark.parametrize("reference", ["nobody-made-this", ".."])
def test_unknown_reference_is_not_found(sandbox: PaystackSandbox, reference: str) -> None:
    with pytest.raises(TransactionNotFound):
        PaystackService.verify_transaction(reference)


def test_unknown_id_is_not_found(sandbox: PaystackSandbox) -> None:
    with pytest.raises(TransactionNotFound):
        PaystackService.fetch_transaction(987654321)


def test_refusal_keeps_paystacks_words(sandbox: PaystackSandbox) -> None:
    with pytest.raises(PaystackRefused, match="Invalid Email Address Passed"):
        open_checkout("T-1", email="ama@staging.local")


def test_other_key_is_refused(sandbox: PaystackSandbox, settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_test_of_somebody_else"
    with pytest.raises(PaystackKeyRefused):
        PaystackService.verify_transaction("T-1")


def test_list_reads_every_page(sandbox: PaystackSandbox) -> None:
    references = {f"T-{number}" for number in range(7)}
    for reference in references:
        open_checkout(reference)
    listed = [transaction.reference for transaction in PaystackService.list_transactions(per_page=2)]
    assert (len(listed), set(listed)) == (7, references)


def test_list_can_be_limited_to_what_was_paid(sandbox: PaystackSandbox) -> None:
    for reference in ("T-1", "T-2"):
        open_checkout(reference)
    sandbox.pay("T-2", channel="card", card=CARD)
    assert [paid.reference for paid in PaystackService.list_transactions(status="success")] == ["T-2"]


def test_ghana_has_three_mobile_money_providers(sandbox: PaystackSandbox) -> None:
    providers = PaystackService.list_mobile_money_providers()
    assert {provider.code for provider in providers} == {"MTN", "ATL", "VOD"}


def test_banks_are_listed_by_currency(sandbox: PaystackSandbox) -> None:
    banks = PaystackService.list_banks(currency="GHS", bank_type="ghipss")
    assert banks
    assert {bank.currency for bank in banks} == {"GHS"}


def test_checkout_that_may_have_been_opened_is_found_by_verify(sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"drop_after_commit": 1.0}})
    with pytest.raises(PaystackUnavailable) as caught:
        open_checkout("T-1")
    assert caught.value.outcome_unknown
    sandbox.set_faults({})
    assert PaystackService.verify_transaction("T-1").status == "abandoned"


def test_server_errors_end_as_unavailable(sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    with pytest.raises(PaystackUnavailable) as caught:
        PaystackService.verify_transaction("T-1")
    assert caught.value.status_code == 503
