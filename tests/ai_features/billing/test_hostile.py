"""Whatever an app hands in: a stable code each, and nothing changed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from ai_features.billing import AIBillingService, Use
from ai_features.exceptions import AICreditsError
from ai_features.models import FeaturePrice, LedgerEntry, Wallet
from ai_features.money import MAX_MICRO
from tests.laws import assert_laws

pytestmark = pytest.mark.django_db

LAST = datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 100, reason="trial")
    FeaturePrice.objects.create(code="chat", per_unit=1_000_000)
    return wallet


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(AICreditsError) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize(
    ("credits_", "code"),
    [
        (0, "credits_zero"),
        (Decimal("-0.0"), "credits_zero"),
        (-1, "credits_negative"),
        (Decimal("-1e999999"), "credits_negative"),
        ("0.0000001", "credits_too_precise"),
        (0.1 + 0.2, "credits_too_precise"),
        (Decimal("1e-999999999"), "credits_too_precise"),
        (float("nan"), "credits_not_a_number"),
        (Decimal("sNaN"), "credits_not_a_number"),
        (float("inf"), "credits_not_a_number"),
        ("-Infinity", "credits_not_a_number"),
        ("five", "credits_not_a_number"),
        ("", "credits_not_a_number"),
        ("1\0", "credits_not_a_number"),
        (True, "credits_not_a_number"),
        ([1], "credits_not_a_number"),
        ((0, (1,), 0), "credits_not_a_number"),
        ({"credits": 1}, "credits_not_a_number"),
        (1j, "credits_not_a_number"),
        ("9000000000000.000001", "credits_out_of_range"),
        pytest.param(10**5000, "credits_out_of_range", id="5001 digits"),
        (Decimal("1e999999999"), "credits_out_of_range"),
        ("9" * 10_000, "credits_out_of_range"),
    ],
)
def test_unusable_credits_have_a_code_each_and_change_nothing(rich: Wallet, credits_: Any, code: str) -> None:
    reserved = AIBillingService.reserve(rich, 1)
    for call in (
        lambda: AIBillingService.spend(rich, credits_, idempotency_key="k"),
        lambda: AIBillingService.spend_many(rich, [{"credits": 1}, {"credits": credits_}]),
        lambda: AIBillingService.reserve(rich, credits_),
        lambda: reserved.capture(credits_),
        lambda: AIBillingService.lease(rich, credits_),
        lambda: AIBillingService.check_credits(rich, credits_),
        lambda: AIBillingService.set_cap(rich, "feature", "chat", "day", credits_),
        lambda: AIBillingService.grant(rich, credits_, reason="trial"),
    ):
        assert refusal(call) == code
    assert LedgerEntry.objects.count() == 1
    assert_laws(rich)


UNUSABLE: dict[str, Callable[[Wallet], Any]] = {
    "nothing said": AIBillingService.spend,
    "feature too long": lambda w: AIBillingService.spend(w, 1, feature="x" * 61),
    "feature with NUL": lambda w: AIBillingService.spend(w, 1, feature="x\0"),
    "feature with half a character": lambda w: AIBillingService.spend(w, 1, feature="\ud800"),
    "feature that is no text": lambda w: AIBillingService.spend(w, 1, feature=5),  # type: ignore[arg-type]
    "units below zero": lambda w: AIBillingService.spend(w, feature="chat", units=-1),
    "units in fractions": lambda w: AIBillingService.spend(w, feature="chat", units=1.5),  # type: ignore[arg-type]
    "units yes": lambda w: AIBillingService.spend(w, feature="chat", units=True),
    "units enormous": lambda w: AIBillingService.spend(w, feature="chat", units=10**30),
    "token too long": lambda w: AIBillingService.reserve(w, 1, token="x" * 65),
    "token with NUL": lambda w: AIBillingService.reserve(w, 1, token="\0"),
    "metadata a list": lambda w: AIBillingService.spend(w, 1, metadata=[]),  # type: ignore[arg-type]
    "metadata too long": lambda w: AIBillingService.spend(w, 1, metadata={"a": "x" * 5000}),
    "metadata with NUL": lambda w: AIBillingService.spend(w, 1, metadata={"a": "\0"}),
    "metadata with half a character": lambda w: AIBillingService.spend(w, 1, metadata={"a": "\ud800"}),
    "metadata with an endless number": lambda w: AIBillingService.spend(w, 1, metadata={"a": Decimal("1e999999999")}),
    "metadata with a number past any float": lambda w: AIBillingService.spend(w, 1, metadata={"a": Decimal("-1e400")}),
    "metadata with a tiny number": lambda w: AIBillingService.spend(w, 1, metadata={"a": Decimal("1e-999999999")}),
    "metadata with NaN": lambda w: AIBillingService.spend(w, 1, metadata={"a": Decimal("NaN")}),
    "no uses": lambda w: AIBillingService.spend_many(w, []),
    "too many uses": lambda w: AIBillingService.spend_many(w, [Use(1)] * 1001),
    "unknown field": lambda w: AIBillingService.spend_many(w, [{"credit": 1}]),
    "use that is none": lambda w: AIBillingService.spend_many(w, [5]),  # type: ignore[list-item]
    "ttl zero": lambda w: AIBillingService.reserve(w, 1, ttl_seconds=0),
    "ttl below zero": lambda w: AIBillingService.reserve(w, 1, ttl_seconds=-1),
    "ttl enormous": lambda w: AIBillingService.reserve(w, 1, ttl_seconds=10**30),
    "ttl in fractions": lambda w: AIBillingService.reserve(w, 1, ttl_seconds=1.5),  # type: ignore[arg-type]
    "ttl in words": lambda w: AIBillingService.lease(w, 1, ttl_seconds="60"),  # type: ignore[arg-type]
    "days zero": lambda w: AIBillingService.usage_stats(w, 0),
    "days enormous": lambda w: AIBillingService.usage_stats(w, 367),
    "days in words": lambda w: AIBillingService.usage_stats(w, "7"),  # type: ignore[arg-type]
    "before in words": lambda w: AIBillingService.statement(w, before="x"),  # type: ignore[arg-type]
    "limit in words": lambda w: AIBillingService.statement(w, limit="x"),  # type: ignore[arg-type]
    "reason too long": lambda w: AIBillingService.grant(w, 1, reason="x" * 201),
    "reason with NUL": lambda w: AIBillingService.grant(w, 1, reason="\0"),
    "expiry gone": lambda w: AIBillingService.grant(w, 1, reason="", expires_at=datetime(2020, 1, 1, tzinfo=UTC)),
    "expiry without a zone": lambda w: AIBillingService.grant(w, 1, reason="", expires_at=datetime(2099, 1, 1)),  # noqa: DTZ001
    "expiry past the last year": lambda w: AIBillingService.grant(w, 1, reason="", expires_at=LAST),
    "expiry in words": lambda w: AIBillingService.grant(w, 1, reason="", expires_at="soon"),  # type: ignore[arg-type]
    "cap of a stranger's kind": lambda w: AIBillingService.set_cap(w, "moon", "x", "day", 1),
    "cap by the year": lambda w: AIBillingService.set_cap(w, "feature", "x", "year", 1),
    "cap of nothing": lambda w: AIBillingService.set_cap(w, "feature", "", "day", 1),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_unusable_request_is_refused_and_changes_nothing(rich: Wallet, what: str) -> None:
    assert refusal(lambda: UNUSABLE[what](rich)) == "invalid_request"
    assert (LedgerEntry.objects.count(), rich.reservations.count()) == (1, 0)
    assert_laws(rich)


@pytest.mark.parametrize("key", ["", "x" * 101, "é", "a\n", "\0", "\x7f", 5, b"k"])
def test_unusable_key_is_refused_everywhere(rich: Wallet, key: Any) -> None:
    reserved = AIBillingService.reserve(rich, 1)
    for call in (
        lambda: AIBillingService.spend(rich, 1, idempotency_key=key),
        lambda: AIBillingService.spend_many(rich, [Use(1)], idempotency_key=key),
        lambda: AIBillingService.reserve(rich, 1, idempotency_key=key),
        lambda: reserved.capture(1, idempotency_key=key),
        lambda: AIBillingService.grant(rich, 1, reason="", idempotency_key=key),
    ):
        assert refusal(call) == "idempotency_key_unusable"
    assert AIBillingService.balance(rich).available == 99


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**40, 1.5, "1", None, True])
def test_reservation_that_cannot_be_is_not_found(rich: Wallet, number: Any) -> None:
    for call in (
        lambda: AIBillingService.capture(rich, number, 1),
        lambda: AIBillingService.release(rich, number),
        lambda: AIBillingService.renew(rich, number),
    ):
        assert refusal(call) == "reservation_not_found"


@pytest.mark.parametrize("before", [-1, 0, 2**63, 10**40])
def test_statement_from_anywhere_is_a_page(rich: Wallet, before: int) -> None:
    assert len(AIBillingService.statement(rich, before=before)) == (1 if before > 0 else 0)


def test_credits_near_the_largest_number_are_exact(wallet: Wallet) -> None:
    largest = Decimal(MAX_MICRO).scaleb(-6)
    AIBillingService.grant(wallet, largest, reason="all there are")
    assert refusal(lambda: AIBillingService.grant(wallet, "0.000001", reason="one more")) == "credits_out_of_range"
    assert AIBillingService.spend(wallet, "0.000001").new_balance == largest - Decimal("0.000001")
    AIBillingService.reserve(wallet, largest - 1).capture(largest)
    assert AIBillingService.balance(wallet).debt == Decimal("0.000001")
    assert_laws(wallet)


def test_debt_past_the_largest_number_is_refused(rich: Wallet) -> None:
    first, second = AIBillingService.reserve(rich, 1), AIBillingService.reserve(rich, 1)
    first.capture("8999999999999")
    assert refusal(lambda: second.capture("8999999999999")) == "credits_out_of_range"
    assert_laws(rich)


@pytest.mark.parametrize("several", [("9000000000000", "300000000000"), ["9000000000000"] * 1000])
def test_uses_that_add_up_past_the_largest_number_are_refused(rich: Wallet, several: Sequence[str]) -> None:
    assert refusal(lambda: AIBillingService.spend_many(rich, [Use(one) for one in several])) == "credits_out_of_range"
    assert_laws(rich)


def test_cap_counts_past_the_largest_number(rich: Wallet) -> None:
    AIBillingService.set_cap(rich, "feature", "image", "day", 10)
    for _ in range(2):
        AIBillingService.grant(rich, "8999999999900", reason="more")
        AIBillingService.reserve(rich, 1, feature="chat").capture("8999999999900", feature="image")
    assert refusal(lambda: AIBillingService.spend(rich, 1, feature="image")) == "spending_cap_reached"
    assert_laws(rich)
