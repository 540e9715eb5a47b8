"""Threads share a lease: one writes what is full, the others go on meanwhile, and what was accepted is written once."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from ai_features.billing import AIBillingService, audit, leases
from ai_features.billing.leases import Lease
from ai_features.models import EntryKind, LedgerEntry, Reservation, Wallet
from tests.waiting import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="on SQLite a write lets nobody else go on"),
]

STEP = 5


@pytest.fixture
def rich(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> Wallet:
    monkeypatch.setattr(leases, "WRITE_EVERY_CALLS", STEP)
    AIBillingService.grant(wallet, 100, reason="trial")
    return wallet


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def spend_once(lease: Lease) -> bool:
    try:
        lease.spend(1)
    except OperationalError:
        return False
    finally:
        connections.close_all()
    return True


@contextmanager
def while_a_step_is_written(lease: Lease, crowd: ThreadPoolExecutor) -> Iterator[list[Future[bool]]]:
    """Twenty calls, of which no more get through than one step on its way to the database, and one that fills up."""
    with transaction.atomic():
        Wallet.objects.select_for_update().get(pk=lease.wallet_id)
        calls = [crowd.submit(spend_once, lease) for _ in range(20)]
        until(lambda: sum(call.done() for call in calls) == 2 * STEP)
        time.sleep(0.2)
        assert sum(call.done() for call in calls) == 2 * STEP
        yield calls


def captured() -> int:
    return LedgerEntry.objects.filter(kind=EntryKind.CAPTURE).count()


def assert_written(rich: Wallet, calls: int) -> None:
    assert captured() == calls
    balance = AIBillingService.balance(rich)
    assert (balance.balance, balance.held) == (100 - calls, 0)
    assert list(audit.audit()) == []


def test_calls_go_on_while_a_step_is_written(rich: Wallet, crowd: ThreadPoolExecutor) -> None:
    with AIBillingService.lease(rich, 50) as lease:
        with while_a_step_is_written(lease, crowd) as calls:
            pass
        assert all(call.result(10) for call in calls)
    assert_written(rich, 20)


def test_reservation_that_expires_under_the_writer_pays_for_all_that_was_accepted(
    rich: Wallet, crowd: ThreadPoolExecutor
) -> None:
    with AIBillingService.lease(rich, 50) as lease:
        with while_a_step_is_written(lease, crowd) as calls:
            Reservation.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        assert all(call.result(10) for call in calls)
    assert Reservation.objects.filter(status="captured").count() == 2
    assert_written(rich, 20)


def test_cap_that_is_set_under_the_writer_counts_what_was_accepted(rich: Wallet, crowd: ThreadPoolExecutor) -> None:
    with AIBillingService.lease(rich, 50, feature="chat") as lease:
        with while_a_step_is_written(lease, crowd) as calls:
            AIBillingService.set_cap(rich, "feature", "chat", "day", 60)
        assert all(call.result(10) for call in calls)
    assert rich.caps.get().used == 20_000_000
    assert_written(rich, 20)


def test_writer_whose_connection_is_cut_fails_alone(rich: Wallet, crowd: ThreadPoolExecutor) -> None:
    with AIBillingService.lease(rich, 50) as lease:
        with while_a_step_is_written(lease, crowd) as calls, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE %s AND pid <> %s",
                ["%ai_features_charge%", connection.connection.info.backend_pid],
            )
        accepted = sum(call.result(10) for call in calls)
    assert accepted == 19
    assert_written(rich, accepted)


class LosesAnswer:
    """The statement is through, others go on with the lease, and then the connection breaks."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if "ai_features_charge" in sql and self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None  # type: ignore[assignment]
            meanwhile()
            raise OperationalError("server closed the connection unexpectedly")
        return answer


@pytest.mark.parametrize("status", ["open", "expired"])
def test_write_whose_answer_was_lost_while_others_went_on_is_not_done_twice(rich: Wallet, status: str) -> None:
    def others() -> None:
        thread = threading.Thread(target=lambda: [spend_once(lease) for _ in range(3)])
        thread.start()
        thread.join()

    with AIBillingService.lease(rich, 50) as lease:
        for _ in range(STEP):
            lease.spend(1)
        with connection.execute_wrapper(LosesAnswer(others)), pytest.raises(OperationalError):
            lease.spend(1)
        assert captured() == STEP
        if status == "expired":
            Reservation.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        lease.spend(1)
    assert_written(rich, STEP + 4)
