"""The sandbox's state when its process is killed."""

import os
import signal
from pathlib import Path

import httpx2

from tests.paystack_sandbox.commanding import command
from tests.paystack_sandbox.receiver import Receiver

KEY = {"Authorization": "Bearer sk_test_sandbox"}
NEW = {"email": "a@b.co", "amount": 8000}


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
