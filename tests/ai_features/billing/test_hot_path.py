"""What needs thought is left alone by the functions that take none, with nothing changed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.ledger import hot_path
from ai_features.billing.ledger.accounts import Charge
from ai_features.billing.ledger.operations import BUSY, Applied, Operation
from ai_features.models import LedgerEntry, Reservation, Wallet

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the functions are PostgreSQL's"),
]

CREDIT = 1_000_000
PAST = datetime(2026, 1, 1, tzinfo=UTC)

UNUSUAL: dict[str, dict[str, Any]] = {
    "in debt": {"debt": 1},
    "overdue": {"held": 1, "overdue": 1},
    "under caps": {"is_capped": True},
    "with something due": {"next_expiry_at": PAST},
    "with all set aside": {"held": 10 * CREDIT},
}


def charges(number: int) -> list[Charge]:
    return [Charge(CREDIT, "chat") for _ in range(number)]


def spend(wallet: Wallet, calls: int = 1, key: str | None = None) -> Operation:
    return Operation("spend", wallet.pk, calls * CREDIT, charges(calls), key)


def reserve(wallet: Wallet) -> Operation:
    return Operation("reserve", wallet.pk, CREDIT, charges(1), expires_at=timezone.now() + timedelta(minutes=1))


WAYS: dict[str, Callable[[Wallet], Sequence[object]]] = {
    "alone": lambda wallet: [hot_path.apply_one(spend(wallet))],
    "from one": lambda wallet: hot_path.from_one([spend(wallet), spend(wallet)]).read(),
    "among spends": lambda wallet: hot_path.together([spend(wallet), spend(wallet)]).read(),
    "among others": lambda wallet: hot_path.together([spend(wallet), reserve(wallet)]).read(),
    "with a key": lambda wallet: [hot_path.apply_one(spend(wallet, key="once"))],
    "many": lambda wallet: [hot_path.apply_one(spend(wallet, 2))],
    "many with a key": lambda wallet: [hot_path.apply_one(spend(wallet, 2, "once"))],
}


each_way = pytest.mark.parametrize(
    "way",
    # What lets go of its wallet before the end ends a transaction, and is in none of the test's.
    [pytest.param(way, marks=pytest.mark.django_db(transaction=way == "from one")) for way in WAYS],
)


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 10, reason="trial")
    return wallet


def assert_unused(wallet: Wallet) -> None:
    assert not LedgerEntry.objects.exclude(kind="grant").exists()
    assert Wallet.objects.get(pk=wallet.pk).balance == 10 * CREDIT


@each_way
def test_usual_wallet_is_charged(rich: Wallet, way: str) -> None:
    assert {type(outcome) for outcome in WAYS[way](rich)} == {Applied}


@each_way
@pytest.mark.parametrize("state", UNUSUAL)
def test_unusual_wallet_is_left_alone(rich: Wallet, state: str, way: str) -> None:
    Wallet.objects.filter(pk=rich.pk).update(**UNUSUAL[state])
    assert set(WAYS[way](rich)) <= {None, BUSY}
    assert_unused(rich)


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize(
    "unusual", [{"status": "released", "ended_at": PAST}, {"expires_at": PAST}, {"credits": CREDIT // 2}]
)
def test_unusual_reservation_is_left_alone(rich: Wallet, unusual: dict[str, Any], calls: int) -> None:
    held = AIBillingService.reserve(rich, 5).id
    capture = Operation("capture", rich.pk, calls * CREDIT, charges(calls), reservation_id=held)
    Reservation.objects.filter(pk=held).update(**unusual)
    assert hot_path.apply_one(capture) is None
    assert_unused(rich)


@pytest.mark.parametrize("calls", [1, 2])
def test_reservation_of_another_wallet_is_left_alone(rich: Wallet, calls: int) -> None:
    other = AIBillingService.wallet("other")
    AIBillingService.grant(other, 10, reason="trial")
    held = AIBillingService.reserve(other, 5).id
    capture = Operation("capture", rich.pk, calls * CREDIT, charges(calls), reservation_id=held)
    assert hot_path.apply_one(capture) is None
    assert_unused(rich)
