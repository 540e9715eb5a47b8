"""The JSON API on granian, 2 workers, driven by wrk with 16 connections."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from django.db import connections

from ai_features.models import Purchase, PurchaseStatus, Wallet
from benchmarks import data
from benchmarks.compare import Measure, Row, Yardstick
from benchmarks.postgres import CLIENTS, Postgres

WORKERS = 2
STARTS_WITHIN_SECONDS = 30
WARM_UP_SECONDS = 2
SETTLED_A_SECOND_MAX = 4000

SPEND = "/ai/api/credits/spend/"
BALANCE = "/ai/api/credits/balance/"
WEBHOOK = "/ai/api/webhooks/paystack/"

_REPLAY = Path(__file__).with_name("replay.lua")
_PRODUCT = [
    "-m",
    "granian",
    "--interface",
    "wsgi",
    "--workers",
    str(WORKERS),
    "--blocking-threads",
    "8",
    "--no-ws",
    "--log-level",
    "error",
]
_SERVICE = ["-m", "uvicorn", "--workers", str(WORKERS), "--log-level", "warning", "--no-access-log"]


def rows(server: Postgres, wallets: Sequence[Wallet]) -> Iterator[Row]:
    """Servers run for as long as the rows are asked for."""
    if not can_be_measured():
        return
    tokens = data.make_tokens(list(wallets))
    spends, balances = [spend_request(token) for token in tokens], [balance_request(token) for token in tokens]
    with product() as port, serving([*_SERVICE, _APP]) as service:
        for name, requests, pgbench_goal, service_goal in (
            ("http: spend", spends, 0.40, 0.8),
            ("http: spend, hot wallet", spends[:1], 0.35, None),
            ("http: balance", balances, 0.40, None),
        ):
            yardsticks = [
                Yardstick("pgbench", server.pgbench, pgbench_goal),
                Yardstick("Starlette + asyncpg", replayed(service, requests), service_goal),
            ]
            yield Row(name, replayed(port, requests), yardsticks)
        yield Row("http: webhook", settled(port, wallets), [Yardstick("pgbench", server.pgbench, 0.35)])


_APP = "benchmarks.starlette_service:app"


def can_be_measured() -> bool:
    """Says so where it can't."""
    is_there = shutil.which("wrk") is not None
    if not is_there:
        print("wrk is not installed (apt-get install wrk); the rows over HTTP are left out.", file=sys.stderr)
    return is_there


@contextmanager
def product() -> Iterator[int]:
    """The port at which the reference project answers, until the block ends."""
    connections.close_all()
    with serving([*_PRODUCT, "app.wsgi:application"]) as port:
        yield port


def spend_request(token: str) -> bytes:
    return request("POST", SPEND, b'{"credits": 0.5, "feature": "chat"}', _authorization(token))


def balance_request(token: str) -> bytes:
    return request("GET", BALANCE, b"", _authorization(token))


def one_connection(request: bytes, seconds: float) -> float:
    """Answers a second of one worker to one client: one over it is how long an answer takes."""
    command = [*_PRODUCT, "--workers", "1", "app.wsgi:application"]
    connections.close_all()
    with serving(command) as port, file_of([request]) as file:
        wrk(port, file, "random", WARM_UP_SECONDS, clients=1)
        return wrk(port, file, "random", seconds, clients=1)


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


def request(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def replayed(port: int, requests: Sequence[bytes], clients: int = CLIENTS) -> Measure:
    def measure(seconds: float) -> float:
        with file_of(requests) as file:
            wrk(port, file, "random", WARM_UP_SECONDS, clients)
            return wrk(port, file, "random", seconds, clients)

    return measure


def settled(port: int, wallets: Sequence[Wallet], clients: int = CLIENTS) -> Measure:
    def measure(seconds: float) -> float:
        bodies = data.make_purchases(list(wallets), round(seconds * SETTLED_A_SECOND_MAX))
        requests = [request("POST", WEBHOOK, body, {"x-paystack-signature": data.sign(body)}) for body in bodies]
        completed = Purchase.objects.filter(status=PurchaseStatus.COMPLETED)
        before = completed.count()
        with file_of(requests) as file:
            rate = wrk(port, file, "in-order", seconds, clients)
        done = completed.count() - before
        if done < rate * seconds * 0.99 or done == len(bodies):
            raise RuntimeError(f"{rate:,.0f} webhooks a second were answered, but only {done} of them settled.")
        return rate

    return measure


@contextmanager
def file_of(requests: Sequence[bytes]) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="ai-credits-bench-") as file:
        for request in requests:
            file.write(b"%d\n%s" % (len(request), request))
        file.flush()
        yield Path(file.name)


def wrk(port: int, requests: Path, order: str, seconds: float, clients: int = CLIENTS) -> float:
    """Answers a second. Raises RuntimeError unless all of them were good."""
    command = ["wrk", "--threads=1", f"--connections={clients}", f"--duration={max(1, round(seconds))}s"]
    command += [f"--script={_REPLAY}", f"http://127.0.0.1:{port}", "--", str(requests), order]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+)", output)
    assert found is not None, output
    answers, microseconds, failed = (int(number) for number in found.groups())
    if failed:
        raise RuntimeError(f"{failed} of {answers} requests failed.\n{output}")
    return answers / microseconds * 1_000_000


@contextmanager
def serving(arguments: list[str]) -> Iterator[int]:
    """The port of a server that answers, until the block ends."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": "."})
    try:
        _wait_for(f"http://127.0.0.1:{port}{BALANCE}")
        yield port
    finally:
        child.terminate()
        child.wait(timeout=10)


def _wait_for(address: str) -> None:
    """Any answer will do; without a token it is a 401."""
    give_up_at = time.monotonic() + STARTS_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)
