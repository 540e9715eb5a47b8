"""A spend in a wallet's own line lets go of the wallet before the disk has it, and is answered only after."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import Error, OperationalError, connection, connections, transaction
from knox.models import AuthToken

from ai_features.billing import AIBillingService
from ai_features.billing.ledger import functions, hot_path, queue
from ai_features.billing.ledger.accounts import Charge
from ai_features.billing.ledger.functions import user_key_type
from ai_features.billing.ledger.line import Call
from ai_features.billing.ledger.operations import Applied, Operation, Outcome
from ai_features.billing.sealing.finality import final_entry_id
from ai_features.doctor import installation
from ai_features.doctor.lines import Level, Line
from ai_features.models import LedgerEntry, Wallet
from tests.ai_features.api.test_spending_by_token import spend as spend_by_token
from tests.ai_features.billing.test_spends_together import CREDIT, spend
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


def carry_out(calls: list[Call[Operation, Outcome]]) -> None:
    queue._carry_out(hot_path.from_one, calls)()


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


def elsewhere(call: Callable[[], Any]) -> Any:
    try:
        return call()
    finally:
        connections.close_all()


PROBE = "SELECT pg_logical_emit_message(true, 'probe', '')"


@contextmanager
def disk_that_never_answers() -> Iterator[None]:
    """Commits wait for a standby that does not exist, as for a disk that takes its time, until the block ends."""
    is_noticed = threading.Event()

    def probe() -> None:
        while not is_noticed.is_set():
            sql(PROBE)

    sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    sql("SELECT pg_reload_conf()")
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(elsewhere, probe)
            until(lambda: someone_waits_for_the_disk(PROBE))
            yield
        finally:
            is_noticed.set()
            sql("ALTER SYSTEM RESET synchronous_standby_names")
            sql("SELECT pg_reload_conf()")


def someone_waits_for_the_disk(query: str) -> bool:
    waiting = "wait_event = 'SyncRep' AND backend_type = 'client backend'"
    return bool(sql(f"SELECT pid FROM pg_stat_activity WHERE {waiting} AND strpos(query, %s) > 0", query))


def is_locked(wallet: Wallet) -> bool:
    try:
        with transaction.atomic():
            Wallet.objects.select_for_update(nowait=True).get(pk=wallet.pk)
            transaction.set_rollback(True)
    except OperationalError:
        return True
    return False


def while_it_waits_for_the_disk(call: Callable[[], Any], look: Callable[[], Any]) -> tuple[Any, Any]:
    """What the look sees meanwhile, and what the call returns when the disk has answered."""
    with ThreadPoolExecutor(1) as pool:
        with disk_that_never_answers():
            future = pool.submit(elsewhere, call)
            until(lambda: someone_waits_for_the_disk("ai_features_"))
            seen = look()
            assert not future.done()
        return seen, future.result(20)


@pytest.mark.parametrize("batch_of", [by_wallet, by_token])
def test_wallet_is_free_while_its_spends_wait_for_the_disk(
    rich: Wallet, batch_of: Callable[[Wallet], list[Operation]]
) -> None:
    batch = batch_of(rich)
    locked, outcomes = while_it_waits_for_the_disk(lambda: hot_path.from_one(batch).read(), lambda: is_locked(rich))
    assert not locked
    entries = LedgerEntry.objects.filter(kind="spend").order_by("-id")[:2]
    assert [one.ids for one in outcomes] == [[entry.pk] for entry in reversed(entries)]
    assert_laws(rich)


@pytest.mark.parametrize("others", [[], [spend]])
def test_spend_with_a_key_keeps_its_wallet_until_the_disk_has_it(rich: Wallet, others: list[Any]) -> None:
    """Whoever repeats it would else be told of a spend that may still be lost."""
    keyed = replace(spend(rich, 1), key="k")
    calls = [Call[Operation, Outcome](one) for one in (keyed, *[other(rich, 1) for other in others])]
    locked, _ = while_it_waits_for_the_disk(lambda: carry_out(calls), lambda: is_locked(rich))
    assert locked
    assert all(isinstance(call.outcome(), Applied) for call in calls)


def test_entries_are_not_final_before_the_disk_has_them(rich: Wallet) -> None:
    def look() -> Future[int]:
        final = pool.submit(elsewhere, final_entry_id)
        until(lambda: someone_waits_for_the_disk("has_function_privilege"))
        assert not final.done()
        return final

    with ThreadPoolExecutor(1) as pool:
        final, (outcome,) = while_it_waits_for_the_disk(lambda: hot_path.from_one([spend(rich, 1)]).read(), look)
        assert [final.result(20)] == outcome.ids


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


def test_role_that_may_not_flush_keeps_the_wallet_instead(rich: Wallet, role_that_may_not_flush: str) -> None:
    def call() -> Any:
        sql(f"SET ROLE {role_that_may_not_flush}")
        return hot_path.from_one(by_wallet(rich)).read()

    locked, outcomes = while_it_waits_for_the_disk(call, lambda: is_locked(rich))
    assert locked
    assert [one.balance // CREDIT for one in outcomes] == [9, 7]
    assert_laws(rich)


@pytest.fixture
def pause_between_the_transactions(db: None) -> Iterator[None]:
    path = Path(hot_path.__file__).with_name("spend_from_one.sql")
    assert path.read_text().count("COMMIT;") == 1
    sql(path.read_text().replace("COMMIT;", "COMMIT; PERFORM pg_sleep(20);").replace("user_key", user_key_type()))
    yield
    functions.install()


def test_nobody_who_is_canceled_in_between_is_told_that_nothing_was_done(
    rich: Wallet, pause_between_the_transactions: None
) -> None:
    calls = [Call[Operation, Outcome](one) for one in by_wallet(rich)]
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(elsewhere, lambda: carry_out(calls))
        until(lambda: bool(sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")))
        future.result(20)
    for call in calls:
        with pytest.raises(OperationalError, match="is not known"):
            call.outcome()
    assert AIBillingService.balance(rich).balance == 7
    assert_laws(rich)


def test_doctor_says_that_a_role_may_not_flush(role_that_may_not_flush: str) -> None:
    def said() -> list[Line]:
        return [line for line in installation.examine() if line.about == "database"]

    assert [line.level for line in said()] == [Level.OK]
    sql(f"SET ROLE {role_that_may_not_flush}")
    (line,) = said()
    assert (line.level, "pg_logical_emit_message" in line.found) == (Level.WARN, True)


def test_spends_that_were_acknowledged_outlive_a_crash(rich: Wallet) -> None:
    """PostgreSQL forgets what it has not written when one of its processes dies in mid-air, and begins anew."""
    acknowledged: list[int] = []
    is_over = threading.Event()

    def work() -> None:
        with suppress(Error):
            while not is_over.is_set():
                (outcome,) = hot_path.from_one([Operation("spend", rich.pk, 1, [Charge(1)])]).read()
                assert isinstance(outcome, Applied)
                acknowledged.extend(outcome.ids)

    # Recovery begins here.
    sql("CHECKPOINT")
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(elsewhere, work) for _ in range(4)]
        try:
            until(lambda: len(acknowledged) > 200)
            ((process,),) = sql("SELECT pg_backend_pid()")
            os.kill(process, signal.SIGKILL)
            until(lambda: all(one.done() for one in done))
        finally:
            is_over.set()
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
    with ThreadPoolExecutor(1) as pool, disk_that_never_answers():
        future = pool.submit(elsewhere, lambda: hot_path.from_one([spend(rich, 11)] * 2).read())
        assert future.result(20) == [None, None]
