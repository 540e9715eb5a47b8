"""What falls due is done at its own time, whenever somebody comes by to see to it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from ai_features.billing import AIBillingService, audit
from ai_features.exceptions import InvalidRequest
from ai_features.models import EntryKind, Wallet
from tests.laws import assert_laws

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_noon(time_machine) -> None:
    time_machine.move_to(NOON, tick=False)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.mark.parametrize("looks", [(1, 2, 3), (3,)])
def test_credits_kept_for_a_reservation_leave_with_it(wallet: Wallet, time_machine, looks: tuple[int, ...]) -> None:
    """Kept at one for the first reservation, gone at two: the second, made later, has no claim on them."""
    AIBillingService.grant(wallet, 5, reason="trial", expires_at=NOON + hours(1))
    AIBillingService.grant(wallet, 5, reason="trial")
    for ttl in (hours(2), hours(8)):
        AIBillingService.reserve(wallet, 5, ttl_seconds=int(ttl.total_seconds()))
    for hour in looks:
        time_machine.move_to(NOON + hours(hour), tick=False)
        now = AIBillingService.balance(wallet)
    assert (now.balance, now.held) == (5, 5)
    assert_laws(wallet)


@pytest.mark.parametrize("looks", [(1, 2), (2,)])
def test_debt_is_paid_before_what_expires_later(wallet: Wallet, time_machine, looks: tuple[int, ...]) -> None:
    AIBillingService.grant(wallet, 5, reason="trial", expires_at=NOON + hours(2))
    AIBillingService.reserve(wallet, 4, ttl_seconds=3600)
    AIBillingService.reserve(wallet, 1).capture(3)
    assert AIBillingService.balance(wallet).debt == 2
    for hour in looks:
        time_machine.move_to(NOON + hours(hour), tick=False)
        now = AIBillingService.balance(wallet)
    kinds = list(wallet.entries.order_by("id").values_list("kind", flat=True))
    assert kinds[-2:] == [EntryKind.DEBT_PAYMENT, EntryKind.EXPIRY]
    assert (now.balance, now.debt) == (0, 0)
    assert_laws(wallet)


def test_expired_reservation_takes_its_kept_credits_along_before_a_spend(wallet: Wallet, time_machine) -> None:
    AIBillingService.grant(wallet, 5, reason="trial", expires_at=NOON + hours(1))
    AIBillingService.grant(wallet, 5, reason="trial")
    AIBillingService.reserve(wallet, 5, ttl_seconds=7200)
    time_machine.move_to(NOON + hours(1), tick=False)
    assert AIBillingService.balance(wallet).balance == 10
    time_machine.move_to(NOON + hours(2), tick=False)
    assert AIBillingService.spend(wallet, "0.5").new_balance == Decimal("4.5")
    assert_laws(wallet)


def test_lot_that_expired_while_its_grant_waited_does_not_come_in(wallet: Wallet, time_machine) -> None:
    """Among lots that are kept past their expiry it would stand before them, and they would count as usable again."""
    AIBillingService.grant(wallet, 5, reason="trial", expires_at=NOON + hours(2))
    AIBillingService.reserve(wallet, 5, ttl_seconds=10 * 3600)

    def wait(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "ai_features_wallet" in sql:
            time_machine.move_to(NOON + hours(3), tick=False)
        return execute(sql, *rest)

    with connection.execute_wrapper(wait), pytest.raises(InvalidRequest):
        AIBillingService.grant(wallet, 5, reason="late", expires_at=NOON + hours(1))
    assert AIBillingService.balance(wallet).held == 5
    assert list(audit.audit()) == []


def test_grant_is_repeated_with_its_key_after_it_has_expired(wallet: Wallet, time_machine) -> None:
    once = {"reason": "trial", "expires_at": NOON + hours(1), "idempotency_key": "k"}
    first = AIBillingService.grant(wallet, 5, **once)
    time_machine.move_to(NOON + hours(2), tick=False)
    assert AIBillingService.grant(wallet, 5, **once) == first
