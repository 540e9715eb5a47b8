"""A spend in a wallet's own line lets go of the wallet before the disk has it, and is answered only after."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import Error, OperationalError, connection, connections, transaction
from knox.models import AuthToken

from ai_features.billing import AIBillingService
from ai_features.billing.ledger import hot_path, queue
from ai_features.billing.ledger.accounts import Charge
from ai_features.billing.ledger.hot_path import Applied, Busy, Operation
from ai_features.doctor import installation
from ai_features.doctor.lines import Level, Line
from ai_features.models import LedgerEntry, Wallet
from tests.ai_features.api.test_spending_by_token import spend as spend_by_token
from tests.ai_features.billing.test_spends_together import spend
from tests.laws import assert_laws
from tests.waiting import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="on SQLite nobody writes beside another"),
]


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 10, reason="trial")
    return wallet


def by_wallet(wallet: Wallet) -> list[Operation]:
    return [spend(wallet, 1), spend(wallet, 2)]


def by_token(wallet: Wallet) -> list[Operation]:
    assert isinstance(wallet.user, User)
    token: str = AuthToken.objects.create(wallet.user)[1]
    return [spend_by_token(token, 1), spend_by_token(token, 2)]


def sql(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def disk_that_never_answers() -> Iterator[None]:
    """Commits wait for a standby that does not exist, as for a disk that takes its time, until the block ends."""
    sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    sql("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        sql("ALTER SYSTEM RESET synchronous_standby_names")
        sql("SELECT pg_reload_conf()")


def someone_waits_for_the_disk() -> bool:
    return bool(sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))


def is_locked(wallet: Wallet) -> bool:
    try:
        with transaction.atomic():
            Wallet.objects.select_for_update(nowait=True).get(pk=wallet.pk)
            transaction.set_rollback(True)
    except OperationalError:
        return True
    return False


def while_it_waits_for_the_disk(call: Callable[[], Any], look: Callable[[], Any]) -> tuple[Any, Any]:
    """What the look sees meanwhile, and what the call returns when the disk has answered. It may be made several times,
    since PostgreSQL takes a moment to notice."""

    def elsewhere() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with disk_that_never_answers():
            future, deadline = pool.submit(elsewhere), time.monotonic() + 20
            while not someone_waits_for_the_disk():
                assert time.monotonic() < deadline
                if future.done():
                    future = pool.submit(elsewhere)
            seen = look()
            assert not future.done()
        return seen, future.result(20)


@pytest.mark.parametrize("batch_of", [by_wallet, by_token])
def test_wallet_is_free_while_its_spends_wait_for_the_disk(
    rich: Wallet, batch_of: Callable[[Wallet], list[Operation]]
) -> None:
    AIBillingService.grant(rich, 1000, reason="enough for each try")
    batch = batch_of(rich)
    locked, outcomes = while_it_waits_for_the_disk(lambda: hot_path.from_one(batch).read(), lambda: is_locked(rich))
    assert not locked
    entries = LedgerEntry.objects.filter(kind="spend").order_by("-id")[:2]
    assert [one.ids for one in outcomes] == [[entry.pk] for entry in reversed(entries)]
    assert_laws(rich)


def test_spend_with_a_key_keeps_its_wallet_until_the_disk_has_it(rich: Wallet) -> None:
    """Whoever repeats it would else be told of a spend that may still be lost."""
    keys = iter(range(1000))

    def call() -> Any:
        keyed = Operation("spend", rich.pk, 1, spend(rich, 1).charges, key=f"{next(keys)}")
        return hot_path.one_by_one([keyed], may_wait=True).read()

    locked, (outcome,) = while_it_waits_for_the_disk(call, lambda: is_locked(rich))
    assert locked
    assert isinstance(outcome, Applied)


@pytest.fixture
def role_that_may_not_flush(db: None) -> Iterator[str]:
    signatures = ", ".join(
        name for (name,) in sql("SELECT oid::regprocedure::text FROM pg_proc WHERE proname = 'pg_logical_emit_message'")
    )
    sql("CREATE ROLE careful")
    sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO careful")
    sql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO careful")
    sql(f"REVOKE EXECUTE ON FUNCTION {signatures} FROM PUBLIC")
    yield "careful"
    sql("RESET ROLE")
    sql(f"GRANT EXECUTE ON FUNCTION {signatures} TO PUBLIC")
    sql("DROP OWNED BY careful")
    sql("DROP ROLE careful")


def test_spends_that_cannot_be_flushed_are_done_once_and_nobody_is_told_they_were_not(
    rich: Wallet, role_that_may_not_flush: str
) -> None:
    calls = [queue._Call[Operation, Applied | Busy](one) for one in by_wallet(rich)]
    sql(f"SET ROLE {role_that_may_not_flush}")
    queue._carry_out(calls, may_wait=True)()
    sql("RESET ROLE")
    for call in calls:
        with pytest.raises(OperationalError, match="whether the disk has it is not known"):
            call.outcome()
    assert AIBillingService.balance(rich).balance == 7
    assert_laws(rich)


def test_doctor_says_that_a_role_may_not_flush(role_that_may_not_flush: str) -> None:
    def said() -> list[Line]:
        return [line for line in installation.examine() if line.about == "database"]

    assert [line.level for line in said()] == [Level.OK]
    sql(f"SET ROLE {role_that_may_not_flush}")
    (line,) = said()
    assert (line.level, "pg_logical_emit_message" in line.found) == (Level.FAIL, True)


def test_spends_that_were_acknowledged_outlive_a_crash(rich: Wallet) -> None:
    """PostgreSQL forgets what it has not written when one of its processes dies in mid-air, and begins anew."""
    acknowledged: list[int] = []

    def work() -> None:
        with suppress(Error):
            while True:
                (outcome,) = hot_path.from_one([Operation("spend", rich.pk, 1, [Charge(1)])]).read()
                assert isinstance(outcome, Applied)
                acknowledged.extend(outcome.ids)
        connections.close_all()

    # Recovery begins here.
    sql("CHECKPOINT")
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(work) for _ in range(4)]
        until(lambda: len(acknowledged) > 200)
        ((process,),) = sql("SELECT pg_backend_pid()")
        os.kill(process, signal.SIGKILL)
    assert [one.exception() for one in done] == [None] * 4
    until(can_connect)
    entries = LedgerEntry.objects.filter(kind="spend").values_list("id", flat=True)
    assert len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= set(entries)
    assert_laws(rich)


def can_connect() -> bool:
    connection.close()
    with suppress(Error):
        connection.ensure_connection()
        return True
    return False


def test_spends_that_are_left_alone_wait_for_no_disk(rich: Wallet) -> None:
    with disk_that_never_answers():
        assert hot_path.from_one([spend(rich, 11)] * 2).read() == [None, None]
