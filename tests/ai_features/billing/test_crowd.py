"""Everybody at once on few wallets, with processes killed and connections cut: what was acknowledged is there, once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import count

import pytest
from django.db import Error, connection, connections, transaction
from django.utils import timezone

from ai_features.billing import AIBillingService, audit
from ai_features.billing.ledger import queue
from ai_features.billing.reservations import Reserved
from ai_features.exceptions import AICreditsError
from ai_features.models import IdempotencyKey, LedgerEntry, Wallet
from tests.laws import assert_laws

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRESQL = connection.vendor == "postgresql"
only_on_postgresql = pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite has no server and no row locks")
THREADS = 32 if ON_POSTGRESQL else 6
SECONDS = 4.0


@pytest.fixture
def wallets(db: None) -> list[Wallet]:
    found = [AIBillingService.wallet(f"team-{number}") for number in range(3)]
    for wallet in found:
        AIBillingService.grant(wallet, 1000, reason="trial")
    AIBillingService.set_cap(found[0], "feature", "capped", "day", 50)
    return found


def crowd(work: Callable[[random.Random], None], threads: int = THREADS, seconds: float = SECONDS) -> None:
    """Run `work` in every thread, each with its own connection and seed, until the time is up."""
    end = time.monotonic() + seconds

    def run(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  to be repeatable
        try:
            while time.monotonic() < end:
                work(chance)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))


OPERATIONS = ["spend", "spend", "spend", "many", "reserve", "capture", "release", "grant", "lease"]


def operate(chance: random.Random, wallet: Wallet, open_ones: list[Reserved]) -> Iterable[int]:
    """One operation by chance; returns the entries it was told of."""
    key = f"{chance.random()}" if chance.random() < 0.5 else None
    match chance.choice(OPERATIONS):
        case "spend":
            feature = chance.choice(["chat", "capped"])
            yield AIBillingService.spend(wallet, chance.randint(1, 5), feature=feature, idempotency_key=key).entry
        case "many":
            uses = [{"credits": 1}] * chance.randint(1, 5)
            yield from AIBillingService.spend_many(wallet, uses, idempotency_key=key).entries
        case "reserve":
            ttl = chance.choice([1, 60])
            open_ones.append(AIBillingService.reserve(wallet, chance.randint(1, 20), ttl_seconds=ttl))
        case "capture":
            yield open_ones.pop().capture(chance.randint(1, 25)).entry
        case "release":
            open_ones.pop().release()
        case "grant":
            soon = timezone.now() + timedelta(seconds=chance.uniform(0.3, 3))
            AIBillingService.grant(wallet, chance.randint(1, 50), reason="more", expires_at=soon)
        case "lease":
            with AIBillingService.lease(wallet, 5) as lease:
                for _ in range(12):
                    lease.spend("0.5")


def test_everything_at_once_keeps_every_law(wallets: list[Wallet]) -> None:
    acknowledged: list[int] = []
    open_ones: list[Reserved] = []

    def work(chance: random.Random) -> None:
        # Refused, or nothing is reserved just now.
        with suppress(AICreditsError, IndexError):
            acknowledged.extend(operate(chance, chance.choice(wallets), open_ones))

    crowd(work)
    assert list(audit.audit()) == []
    assert len(acknowledged) == len(set(acknowledged)) > 0
    assert LedgerEntry.objects.filter(pk__in=acknowledged).count() == len(acknowledged)
    for wallet in wallets:
        assert_laws(wallet)


@only_on_postgresql
def test_cut_connections_lose_and_double_nothing(wallets: list[Wallet]) -> None:
    keys: list[str] = []
    cuts = count()
    stopped = threading.Event()

    def cut() -> None:
        sql = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
                 AND pid <> pg_backend_pid() AND state <> 'idle' AND query ~ 'ai_features_(apply|charge|spend)'"""
        while not stopped.wait(0.05):
            with connection.cursor() as cursor:
                cursor.execute(sql)
            next(cuts)
        connections.close_all()

    def work(chance: random.Random) -> None:
        key = f"{chance.random()}"
        while True:
            try:
                AIBillingService.spend(wallets[1], "0.01", idempotency_key=key)
            except Error:
                connection.close()
            else:
                keys.append(key)
                return

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        crowd(work, threads=8)
    finally:
        stopped.set()
        cutter.join()
    assert next(cuts) > 10
    assert IdempotencyKey.objects.filter(wallet=wallets[1]).count() == len(keys)
    assert LedgerEntry.objects.filter(wallet=wallets[1], kind="spend").count() == len(keys)
    assert list(audit.audit()) == []


_WORKER = """
import django; django.setup()
from django.db import connection
from ai_features.billing import AIBillingService
number = 0
while True:
    number += 1
    AIBillingService.spend("team-1", "0.01", idempotency_key=f"{number}")
    print(number, flush=True)
"""


@only_on_postgresql
def test_killed_worker_loses_and_doubles_nothing(wallets: list[Wallet]) -> None:
    database = connection.settings_dict
    settings = "from app.settings import *\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', "
    settings += f"'NAME': {database['NAME']!r}, 'USER': {database['USER']!r}, 'HOST': {database['HOST']!r}}}}}"
    code = f"import sys, types; m = types.ModuleType('worker_settings'); exec({settings!r}, m.__dict__)\n"
    code += "sys.modules['worker_settings'] = m\n" + _WORKER
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "worker_settings"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stdout is not None
        acknowledged = [int(worker.stdout.readline()) for _ in range(200)]
        worker.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in worker.stdout if line.endswith("\n")]
    last = acknowledged[-1]
    assert acknowledged == list(range(1, last + 1))
    for number in range(last - 2, last + 3):
        AIBillingService.spend("team-1", "0.01", idempotency_key=f"{number}")
    assert LedgerEntry.objects.filter(wallet=wallets[1], kind="spend").count() == last + 2
    assert list(audit.audit()) == []


@only_on_postgresql
def test_wallet_held_by_a_transaction_stops_no_other(wallets: list[Wallet]) -> None:
    held, free = wallets[1], wallets[2]
    holds, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            AIBillingService.spend(held, 1)
            holds.set()
            may_end.wait(30)
        connections.close_all()

    def spend(wallet: Wallet) -> None:
        AIBillingService.spend(wallet, 1)
        connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        holder = pool.submit(hold)
        assert holds.wait(25)
        waiting = [pool.submit(spend, held) for _ in range(3)]
        for _ in range(5):
            pool.submit(spend, free).result(timeout=25)
        assert not any(call.done() for call in waiting)
        may_end.set()
        holder.result(timeout=25)
        for call in waiting:
            call.result(timeout=25)
    assert AIBillingService.balance(held).balance == 996
    assert list(audit.audit()) == []


@only_on_postgresql
def test_interrupted_caller_keeps_nobody_waiting(wallets: list[Wallet]) -> None:
    held = wallets[1]
    holds, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            AIBillingService.spend(held, 1)
            holds.set()
            may_end.wait(30)
        connections.close_all()

    def spend() -> None:
        AIBillingService.spend(held, 1)
        connections.close_all()

    def interrupt(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGUSR1, interrupt)
    with ThreadPoolExecutor(4) as pool:
        pool.submit(hold)
        assert holds.wait(25)
        first = pool.submit(spend)
        time.sleep(0.3)
        threading.Timer(0.5, signal.pthread_kill, [threading.main_thread().ident, signal.SIGUSR1]).start()
        with pytest.raises(InterruptedError):
            AIBillingService.spend(held, 1)
        second = pool.submit(spend)
        may_end.set()
        first.result(timeout=25)
        second.result(timeout=25)
    signal.signal(signal.SIGUSR1, before)
    assert AIBillingService.balance(held).balance == 997


@only_on_postgresql
def test_more_busy_wallets_than_lines_are_all_served(wallets: list[Wallet], monkeypatch) -> None:
    monkeypatch.setattr(queue, "OWN_LINES_MAX", 1)
    spent = count()

    def work(chance: random.Random) -> None:
        AIBillingService.spend(chance.choice(wallets), "0.01")
        next(spent)

    crowd(work, threads=12, seconds=2)
    assert LedgerEntry.objects.filter(kind="spend").count() == next(spent)
    assert list(audit.audit()) == []
