"""`python -m benchmarks`: start a server, measure what was asked for, print the table."""

from __future__ import annotations

import json
import os
import platform
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import django

from benchmarks.compare import HEADING, Result, Row, compare, line
from benchmarks.postgres import CLIENTS, SCALE, Postgres

RESULTS = Path(__file__).with_name("results.json")
WALLETS = 1000


def main() -> None:
    arguments = _arguments()
    server = Postgres.start()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    os.environ["BENCH_DATABASE"] = json.dumps(server.settings)
    django.setup()
    about = _about(server, arguments)
    print("\n".join(f"{name}: {value}" for name, value in about.items()), end="\n\n")
    print(HEADING, flush=True)
    results: list[Result] = []
    for row in _rows(server, arguments):
        for result in compare(row, seconds=arguments.seconds, repeats=arguments.repeats):
            print(line(result), flush=True)
            results.append(result)
    RESULTS.write_text(json.dumps({"about": about, "results": [result.as_json() for result in results]}, indent=1))


def _rows(server: Postgres, arguments: Namespace) -> Iterator[Row]:
    # Django must be set up before its models are imported.
    from django.core.management import call_command  # noqa: PLC0415

    from benchmarks import data, history, http, python_api, reconciling, sandbox, sqlite  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    wallets = data.make_wallets(WALLETS, "buyer")
    # What the names of a group's rows begin with; a group that was not asked for prepares nothing.
    groups: tuple[tuple[str, Callable[[], Iterable[Row]]], ...] = (
        ("", lambda: python_api.rows(server, wallets)),
        ("http", lambda: http.rows(server, wallets)),
        ("history", lambda: history.rows(arguments.history)),
        ("reconcile", lambda: reconciling.rows(arguments.payments, wallets)),
        ("", sqlite.rows),
        ("sandbox", lambda: sandbox.rows(arguments.transactions)),
    )
    for prefix, group in groups:
        if arguments.only and not any(name[: len(prefix)] == prefix[: len(name)] for name in arguments.only):
            continue
        for row in group():
            if not arguments.only or row.name.startswith(arguments.only):
                yield row


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=(), type=lambda names: tuple(names.split(",")), help="beginnings of rows")
    parser.add_argument("--seconds", default=5.0, type=float, help="of each measurement")
    parser.add_argument("--repeats", default=3, type=int)
    parser.add_argument("--history", default=1_000_000, type=int, help="entries of the wallet with a long past")
    parser.add_argument("--transactions", default=1_000_000, type=int, help="in the sandbox's full file")
    parser.add_argument("--payments", default=1_000_000, type=int, help="in the list that is reconciled")
    return parser.parse_args()


def _about(server: Postgres, arguments: Namespace) -> dict[str, str]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{_cpu()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}",
        "versions": f"PostgreSQL {server.version}, Python {platform.python_version()}, Django {django.__version__}",
        "yardstick": f"pgbench -N, scale {SCALE}, {CLIENTS} clients, simple protocol",
        "method": f"{arguments.repeats} repeats of {arguments.seconds:g} s, each beside its yardstick",
        "history": f"{arguments.history:,} entries",
        "command": " ".join(sys.argv[1:]) or "all",
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((text.partition(": ")[2] for text in lines if text.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
