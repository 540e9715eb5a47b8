"""The command: what it says at the start, what it refuses, and how it ends."""

import signal
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.money import COUNTRIES, CURRENCIES
from paystack_sandbox.sandbox import InvalidConfiguration
from tests.paystack_sandbox.commanding import command, run
from tests.paystack_sandbox.receiver import Receiver

NEW = {"email": "ama@example.com", "amount": 8000}
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def initialize(url: str, key: str = "sk_test_sandbox", **body: object) -> dict[str, str]:
    data: dict[str, str] = httpx2.post(f"{url}/transaction/initialize", json=NEW | body, headers=bearer(key)).json()[
        "data"
    ]
    return data


@pytest.mark.parametrize(
    ("options", "said"), [((), "serve this machine only"), (("--allow-remote-control",), "serve any machine")]
)
def test_start_says_whom_the_control_routes_serve(options: tuple[str, ...], said: str) -> None:
    with command(*options) as (process, _):
        assert process.stdout
        assert said in process.stdout.readline()


def test_webhook_address_where_nobody_listens_is_warned_of_and_no_more() -> None:
    with Receiver() as receiver:
        url = receiver.url
    with command("--webhook-url", url) as (process, address):
        assert process.stderr
        assert process.stderr.readline().startswith(f"paystack-sandbox: nothing listens at {url} yet (")
        assert httpx2.get(f"{address}/_sandbox/health").status_code == 200


def test_webhook_address_that_answers_is_not_warned_of() -> None:
    with Receiver() as receiver, command("--webhook-url", receiver.url) as (process, address):
        reference = initialize(address)["reference"]
        httpx2.post(f"{address}/_sandbox/transactions/{reference}/pay", json={"channel": "ussd"})
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == ""
        assert receiver.deliveries


@pytest.mark.parametrize("country", list(COUNTRIES))
def test_country_decides_currency_and_channels(country: str) -> None:
    (currency,) = COUNTRIES[country]
    with PaystackSandbox(country=country) as sandbox:
        data = initialize(sandbox.url, amount=500000)
        found = sandbox.transaction(data["reference"])
        assert found["currency"] == currency
        page = httpx2.get(data["authorization_url"]).text
        offered = {name for name in ("mobile_money", "bank", "ussd", "qr", "eft") if f'channel={name}"' in page}
        assert offered == set(CURRENCIES[currency].channels) & {"mobile_money", "bank", "ussd", "qr", "eft"}


def test_each_key_may_have_its_country() -> None:
    with command("--country", "kenya", "--secret-key", "sk_test_a", "--secret-key", "sk_test_b:nigeria") as (_, url):
        for key, currency in (("sk_test_a", "KES"), ("sk_test_b", "NGN")):
            reference = initialize(url, key)["reference"]
            answer = httpx2.get(f"{url}/transaction/verify/{reference}", headers=bearer(key)).json()
            assert answer["data"]["currency"] == currency


def test_port_that_is_taken() -> None:
    with command() as (_, url):
        ended = run("--port", url.rpartition(":")[2])
    assert ended.status == 2
    assert ended.complaint.startswith("paystack-sandbox: can't listen on 127.0.0.1 port")
    assert ended.complaint.endswith("Address already in use. Try another --port.\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--secret-key", "pk_test_x"), "public key"),
        (("--secret-key", "test"), "sk_test_"),
        (("--secret-key", "sk_test_"), "sk_test_"),
        (("--secret-key", "sk_test_a", "--secret-key", "sk_test_a:kenya"), "twice"),
        (("--secret-key", "sk_test_a:mali"), "cote-divoire"),
        (("--country", "mali"), "cote-divoire"),
        (("--country", "kenya", "--currency", "NGN"), "not allowed with"),
        (("--currency", "ABC"), "'ABC'"),
        (("--webhook-url", "localhost:8000"), "http://"),
        (("--webhook-url", "http://[::1"), "webhook URL"),
        (("--port", "99999"), "no port"),
        (("--host", "no.such.host.invalid"), "can't listen on no.such.host.invalid"),
        (("--data", "/nowhere/at/all.sqlite3"), "can't be written"),
        (("--data", __file__), "not a database"),
    ],
)
def test_bad_options_are_explained(options: tuple[str, ...], said: str) -> None:
    ended = run("--port", "0", *options)
    assert ended.status == 2
    assert said in ended.complaint


def test_secret_key_that_is_refused_is_not_printed() -> None:
    assert "Zk9secret" not in run("--port", "0", "--secret-key", "Zk9secret").complaint


def test_python_refuses_the_same() -> None:
    for options in ({"country": "mali"}, {"secret_key": "pk_test_x"}, {"currencies": ("ABC",)}):
        with pytest.raises(InvalidConfiguration):
            PaystackSandbox(**options).start()


def test_bash_completes_options_and_countries(tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(run("--print-completion", "bash").said)
    for words, offered in (("--cou", "--country"), ("--country s", "south-africa")):
        line = (
            f"source {script}; COMP_WORDS=(paystack-sandbox {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
            'COMPREPLY=(); _shtab_paystack_sandbox; echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True)
        assert done.stdout.split() == [offered]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh", "powershell"])
def test_every_shell_gets_a_script(shell: str) -> None:
    ended = run("--print-completion", shell)
    assert ended.status == 0
    assert "country" in ended.said


# The end


@pytest.mark.parametrize("number", SIGNALS)
def test_end_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    kept, temporary = tmp_path / "kept", tmp_path / "temporary"
    kept.mkdir()
    temporary.mkdir()
    with Receiver() as receiver:
        options = ("--data", str(kept / "state.sqlite3"), "--webhook-url", receiver.url)
        with command(*options, temporary=temporary) as (process, url), httpx2.Client(base_url=url) as client:
            reference = initialize(url)["reference"]
            client.post(f"/_sandbox/transactions/{reference}/pay", json={"channel": "ussd"})
            process.send_signal(number)
            assert process.communicate(timeout=30)[1] == ""
            assert process.returncode == 0
    assert [path.name for path in kept.iterdir()] == ["state.sqlite3"]
    assert list(temporary.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))


@pytest.mark.parametrize("number", SIGNALS)
def test_end_waits_neither_for_held_requests_nor_for_slow_receivers(number: signal.Signals) -> None:
    released = threading.Event()
    with Receiver() as receiver:
        receiver.on_delivery = lambda: released.wait(20)
        with command("--webhook-url", receiver.url) as (process, url):
            reference = initialize(url)["reference"]
            httpx2.post(f"{url}/_sandbox/transactions/{reference}/pay", json={"channel": "ussd"})
            httpx2.put(f"{url}/_sandbox/faults", json={"api": {"timeout_rate": 1}})
            with pytest.raises(httpx2.ReadTimeout):
                httpx2.get(f"{url}/bank", timeout=httpx2.Timeout(10, read=0.3))
            process.send_signal(number)
            assert process.wait(timeout=15) == 0
        released.set()


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_stopped_sandbox_leaves_no_thread_and_no_socket() -> None:
    with PaystackSandbox():
        pass
    threads, files = threading.active_count(), open_files()
    with PaystackSandbox() as sandbox, httpx2.Client(base_url=sandbox.url) as client:
        client.get("/bank", headers=bearer(sandbox.secret_key))
    assert (threading.active_count(), open_files()) == (threads, files)
