"""A lease is spent in the process and written in steps: nothing twice, nothing past a cap, nothing left behind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from ai_features.billing import AIBillingService, reservations
from ai_features.exceptions import SpendingCapReached
from ai_features.models import EntryKind, LedgerEntry, Reservation, Wallet
from tests.laws import assert_laws

pytestmark = pytest.mark.django_db


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 100, reason="trial")
    return wallet


def captured(wallet: Wallet) -> int:
    return LedgerEntry.objects.filter(wallet=wallet, kind=EntryKind.CAPTURE).count()


def test_calls_of_a_capped_feature_cannot_pass_the_cap_by_a_lease(rich: Wallet) -> None:
    AIBillingService.set_cap(rich, "feature", "image", "day", 3)
    with AIBillingService.lease(rich, 20, feature="chat") as lease:
        for _ in range(3):
            lease.spend(1, feature="image")
        with pytest.raises(SpendingCapReached):
            lease.spend(1, feature="image")
        lease.spend(1)
    assert captured(rich) == 4
    assert_laws(rich)


def test_lease_takes_a_smaller_step_where_a_cap_leaves_no_larger(rich: Wallet) -> None:
    AIBillingService.set_cap(rich, "feature", "image", "day", 14)
    with AIBillingService.lease(rich, 10, feature="image") as lease:
        for _ in range(14):
            lease.spend(credits=1)
        with pytest.raises(SpendingCapReached):
            lease.spend(credits=1)
    assert captured(rich) == 14


def test_flush_of_an_idle_lease_after_a_write_keeps_its_reservation(rich: Wallet, time_machine) -> None:
    time_machine.move_to(datetime(2026, 6, 1, 12, tzinfo=UTC), tick=False)
    with AIBillingService.lease(rich, 10, ttl_seconds=60) as lease:
        for _ in range(3):
            time_machine.shift(timedelta(seconds=40))
            lease.spend(1)
            lease.flush()
        time_machine.shift(timedelta(seconds=40))
        lease.flush()
        assert Reservation.objects.filter(status="open").count() == 1
    assert not Reservation.objects.filter(status="open").exists()
    assert AIBillingService.balance(rich).held == 0


class LosesAnswers:
    """A connection that breaks once the statement is through, before its answer arrives."""

    def __init__(self, statement: str) -> None:
        self.statement = statement
        self.is_armed = True

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if self.is_armed and self.statement in sql:
            self.is_armed = False
            raise OperationalError("server closed the connection unexpectedly")
        return answer


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connection to lose")
def test_write_whose_answer_was_lost_is_not_done_twice(rich: Wallet) -> None:
    with AIBillingService.lease(rich, 10) as lease:
        lease.spend(2)
        with connection.execute_wrapper(LosesAnswers("ai_features_charge")), pytest.raises(OperationalError):
            lease.flush()
        lease.spend(3)
    assert captured(rich) == 2
    assert AIBillingService.balance(rich).balance == 95
    assert_laws(rich)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connection to lose")
def test_end_after_a_write_whose_answer_was_lost_leaves_nothing_held(rich: Wallet) -> None:
    lease = AIBillingService.lease(rich, 10).__enter__()
    lease.spend(2)
    with connection.execute_wrapper(LosesAnswers("ai_features_charge")), pytest.raises(OperationalError):
        lease.flush()
    lease.close()
    assert captured(rich) == 1
    assert AIBillingService.balance(rich).held == 0


def test_lease_of_a_dead_process_that_was_used_up_is_no_burden(rich: Wallet, time_machine) -> None:
    time_machine.move_to(datetime(2026, 6, 1, 12, tzinfo=UTC), tick=False)
    lease = AIBillingService.lease(rich, 2, ttl_seconds=60).__enter__()
    lease.spend(2)
    lease.flush()
    time_machine.shift(timedelta(hours=1))
    assert AIBillingService.balance(rich).balance == 98
    assert reservations.release_due() == 0


def test_lease_goes_on_where_another_has_released_what_it_did_not_use(rich: Wallet) -> None:
    with AIBillingService.lease(rich, 10) as lease:
        AIBillingService.release(rich, Reservation.objects.get().pk)
        lease.flush()
        lease.spend(1)
    assert captured(rich) == 1
    assert_laws(rich)


def test_cap_that_was_set_meanwhile_holds_from_the_next_write(rich: Wallet) -> None:
    with AIBillingService.lease(rich, 10, feature="chat") as lease:
        lease.spend(1)
        AIBillingService.set_cap(rich, "feature", "image", "day", 3)
        lease.flush()
        with pytest.raises(SpendingCapReached):
            lease.spend(4, feature="image")
