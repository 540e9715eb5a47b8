"""The command, and its state when it is killed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.paystack_sandbox.receiver import Receiver

KEY = {"Authorization": "Bearer sk_test_sandbox"}
NEW = {"email": "a@b.co", "amount": 8000}


@contextmanager
def command(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running command and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "paystack_sandbox", "--port", "0", *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        found = re.search(r"http://[0-9.:]+", process.stdout.readline())
        assert found
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def refused(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "paystack_sandbox", *options], check=False, capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stderr


def test_killed_process_forgets_nothing(tmp_path: Path) -> None:
    options = ("--data", str(tmp_path / "state.sqlite3"), "--webhook-url", "http://127.0.0.1:9/down")
    with command(*options) as (process, url):
        made = httpx2.post(f"{url}/transaction/initialize", json=NEW | {"reference": "open"}, headers=KEY).json()
        httpx2.post(f"{url}/transaction/initialize", json=NEW | {"reference": "paid"}, headers=KEY)
        httpx2.post(f"{url}/_sandbox/transactions/paid/pay", json={"channel": "ussd"})
        httpx2.post(f"{url}/_sandbox/clock", json={"advance_seconds": 100})
        httpx2.put(f"{url}/_sandbox/faults", json={"webhook": {"duplicate": 1}, "seed": 5})
        faults = httpx2.get(f"{url}/_sandbox/faults").json()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with Receiver() as receiver, command(*options[:3], receiver.url) as (process, url):
        assert httpx2.get(f"{url}/transaction/verify/paid", headers=KEY).json()["data"]["status"] == "success"
        assert httpx2.get(f"{url}/_sandbox/faults").json() == faults
        assert httpx2.get(f"{url}/_sandbox/clock").json()["advanced_seconds"] == 100
        access_code = made["data"]["access_code"]
        assert "Pay GHS 80.00" in httpx2.get(f"{url}/checkout/{access_code}").text
        httpx2.post(f"{url}/_sandbox/clock", json={"advance_seconds": 3600})
        assert delivered(url, count=1) == ["paid"]


def delivered(url: str, count: int) -> list[str]:
    for _ in range(200):
        rows = [row for row in httpx2.get(f"{url}/_sandbox/webhooks").json() if row["delivered"]]
        if len(rows) >= count:
            return [row["reference"] for row in rows]
    return []


def test_interrupt_ends_it_cleanly() -> None:
    with command() as (process, url):
        httpx2.get(f"{url}/bank")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_interrupt_does_not_wait_for_held_requests() -> None:
    with command() as (process, url):
        httpx2.put(f"{url}/_sandbox/faults", json={"api": {"timeout_rate": 1}})
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.get(f"{url}/bank", timeout=0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_port_that_is_taken() -> None:
    with command() as (_, url):
        status, complaint = refused("--port", url.rpartition(":")[2])
    assert status == 2
    assert complaint.startswith("paystack-sandbox: can't listen on 127.0.0.1 port")
    assert "Traceback" not in complaint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--secret-key", "pk_test_x"), "sk_test_"),
        (("--secret-key", "sk_test_a", "--secret-key", "sk_test_a"), "twice"),
        (("--currency", "ABC"), "'ABC'"),
        (("--webhook-url", "localhost:8000"), "http://"),
        (("--port", "99999"), "no port"),
        (("--data", "/nowhere/at/all.sqlite3"), "can't be written"),
        (("--data", __file__), "not a database"),
    ],
)
def test_bad_options_are_explained(options: tuple[str, ...], said: str) -> None:
    status, complaint = refused("--port", "0", *options)
    assert status == 2
    assert said in complaint
    assert "Traceback" not in complaint


def test_help_names_every_option() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "paystack_sandbox", "--help"], check=False, capture_output=True, text=True
    )
    for option in (
        "--host",
        "--port",
        "--webhook-url",
        "--secret-key",
        "--data",
        "--seed",
        "--public-url",
        "--currency",
    ):
        assert option in done.stdout
