import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from ai_features.exceptions import PaystackBadResponse
from ai_features.paystack import Bank, InitializedTransaction, Transaction
from tests.ai_features.paystack.bodies import (
    BANK,
    CARD_WEBHOOK,
    CHARGED,
    INITIALIZED,
    MOBILE_MONEY_WEBHOOK,
    VERIFIED,
)


def read(**changes: Any) -> Transaction:
    return Transaction.from_payload(VERIFIED | changes)


def test_documented_verify_answer_is_read_whole() -> None:
    transaction = Transaction.from_payload(VERIFIED)
    assert (transaction.id, transaction.reference) == (4099260516, "re4lyvq3s3")
    assert (transaction.amount_minor, transaction.requested_amount_minor, transaction.currency) == (40333, 30050, "NGN")
    assert transaction.paid_at == datetime(2024, 8, 22, 9, 15, 2, tzinfo=UTC)
    assert transaction.created_at == datetime(2024, 8, 22, 9, 14, 24, tzinfo=UTC)
    assert (transaction.mode, transaction.channel, transaction.fees_minor) == ("test", "card", 10283)
    assert (transaction.gateway_response, transaction.message) == ("Successful", "")
    assert (transaction.customer_email, transaction.metadata) == ("demo@test.com", {})
    assert transaction.authorization["card_type"] == "visa "
    assert transaction.raw["log"]["attempts"] == 1


def test_card_webhook_of_2016_is_read() -> None:
    transaction = Transaction.from_payload(CARD_WEBHOOK["data"])
    assert (transaction.is_paid, transaction.mode, transaction.amount_minor) == (True, "live", 10000)
    assert (transaction.fees_minor, transaction.requested_amount_minor, transaction.metadata) == (None, None, {})


def test_mobile_money_webhook_with_two_addresses_is_read() -> None:
    transaction = Transaction.from_payload(MOBILE_MONEY_WEBHOOK["data"])
    assert (transaction.message, transaction.channel, transaction.fees_minor) == ("madePayment", "mobile_money", 153)
    assert transaction.raw["ip_address"] == "18.130.236.148, 141.101.99.73"


def test_direct_charge_with_integer_expiry_is_read() -> None:
    assert Transaction.from_payload(CHARGED).authorization["exp_year"] == 9999


def test_checkout_is_read() -> None:
    opened = InitializedTransaction.from_payload(INITIALIZED)
    assert opened.authorization_url == "https://checkout.paystack.com/3ni8kdavz62431k"
    assert (opened.access_code, opened.reference) == ("3ni8kdavz62431k", "re4lyvq3s3")


def test_bank_is_read() -> None:
    bank = Bank.from_payload(BANK)
    assert (bank.name, bank.code, bank.slug, bank.type) == ("MTN", "MTN", "mtn-mobile-money", "mobile_money")
    assert (bank.currency, bank.country, bank.active) == ("GHS", "Ghana", True)


@pytest.mark.parametrize("sent", [8000, "8000", 8000.0, "8000.0", "8000.00"])
def test_whole_amounts_are_read_in_any_spelling(sent: object) -> None:
    assert read(amount=sent).amount_minor == 8000


@pytest.mark.parametrize(
    "sent",
    [
        True,
        False,
        -1,
        0.5,
        "80.50",
        float("nan"),
        float("inf"),
        10**15 + 1,
        1e300,
        "9" * 30,
        "8 000",
        "٨",
        "",
        None,
        {},
        [],
    ],
)
def test_unusable_amounts_are_refused(sent: object) -> None:
    with pytest.raises(PaystackBadResponse, match="amount"):
        read(amount=sent)


@pytest.mark.parametrize("sent", ["", None, 7, {}, "r" * 101, "a\nb", "nul\0", "\ud83d"])
def test_unusable_references_are_refused(sent: object) -> None:
    with pytest.raises(PaystackBadResponse, match="reference"):
        read(reference=sent)


@pytest.mark.parametrize("sent", ["", None, True, {}, "s" * 41, "a\0"])
def test_unusable_statuses_are_refused(sent: object) -> None:
    with pytest.raises(PaystackBadResponse, match="status"):
        read(status=sent)


@pytest.mark.parametrize("sent", ["", None, 936, "GHSX", "G S", "GH₵", {}])
def test_unusable_currencies_are_refused(sent: object) -> None:
    with pytest.raises(PaystackBadResponse, match="currency"):
        read(currency=sent)


@pytest.mark.parametrize("sent", [None, [], "text", 7, b"bytes"])
def test_what_is_no_object_is_no_transaction(sent: object) -> None:
    with pytest.raises(PaystackBadResponse):
        Transaction.from_payload(sent)


@pytest.mark.parametrize("empty", [None, {}, "", 0, []])
def test_optional_fields_may_be_empty_in_any_way(empty: object) -> None:
    optional = set(VERIFIED) - {"reference", "status", "amount", "currency", "fees", "requested_amount", "id"}
    transaction = read(**dict.fromkeys(optional, empty))
    assert (transaction.paid_at, transaction.created_at, transaction.customer_email) == (None, None, "")
    assert (transaction.mode, transaction.metadata, transaction.authorization) == ("", {}, {})


def test_four_fields_are_enough() -> None:
    transaction = Transaction.from_payload({"reference": "T1", "status": "success", "amount": 100, "currency": "GHS"})
    assert (transaction.is_paid, transaction.id, transaction.fees_minor) == (True, None, None)


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ({"order": 7}, {"order": 7}),
        ('{"order": 7}', {"order": 7}),
        ("", {}),
        (0, {}),
        (None, {}),
        ("not json", {}),
        ("[1, 2]", {}),
        ("[" * 100_000, {}),
    ],
)
def test_metadata_is_read_leniently(sent: object, read_as: dict[str, Any]) -> None:
    assert read(metadata=sent).metadata == read_as


@pytest.mark.parametrize(
    "sent", ["2024-08-22T09:15:02.000Z", "2024-08-22T10:15:02+01:00", "2024-08-22 09:15:02", "20240822T091502Z"]
)
def test_dates_become_aware_utc(sent: str) -> None:
    paid_at = read(paid_at=sent).paid_at
    assert paid_at == datetime(2024, 8, 22, 9, 15, 2, tzinfo=UTC)
    assert paid_at.tzinfo is UTC


@pytest.mark.parametrize("sent", ["yesterday", 1724318102, "9999-12-31T23:59:59-14:00", {}, True])
def test_unreadable_dates_are_none(sent: object) -> None:
    assert read(paid_at=sent, paidAt=None).paid_at is None


def test_camel_case_dates_stand_in() -> None:
    body = {key: value for key, value in VERIFIED.items() if key not in ("paid_at", "created_at", "transaction_date")}
    transaction = Transaction.from_payload(body)
    assert transaction.paid_at == datetime(2024, 8, 22, 9, 15, 2, tzinfo=UTC)
    assert transaction.created_at == datetime(2024, 8, 22, 9, 14, 24, tzinfo=UTC)


def test_ids_may_use_all_64_bits_and_come_as_text() -> None:
    assert read(id=2**64 - 1).id == 2**64 - 1
    assert read(id="3018284").id == 3018284
    assert read(id=2**64).id is None


def test_text_no_database_could_store_is_mended() -> None:
    transaction = read(gateway_response="half \ud83d of it\0", message=" Approved ")
    assert (transaction.gateway_response, transaction.message) == ("half ? of it?", "Approved")


@pytest.mark.parametrize(
    ("status", "paid", "reversed_", "failed"),
    [
        ("success", True, False, False),
        ("reversal-pending", False, True, False),
        ("reversed", False, True, False),
        ("failed", False, False, True),
        ("abandoned", False, False, False),
        ("ongoing", False, False, False),
        ("pending", False, False, False),
        ("processing", False, False, False),
        ("queued", False, False, False),
        ("a-word-of-2031", False, False, False),
        ("Success", False, False, False),
    ],
)
def test_status_decides_only_where_paystack_documents_it(
    status: str, paid: bool, reversed_: bool, failed: bool
) -> None:
    transaction = read(status=status)
    assert (transaction.is_paid, transaction.was_reversed, transaction.is_failed) == (paid, reversed_, failed)


def test_repr_keeps_personal_data_out() -> None:
    shown = repr(Transaction.from_payload(VERIFIED))
    assert "re4lyvq3s3" in shown
    assert not any(private in shown for private in ("demo@test.com", "AUTH_uh8bcl3zbn", "197.210.54.33"))


def test_answers_can_be_pickled_hashed_and_compared() -> None:
    one, other = Transaction.from_payload(VERIFIED), Transaction.from_payload(copy.deepcopy(VERIFIED))
    assert one == other == pickle.loads(pickle.dumps(one))  # noqa: S301
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"authorization_url": "javascript:alert(1)"},
        {"authorization_url": "//checkout.paystack.com/x"},
        {"authorization_url": "https:///x"},
        {"authorization_url": "https://a b/"},
        {"authorization_url": "https://[::1"},
        {"authorization_url": None},
        {"authorization_url": "https://h/" + "x" * 2000},
        {"access_code": None},
        {"access_code": ""},
        {"reference": 7},
    ],
)
def test_checkout_without_a_usable_address_may_still_have_been_made(changes: dict[str, Any]) -> None:
    with pytest.raises(PaystackBadResponse) as caught:
        InitializedTransaction.from_payload(INITIALIZED | changes)
    assert caught.value.outcome_unknown


def test_deleted_bank_is_not_active() -> None:
    assert not Bank.from_payload(BANK | {"is_deleted": True}).active
    assert not Bank.from_payload(BANK | {"active": False}).active


def test_bank_without_a_code_is_refused() -> None:
    with pytest.raises(PaystackBadResponse):
        Bank.from_payload(BANK | {"code": None})
