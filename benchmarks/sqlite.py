"""A spend on SQLite beside the same two statements from the bare `sqlite3` module, each in a process of its own.

`python -m benchmarks.sqlite product|bare SECONDS` is that process; it prints spends a second.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.compare import Measure, Row, Yardstick

COST_MICRO = 500_000


def rows() -> list[Row]:
    return [Row("sqlite: spend", _measured("product"), [Yardstick("bare sqlite3", _measured("bare"), goal=0.4)])]


def _measured(which: str) -> Measure:
    def measure(seconds: float) -> float:
        with tempfile.TemporaryDirectory(prefix="ai-credits-bench-") as folder:
            environment = os.environ | {"BENCH_SQLITE": str(Path(folder, "bench.sqlite3"))}
            command = [sys.executable, "-m", "benchmarks.sqlite", which, str(seconds)]
            return float(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)

    return measure


def main() -> None:
    which, seconds = sys.argv[1], float(sys.argv[2])
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    from ai_features.billing import AIBillingService  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    wallet = AIBillingService.wallet("bench")
    AIBillingService.grant(wallet, 10**9, reason="Benchmark")
    if which == "product":
        print(_rate(lambda: AIBillingService.spend(wallet, "0.5", feature="chat"), seconds))
        return
    with closing(sqlite3.connect(os.environ["BENCH_SQLITE"], isolation_level=None)) as database:
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        print(_rate(lambda: _spend(database, wallet.pk), seconds))


def _rate(call: Callable[[], object], seconds: float) -> float:
    call()
    start, calls = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        call()
        calls += 1
    return calls / elapsed


def _spend(database: sqlite3.Connection, wallet_id: int) -> None:
    database.execute("BEGIN IMMEDIATE")
    now = "2026-01-01 00:00:00"
    paid = [COST_MICRO, COST_MICRO, wallet_id, COST_MICRO, now]
    (balance,) = database.execute(_PAY, paid).fetchone()
    database.execute(_ENTER, [wallet_id, -COST_MICRO, balance, "chat", now]).fetchone()
    database.execute("COMMIT")


_PAY = """
UPDATE ai_features_wallet SET balance = balance - ?, unallocated = unallocated + ?
 WHERE id = ? AND balance - held >= ? AND (next_expiry_at IS NULL OR next_expiry_at > ?) RETURNING balance
"""
_ENTER = """
INSERT INTO ai_features_ledgerentry (wallet_id, kind, amount, balance_after, feature, created_at)
VALUES (?, 'spend', ?, ?, ?, ?) RETURNING id
"""

if __name__ == "__main__":
    main()
