"""The Python API on PostgreSQL, beside `pgbench -N` with as many clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from uuid import uuid4

from ai_features.billing import AIBillingService
from ai_features.models import Wallet
from benchmarks import data
from benchmarks.compare import Measure, Row, Yardstick
from benchmarks.load import Client, MakeClient, in_processes, in_threads, on_one_core
from benchmarks.postgres import CLIENTS, Postgres

COST = Decimal("0.5")
AT_ONCE = 256
LEASED = 1000
LEASED_CALL = Decimal("0.01")
LEASED_CALLS_A_STEP = 100
SETTLED_A_SECOND_MAX = 5000


def rows(server: Postgres, wallets: Sequence[Wallet]) -> list[Row]:
    one = wallets[:1]
    return [
        _row(server, "spend", threads(spend(wallets)), goal=1.0),
        _row(server, "spend, 2 processes of 8 threads", _processes(spend(wallets), 2), goal=1.0),
        _row(server, "spend, 16 processes", _processes(spend(wallets), CLIENTS), goal=1.0),
        _row(server, "spend with a key", threads(spend(wallets, with_key=True))),
        _row(server, "hot wallet", threads(spend(one)), goal=1.5),
        *_where_cores_can_be_chosen(
            _row(server, "hot wallet, threads on one core", on_one_core()(threads(spend(one))), goal=1.5)
        ),
        _row(server, "hot wallet, 2 processes of 8 threads", _processes(spend(one), 2), goal=1.5),
        _row(server, "hot wallet, 16 processes", _processes(spend(one), CLIENTS), goal=1.5),
        _row(server, "hot wallet, a lease a thread", threads(spend_leased(one)), goal=10.0),
        _row(server, "hot wallet, one lease", _one_lease(one[0]), goal=10.0),
        _row(server, "many: spend_many, per spend", threads(spend_many(wallets)), goal=10.0),
        _row(server, "reserve + capture", threads(reserve_and_capture(wallets)), goal=0.5),
        *_mixed(server, spend(wallets), reserve_and_capture(wallets), spend(wallets, with_key=True)),
        _row(server, "settle a webhook", settle(wallets), goal=0.4),
    ]


def _row(server: Postgres, name: str, measure: Measure, goal: float | None = None) -> Row:
    return Row(name, measure, [Yardstick("pgbench", server.pgbench, goal)])


def _mixed(server: Postgres, spends: MakeClient, pairs: MakeClient, keyed: MakeClient) -> list[Row]:
    """Each step one of them by chance; reserve + capture is one step."""
    return [
        _row(server, "mixed: spend, reserve + capture", threads(either(spends, pairs))),
        _row(server, "mixed: the same, one in ten with a key", threads(either(*[spends, pairs] * 9, keyed, keyed))),
        _row(server, "mixed: spend, half with a key", threads(either(spends, keyed))),
    ]


def either(*makes: MakeClient) -> MakeClient:
    def make(random: Random) -> Client:
        clients = [one(random) for one in makes]
        return Client(lambda: random.choice(clients).step())

    return make


def _where_cores_can_be_chosen(*rows: Row) -> tuple[Row, ...]:
    return rows if hasattr(os, "sched_setaffinity") else ()


def threads(make: MakeClient, clients: int = CLIENTS) -> Measure:
    return lambda seconds: in_threads(make, clients, seconds)


def _processes(make: MakeClient, processes: int) -> Measure:
    return lambda seconds: in_processes(make, processes, CLIENTS // processes, seconds)


def spend(wallets: Sequence[Wallet], *, with_key: bool = False) -> MakeClient:
    def make(random: Random) -> Client:
        def step() -> int:
            # Not from the seed: a second run with the same keys would only be answered again.
            key = uuid4().hex if with_key else None
            AIBillingService.spend(random.choice(wallets), COST, feature="chat", idempotency_key=key)
            return 1

        return Client(step)

    return make


def spend_many(wallets: Sequence[Wallet]) -> MakeClient:
    uses = [{"credits": COST, "feature": "chat"}] * AT_ONCE

    def make(random: Random) -> Client:
        def step() -> int:
            return len(AIBillingService.spend_many(random.choice(wallets), uses).entries)

        return Client(step)

    return make


def reserve_and_capture(wallets: Sequence[Wallet]) -> MakeClient:
    def make(random: Random) -> Client:
        def step() -> int:
            wallet = random.choice(wallets)
            reserved = AIBillingService.reserve(wallet, 1, feature="chat")
            AIBillingService.capture(wallet, reserved.id, COST, feature="chat")
            return 1

        return Client(step)

    return make


def balance(wallets: Sequence[Wallet]) -> MakeClient:
    def make(random: Random) -> Client:
        def step() -> int:
            AIBillingService.balance(random.choice(wallets))
            return 1

        return Client(step)

    return make


def spend_leased(wallets: Sequence[Wallet]) -> MakeClient:
    """Each client its own lease."""

    def make(random: Random) -> Client:
        lease = AIBillingService.lease(random.choice(wallets), LEASED, feature="embed").__enter__()
        return Client(_repeated(lambda: lease.spend(LEASED_CALL)), finish=lease.close)

    return make


def _one_lease(wallet: Wallet) -> Measure:
    """One lease for all clients; the first of them to end writes, and what came after is written with the block."""

    def measure(seconds: float) -> float:
        with AIBillingService.lease(wallet, LEASED * CLIENTS, feature="embed") as lease:
            client = Client(_repeated(lambda: lease.spend(LEASED_CALL)), finish=lease.flush)
            return in_threads(lambda _random: client, CLIENTS, seconds)

    return measure


def _repeated(call: Callable[[], None]) -> Callable[[], int]:
    """Looking at the clock after each call would weigh more than the call."""

    def step() -> int:
        for _ in range(LEASED_CALLS_A_STEP):
            call()
        return LEASED_CALLS_A_STEP

    return step


def settle(wallets: Sequence[Wallet], clients: int = CLIENTS) -> Measure:
    def measure(seconds: float) -> float:
        deliveries = data.signed(data.make_purchases(list(wallets), round(seconds * SETTLED_A_SECOND_MAX)))

        def step() -> int:
            body, signature = next(deliveries)
            event = AIBillingService.receive_webhook(body, signature)
            if event.outcome != "completed":
                raise RuntimeError(f"A webhook ended as {event.outcome}: {event.error}")
            return 1

        return in_threads(lambda _random: Client(step), clients, seconds)

    return measure
