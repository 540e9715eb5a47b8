"""Paystack on localhost in one process, driven by wrk: how fast it is, and whether a full file makes it slower."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from random import Random

import httpx2

from benchmarks import http
from benchmarks.compare import Measure, Row, Yardstick
from benchmarks.load import SEED
from paystack_sandbox import PaystackSandbox

REQUESTS_A_SECOND_MIN = 1000
REQUESTS_A_SECOND_MAX = 10_000
COST_MAX = 1.2
"""Of a lookup in the full file, by what it costs in a small one."""
FEW = 1000
PAYERS = 100
LAG = 200
"""So many payments are between the start of one and its end, so that no request overtakes what it needs."""
SAMPLES = 2000

_KEY = {"Authorization": "Bearer sk_test_sandbox"}
_CARD = json.dumps({"channel": "card", "card": {"number": "4084084084084081"}}).encode()
_SANDBOX = ["-m", "paystack_sandbox"]
_BARE = ["-m", "uvicorn", "--log-level", "warning", "--no-access-log", "benchmarks.bare_starlette:app"]
_VERIFY = "/transaction/verify/"


def rows(transactions: int) -> Iterator[Row]:
    """Servers and files are there for as long as the rows are asked for."""
    if shutil.which("wrk") is None:
        print("wrk is not installed (apt-get install wrk); the sandbox's rows are left out.", file=sys.stderr)
        return
    yield from _payments()
    yield from _lookups(transactions)


def _payments() -> Iterator[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-bench-")))
        bare = stack.enter_context(http.serving(_BARE))
        for name, options in (("in memory", []), ("in a file", ["--data", str(folder / "payments.db")])):
            port = stack.enter_context(http.serving([*_SANDBOX, *options]))
            yardsticks = [
                Yardstick("1,000 a second", _goal, 1.0),
                Yardstick("Starlette, bare", http.replayed(bare, [http.request("GET", f"{_VERIFY}x", b"", _KEY)])),
            ]
            yield Row(f"sandbox: initialize + pay + verify, {name}", _paid(port), yardsticks)


def _goal(seconds: float) -> float:
    return REQUESTS_A_SECOND_MIN


def _paid(port: int) -> Measure:
    """Whole payments, each request counted."""
    runs = count()

    def measure(seconds: float) -> float:
        requests = _in_order(f"p{next(runs)}-", round(seconds * REQUESTS_A_SECOND_MAX / 3))
        with http.file_of(requests) as file:
            rate = http.wrk(port, file, "in-order", seconds)
        if rate * seconds > len(requests):
            raise RuntimeError(f"{rate:,.0f} requests a second are more than were made ready.")
        return rate

    return measure


def _in_order(prefix: str, payments: int) -> list[bytes]:
    # wrk takes the first for itself, to see whether it is a request.
    requests = [http.request("GET", "/bank", b"", _KEY)]
    for number in range(payments):
        body = {"email": f"payer{number % PAYERS}@example.com", "amount": 8000, "reference": f"{prefix}{number}"}
        requests.append(http.request("POST", "/transaction/initialize", json.dumps(body).encode(), _KEY))
        if number >= LAG:
            address = f"/_sandbox/transactions/{prefix}{number - LAG}/pay"
            requests.append(http.request("POST", address, _CARD, {}))
        if number >= 2 * LAG:
            requests.append(http.request("GET", f"{_VERIFY}{prefix}{number - 2 * LAG}", b"", _KEY))
    return requests


def _lookups(transactions: int) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-bench-")))
        sizes = (FEW, transactions)
        ids = [_fill(folder / f"{rows}.db", rows) for rows in sizes]
        ports = [stack.enter_context(http.serving([*_SANDBOX, "--data", str(folder / f"{rows}.db")])) for rows in sizes]
        few, many = (_requests(first_id, rows) for first_id, rows in zip(ids, sizes, strict=True))
        for name in few:
            row = f"sandbox: {name}, {transactions:,} transactions"
            yardstick = Yardstick(f"{FEW:,} transactions", http.replayed(ports[0], few[name]), 1 / COST_MAX)
            yield Row(row, http.replayed(ports[1], many[name]), [yardstick])


def _requests(first_id: int, rows: int) -> dict[str, list[bytes]]:
    numbers = Random(SEED).choices(range(1, rows + 1), k=SAMPLES)
    paths: dict[str, Sequence[str]] = {
        "verify": [f"{_VERIFY}r{number}" for number in numbers],
        "fetch": [f"/transaction/{first_id + number}" for number in numbers],
        "timeline": [f"/transaction/timeline/r{number}" for number in numbers],
        "first page of the list": ["/transaction"],
    }
    return {name: [http.request("GET", path, b"", _KEY) for path in some] for name, some in paths.items()}


def _fill(path: Path, rows: int) -> int:
    """A data file of so many transactions, all copies of one that was really paid. Answers that one's id."""
    with PaystackSandbox(data=path) as sandbox:
        sandbox.pay(_initialize(sandbox))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        _copy(database, "customers", rows // PAYERS, {"code": "'CUS_' || n", "email": "'payer' || n || '@example.com'"})
        own = {"reference": "'r' || n", "reference_key": "'r' || n", "access_code": "'a' || n"}
        payer = f"customer_id + n % {rows // PAYERS}"
        _copy(database, "transactions", rows, {**own, "customer_id": payer, "created_at": "created_at + n"})
        database.commit()
        first: int = database.execute("SELECT min(id) FROM transactions").fetchone()[0]
    return first


def _initialize(sandbox: PaystackSandbox) -> str:
    body = {"email": "payer@example.com", "amount": 8000, "metadata": {"cart": "c7", "seats": 2}}
    with httpx2.Client(trust_env=False, headers=_KEY) as client:
        answer = client.post(f"{sandbox.url}/transaction/initialize", json=body).json()
    reference: str = answer["data"]["reference"]
    return reference


def _copy(database: sqlite3.Connection, table: str, rows: int, own: dict[str, str]) -> None:
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = {"id": "id + n", **own}
    shown = ", ".join(values.get(column, column) for column in columns)
    database.execute(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
        f"INSERT INTO {table} SELECT {shown} FROM numbers, (SELECT * FROM {table} ORDER BY id LIMIT 1)",
        (rows,),
    )
