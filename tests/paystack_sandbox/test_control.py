import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from paystack_sandbox.app import create_app
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import State
from tests.paystack_sandbox.conftest import Start

DECLINED = {"channel": "card", "card": {"number": "4084080000005408", "cvv": "001", "expiry": "12/30"}}


@pytest.fixture
def state() -> Iterator[State]:
    with closing(State()) as state:
        yield state


def test_declined_then_paid_on_the_same_reference(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    declined = paystack_sandbox.pay(reference, **DECLINED)
    assert (declined["status"], declined["gateway_response"], declined["paid_at"]) == ("abandoned", "Declined", None)
    assert paystack_sandbox.pay(reference)["status"] == "success"


def test_paid_twice_charges_once(start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paid = paystack_sandbox.pay(start()["reference"])
    again = payer.post(f"/_sandbox/transactions/{paid['reference']}/pay", json={"channel": "ussd"})
    assert again.status_code == 409
    assert paystack_sandbox.transaction(paid["reference"]) == paid
    assert len(paystack_sandbox.webhooks()) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"channel": "card", "card": {"number": "5060 6666 6666 6666 666", "pin": "1234", "otp": "123456"}}, "success"),
        ({"channel": "card", "card": {"number": "5060 6666 6666 6666 666"}}, "abandoned"),
        ({"channel": "mobile_money", "phone": "0551234987", "provider": "mtn"}, "success"),
        ({"channel": "mobile_money", "phone": "0241234567"}, "success"),
        ({"channel": "mobile_money", "phone": "0241234567", "outcome": "decline"}, "failed"),
        ({"channel": "mobile_money", "phone": "0241234567", "outcome": "timeout"}, "failed"),
        ({"channel": "mobile_money", "phone": "0241234567", "outcome": "wait"}, "pending"),
        ({"channel": "mobile_money", "phone": "024"}, "failed"),
        ({"channel": "bank_transfer"}, "success"),
        ({"channel": "bank_transfer", "amount": 8000}, "success"),
        ({"channel": "bank_transfer", "amount": 5000}, "abandoned"),
        ({"channel": "ussd"}, "success"),
    ],
)
def test_pay_without_a_browser(start: Start, paystack_sandbox: PaystackSandbox, body: dict, status: str) -> None:
    assert paystack_sandbox.pay(start()["reference"], **body)["status"] == status


@pytest.mark.parametrize("outcome", ["approve", "decline"])
def test_waiting_phone_can_answer_later(start: Start, paystack_sandbox: PaystackSandbox, outcome: str) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference, channel="mobile_money", phone="0241234567", outcome="wait")
    assert paystack_sandbox.transaction(reference)["waiting_for"] == "phone_prompt"
    ended = paystack_sandbox.pay(reference, channel="mobile_money", outcome=outcome)
    assert ended["status"] == {"approve": "success", "decline": "failed"}[outcome]


def test_answer_is_too_late_where_time_runs_out_on_its_way(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference, channel="mobile_money", phone="0241234567", outcome="wait")

    def slowly() -> Iterator[bytes]:
        yield b'{"channel": "mobile_money", '
        time.sleep(0.1)  # so that the sandbox has begun with it
        paystack_sandbox.advance(seconds=181)
        assert paystack_sandbox.transaction(reference)["status"] == "failed"
        yield b'"outcome": "approve"}'

    answer = payer.post(f"/_sandbox/transactions/{reference}/pay", content=slowly())
    assert (answer.status_code, answer.json()["status"]) == (400, False)


def test_phone_that_never_answers_fails_after_three_minutes(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    reference = start()["reference"]
    paystack_sandbox.pay(reference, channel="mobile_money", phone="0241234567", outcome="wait")
    paystack_sandbox.advance(seconds=170)
    assert paystack_sandbox.transaction(reference)["status"] == "pending"
    paystack_sandbox.advance(seconds=11)
    failed = paystack_sandbox.transaction(reference)
    assert (failed["status"], failed["gateway_response"], failed["waiting_for"]) == ("failed", "EXPIRED", None)


def test_wrong_answer_may_be_final() -> None:
    with PaystackSandbox(settings=Settings(wrong_answer_ends_checkout=True)) as sandbox:
        body = {"email": "a@b.co", "amount": 8000, "reference": "strict"}
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers)
        wrong = sandbox.pay("strict", channel="card", card={"number": "507850785078507812", "pin": "9999"})
        assert (wrong["status"], wrong["gateway_response"]) == ("failed", "Incorrect PIN")
        again = httpx2.post(f"{sandbox.url}/_sandbox/transactions/strict/pay", json={"channel": "ussd"})
        assert again.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": "cowries"},
        {"channel": "card"},
        {"channel": "card", "card": {"number": "4084"}},
        {"channel": "bank_transfer", "amount": "lots"},
        {"channel": "mobile_money", "phone": "0241234567", "outcome": "maybe"},
        {"channel": "bank", "account_number": "0000000000"},
    ],
)
def test_pay_refuses_what_it_does_not_understand(start: Start, payer: httpx2.Client, body: dict) -> None:
    answer = payer.post(f"/_sandbox/transactions/{start()['reference']}/pay", json=body)
    assert (answer.status_code, answer.json()["status"]) == (400, False)


def test_unknown_reference_and_delivery(payer: httpx2.Client) -> None:
    assert payer.get("/_sandbox/transactions/nope").status_code == 404
    assert payer.post("/_sandbox/transactions/nope/pay", json={"channel": "ussd"}).status_code == 404
    assert payer.post("/_sandbox/webhooks/7/redeliver").status_code == 404
    assert payer.post("/_sandbox/webhooks/x/redeliver").status_code == 404


def test_clock_moves_and_dates_what_follows(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    before = payer.get("/_sandbox/clock").json()
    after = payer.post("/_sandbox/clock", json={"advance": {"days": 400, "hours": 1}}).json()
    assert (before["advanced_seconds"], after["advanced_seconds"]) == (0, 400 * 86400 + 3600)
    assert paystack_sandbox.transaction(start()["reference"])["created_at"][:4] == after["now"][:4] != before["now"][:4]


@pytest.mark.parametrize(
    "body",
    [{}, {"advance_seconds": -1}, {"advance_seconds": "1"}, {"advance": {"weeks": 1}}, {"advance": {"days": 10**9}}],
)
def test_clock_refuses(payer: httpx2.Client, body: dict) -> None:
    assert payer.post("/_sandbox/clock", json=body).status_code == 422


def test_reset_empties_everything(start: Start, client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.set_faults({"webhook": {"drop": 1}})
    paystack_sandbox.advance(seconds=100)
    paystack_sandbox.reset()
    assert client.get("/transaction").json()["data"] == []
    assert paystack_sandbox.webhooks() == []
    assert client.get("/_sandbox/faults").json()["webhook"]["drop"] == 0
    assert client.get("/_sandbox/clock").json()["advanced_seconds"] == 0


def test_health(payer: httpx2.Client) -> None:
    assert payer.get("/_sandbox/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("address", "allowed", "status"),
    [("127.0.0.1", False, 200), ("::ffff:127.0.0.1", False, 200), ("192.0.2.7", False, 403), ("192.0.2.7", True, 200)],
)
def test_control_routes_serve_this_machine_only(state: State, address: str, allowed: bool, status: int) -> None:
    app = create_app(Sandbox(state, allow_remote_control=allowed))

    async def statuses() -> list[int]:
        transport = httpx2.ASGITransport(app=app, client=(address, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [(await client.get(path)).status_code for path in ("/_sandbox/webhooks", "/", "/bank")]

    # In a thread: another test's browser may have left an event loop in this one.
    with ThreadPoolExecutor() as thread:
        assert thread.submit(asyncio.run, statuses()).result() == [status, status, 200]


def test_pages_of_other_sites_can_not_control(payer: httpx2.Client) -> None:
    assert payer.post("/_sandbox/reset", headers={"origin": "https://evil.example"}).status_code == 403
    for path in ("/_sandbox/reset", "/dashboard/clock"):
        assert payer.post(path, headers={"origin": "null"}).status_code == 403


def statuses_for(sandbox: Sandbox, method: str, headers: dict[str, str]) -> set[int]:
    """Of a control route and the dashboard, for a client on this machine."""

    async def statuses() -> set[int]:
        transport = httpx2.ASGITransport(app=create_app(sandbox), client=("127.0.0.1", 40000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8010", headers=headers) as client:
            paths = ("/_sandbox/clock", "/dashboard/clock")
            return {(await client.request(method, path)).status_code for path in paths}

    with ThreadPoolExecutor() as thread:
        return thread.submit(asyncio.run, statuses()).result()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8010", 200),
        ("127.0.0.1:8010", 200),
        ("[::1]:8010", 200),
        ("paystack.localhost", 200),
        ("pay.shop.example", 200),
        ("evil.example:8010", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("evil.example:80:80", 403),
        ("[", 403),
    ],
)
def test_names_that_others_can_point_here_do_not_control(state: State, host: str, status: int) -> None:
    sandbox = Sandbox(state, public_url="https://pay.shop.example")
    assert statuses_for(sandbox, "GET", {"host": host}) == {status}


def test_opened_sandbox_serves_any_name(state: State) -> None:
    sandbox = Sandbox(state, allow_remote_control=True)
    assert statuses_for(sandbox, "GET", {"host": "paystack:8010"}) == {200}


@pytest.mark.parametrize("origin", ["null", "", "https://evil.example", "file://"])
def test_forms_of_other_sites_do_not_control(state: State, origin: str) -> None:
    for sandbox in (Sandbox(state), Sandbox(state, allow_remote_control=True)):
        assert statuses_for(sandbox, "POST", {"origin": origin}) == {403}
