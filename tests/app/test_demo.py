"""The demo as a newcomer meets it: its own processes, its own database, over HTTP."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# One of them starts it twice.
pytestmark = pytest.mark.timeout(400)

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_SECONDS = 150


@dataclass
class Demo:
    site: str
    sandbox: str
    process: subprocess.Popen[str]

    def call(self, address: str, body: object = None, token: str = "") -> Any:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Token {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """All of it at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def login(self) -> str:
        return self.call(f"{self.site}/ai/api/token/", {"username": "demo", "password": "demo"})["token"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(folder: Path, port: int, sandbox_port: int) -> Demo:
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3", "PAYSTACK_SECRET_KEY": ""}
    environment |= {
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "PYTHONUNBUFFERED": "1",
        "RECONCILE_EVERY_SECONDS": "1",
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "manage.py", "demo", "--sandbox-data", str(folder / "sandbox.sqlite3")]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
    demo = Demo(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}", process)
    give_up_at = time.monotonic() + STARTS_WITHIN_SECONDS
    try:
        while "Ctrl-C stops everything" not in (folder / "log.txt").read_text():
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < give_up_at, (folder / "log.txt").read_text()
            time.sleep(0.1)
    except BaseException:
        demo.kill()
        raise
    return demo


def is_alive(process_group: int) -> bool:
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def demo(tmp_path: Path, ports: list[int]) -> Iterator[Demo]:
    demo = start(tmp_path, *ports)
    yield demo
    demo.kill()


def test_value_pack_from_token_to_balance(demo: Demo) -> None:
    token = demo.login()
    bought = demo.call(f"{demo.site}/ai/api/credits/purchase/", {"package": "value"}, token)
    card = {"channel": "card", "card": {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}}
    demo.call(f"{demo.sandbox}/_sandbox/transactions/{bought['reference']}/pay", card)
    answer = demo.call(f"{demo.site}/ai/api/credits/verify/?reference={bought['reference']}", token=token)
    assert (answer["status"], answer["credits_added"], answer["new_balance"]) == ("success", 100, 145.5)
    assert demo.call(f"{demo.site}/ai/api/credits/balance/", token=token)["balance"] == 145.5


def test_payment_that_nobody_tells_of_is_found(demo: Demo) -> None:
    token = demo.login()
    bought = demo.call(f"{demo.site}/ai/api/credits/purchase/", {"package": "value"}, token)
    faults = urllib.request.Request(f"{demo.sandbox}/_sandbox/faults", b'{"webhook": {"drop": 1.0}}', method="PUT")
    urllib.request.urlopen(faults, timeout=30).close()
    demo.call(f"{demo.sandbox}/_sandbox/transactions/{bought['reference']}/pay", {"channel": "ussd"})
    give_up_at = time.monotonic() + 60
    while demo.call(f"{demo.site}/ai/api/credits/balance/", token=token)["balance"] != 145.5:
        assert time.monotonic() < give_up_at
        time.sleep(0.5)


def test_everything_killed_between_payment_and_verify(demo: Demo, tmp_path: Path, ports: list[int]) -> None:
    token = demo.login()
    bought = demo.call(f"{demo.site}/ai/api/credits/purchase/", {"package": "starter"}, token)
    card = {"channel": "card", "card": {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}}
    demo.call(f"{demo.sandbox}/_sandbox/transactions/{bought['reference']}/pay", card)
    demo.kill()
    again = start(tmp_path, *free_ports(2))
    try:
        answer = again.call(f"{again.site}/ai/api/credits/verify/?reference={bought['reference']}", token=token)
        assert (answer["status"], answer["new_balance"]) == ("success", 75.5)
    finally:
        again.kill()


def test_taken_port_is_named(demo: Demo) -> None:
    command = [sys.executable, "manage.py", "demo", "--port", demo.site.rpartition(":")[2]]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "is taken. Choose another: make demo PORT=" in done.stderr


def test_ctrl_c_stops_every_process(demo: Demo, tmp_path: Path) -> None:
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(timeout=60) == 0, (tmp_path / "log.txt").read_text()
    give_up_at = time.monotonic() + 30
    while is_alive(demo.process.pid):
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
