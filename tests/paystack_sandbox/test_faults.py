import hashlib
import hmac
import json
import time

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from paystack_sandbox.faults import Dice, parse_faults
from tests.paystack_sandbox.conftest import Start
from tests.paystack_sandbox.receiver import Receiver

NEW = {"email": "a@b.co", "amount": 8000}


def pay_many(start: Start, sandbox: PaystackSandbox, count: int) -> list[str]:
    references = [start()["reference"] for _ in range(count)]
    for reference in references:
        sandbox.pay(reference)
    sandbox.wait_for_webhooks()
    return references


def test_dropped_never_arrives_but_its_retry_may(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.set_faults({"webhook": {"drop": 1}})
    pay_many(start, paystack_sandbox, 1)
    attempt = paystack_sandbox.webhooks()[0]["attempts"][0]
    assert (receiver.deliveries, attempt["fault"], attempt["error"]) == ([], "dropped", "dropped on the way")
    paystack_sandbox.set_faults({})
    paystack_sandbox.advance(seconds=3601)
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.deliveries) == 1


def test_duplicate_sends_the_same_bytes_twice(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.set_faults({"webhook": {"duplicate": 1}})
    pay_many(start, paystack_sandbox, 1)
    assert len(receiver.deliveries) == 2
    assert len(set(receiver.bodies)) == 1


def test_corrupt_signature(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"webhook": {"corrupt_signature": 1}})
    pay_many(start, paystack_sandbox, 1)
    headers, body = receiver.deliveries[0]
    right = hmac.new(b"sk_test_sandbox", body, hashlib.sha512).hexdigest()
    assert headers["x-paystack-signature"] != right
    assert len(headers["x-paystack-signature"]) == len(right)


def test_delay(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"webhook": {"delay_seconds": [100, 200]}})
    paystack_sandbox.pay(start()["reference"])
    paystack_sandbox.advance(seconds=90)
    assert receiver.deliveries == []
    paystack_sandbox.advance(seconds=111)
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.deliveries) == 1


def test_reorder_swaps_neighbours(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"webhook": {"reorder": True}})
    first, second = pay_many(start, paystack_sandbox, 2)
    assert [json.loads(body)["data"]["reference"] for body in receiver.bodies] == [second, first]


def test_reorder_does_not_keep_the_last_one(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.set_faults({"webhook": {"reorder": True}})
    pay_many(start, paystack_sandbox, 1)
    assert len(receiver.deliveries) == 1


def test_error_does_not_do_the_work(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"error_rate": 1, "status": 502}})
    answer = client.post("/transaction/initialize", json=NEW | {"reference": "lost"})
    assert (answer.status_code, answer.json()["status"]) == (502, False)
    paystack_sandbox.set_faults({})
    assert client.get("/transaction/verify/lost").status_code == 400


def test_cut_after_the_work_is_done(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"drop_after_commit": 1}})
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        client.post("/transaction/initialize", json=NEW | {"reference": "done"})
    paystack_sandbox.set_faults({})
    assert client.get("/transaction/verify/done").json()["data"]["status"] == "abandoned"


def test_latency(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"latency_seconds": 0.3}})
    began = time.monotonic()
    assert client.get("/transaction").status_code == 200
    assert time.monotonic() - began >= 0.3


def test_no_answer_within_the_clients_patience(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"timeout_rate": 1}})
    with pytest.raises(httpx2.ReadTimeout):
        client.get("/transaction", timeout=httpx2.Timeout(10, read=0.3))


def test_silence_ends_with_a_cut_connection() -> None:
    with PaystackSandbox(settings=Settings(fault_hold_seconds=0.2)) as sandbox:
        sandbox.set_faults({"api": {"timeout_rate": 1}})
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            httpx2.get(f"{sandbox.url}/bank")


def test_cut_before_the_work_is_done(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"drop_before_commit": 1}})
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        client.post("/transaction/initialize", json=NEW | {"reference": "undone"})
    paystack_sandbox.set_faults({})
    assert client.get("/transaction/verify/undone").status_code == 400


def test_html_instead_of_json(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"html_rate": 1, "status": 502}})
    answer = client.get("/transaction")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("fault", ["malformed_rate", "truncated_rate"])
def test_spoiled_json_after_the_work_is_done(
    client: httpx2.Client, paystack_sandbox: PaystackSandbox, fault: str
) -> None:
    paystack_sandbox.set_faults({"api": {fault: 1}})
    answer = client.post("/transaction/initialize", json=NEW | {"reference": fault})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    paystack_sandbox.set_faults({})
    assert client.get(f"/transaction/verify/{fault}").status_code == 200


def test_refusal_by_rate_limit(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"rate_limit_rate": 1}})
    answer = client.get("/transaction")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["x-ratelimit-limit"] == "100"
    assert (answer.headers["x-ratelimit-remaining"], answer.headers["x-ratelimit-reset"]) == ("0", "60")


def test_counted_rate_limit_ends_with_its_minute(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"requests_per_minute": 2}})
    answers = [client.get("/transaction") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert client.get("/transaction", headers={"authorization": "Bearer sk_test_other"}).status_code == 401
    paystack_sandbox.advance(seconds=61)
    assert client.get("/transaction").status_code == 200


def test_one_operation_has_faults_of_its_own(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    operations = {"GET /transaction/verify/:reference": {"error_rate": 0}, "GET /bank": {"status": 500}}
    paystack_sandbox.set_faults({"api": {"error_rate": 1, "status": 502, "operations": operations}})
    paths = ("/transaction", "/bank", "/transaction/verify/none")
    assert [client.get(path).status_code for path in paths] == [502, 500, 400]


def test_trouble_for_the_first_calls_only(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    faults = {"api": {"operations": {"GET /transaction": {"error_rate": 1, "times": 2}}}}
    for _ in range(2):
        paystack_sandbox.set_faults(faults)
        assert [client.get("/transaction").status_code for _ in range(4)] == [503, 503, 200, 200]


def test_latency_may_be_a_range(client: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"latency_seconds": [0.1, 0.2]}})
    began = time.monotonic()
    client.get("/transaction")
    assert time.monotonic() - began >= 0.1


def test_signed_with_the_old_key(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"webhook": {"old_key": 1, "old_secret_key": "sk_test_before"}})
    pay_many(start, paystack_sandbox, 1)
    headers, body = receiver.deliveries[0]
    assert headers["x-paystack-signature"] == hmac.new(b"sk_test_before", body, hashlib.sha512).hexdigest()


def test_receiver_that_is_down_for_hours(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"webhook": {"down_seconds": 2.5 * 3600}})
    pay_many(start, paystack_sandbox, 1)
    for _ in range(3):
        assert receiver.deliveries == []
        paystack_sandbox.advance(seconds=3601)
        paystack_sandbox.wait_for_webhooks()
    faults = [attempt["fault"] for attempt in paystack_sandbox.webhooks()[0]["attempts"]]
    assert (len(receiver.deliveries), faults) == (1, ["receiver down"] * 3 + [None])


def test_one_event_has_faults_of_its_own(start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"webhook": {"events": {"bank.transfer.rejected": {"drop": 1}}}})
    paystack_sandbox.pay(start()["reference"], channel="bank_transfer", amount=5)
    pay_many(start, paystack_sandbox, 1)
    assert [json.loads(body)["event"] for body in receiver.bodies] == ["charge.success"]


def test_first_attempt_of_each_delivery_only(
    start: Start, receiver: Receiver, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.set_faults({"webhook": {"drop": 1, "times": 1}})
    pay_many(start, paystack_sandbox, 2)
    paystack_sandbox.advance(seconds=3601)
    paystack_sandbox.wait_for_webhooks()
    assert len(receiver.deliveries) == 2


def test_luck_of_an_operation_does_not_depend_on_the_others() -> None:
    faults = parse_faults({"api": {"error_rate": 0.5}, "seed": 3}, 0)
    alone, among_others = Dice(faults), Dice(faults)
    expected = [alone.api_call("GET /bank") for _ in range(20)]
    seen = []
    for _ in range(20):
        among_others.api_call("GET /country")
        seen.append(among_others.api_call("GET /bank"))
    assert seen == expected


def test_control_and_checkout_are_spared(start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    url = start()["authorization_url"]
    paystack_sandbox.set_faults({"api": {"error_rate": 1, "drop_after_commit": 1}})
    assert [payer.get(path).status_code for path in (url, "/", "/_sandbox/webhooks")] == [200, 200, 200]


def test_put_replaces_and_fills_in(payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"webhook": {"drop": 0.5}, "seed": 7})
    now = payer.put("/_sandbox/faults", json={"api": {"error_rate": 0.25}, "seed": 7}).json()
    assert now == payer.get("/_sandbox/faults").json()
    assert now["webhook"] | {"drop": 0, "delay_seconds": [0, 0], "reorder": False, "events": {}} == now["webhook"]
    assert now["api"] | {"error_rate": 0.25, "status": 503, "latency_seconds": 0, "operations": {}} == now["api"]
    assert now["seed"] == 7
    assert payer.put("/_sandbox/faults", json=now).json() == now


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"webhook": {"drop": 2}}, "webhook.drop"),
        ({"webhook": {"drop": "often"}}, "webhook.drop"),
        ({"webhook": {"delay_seconds": [3, 1]}}, "webhook.delay_seconds"),
        ({"webhook": {"delay_seconds": [1]}}, "webhook.delay_seconds"),
        ({"webhook": {"reorder": 1}}, "webhook.reorder"),
        ({"webhook": []}, "webhook"),
        ({"webhook": {"lose": 1}}, "lose"),
        ({"api": {"status": 200}}, "api.status"),
        ({"api": {"latency_seconds": -1}}, "api.latency_seconds"),
        ({"weather": "rain"}, "weather"),
        ({"seed": "x"}, "seed"),
        ({"api": {"operations": {"POST /transaction/initialise": {}}}}, "POST /transaction/initialize"),
        ({"api": {"operations": {"verify": {}}}}, "'POST /transaction/initialize', not 'verify'"),
        ({"api": {"operations": []}}, "api.operations"),
        ({"api": {"operations": {"GET /bank": {"operations": {}}}}}, "operations"),
        ({"api": {"times": 0}}, "api.times"),
        ({"api": {"requests_per_minute": True}}, "api.requests_per_minute"),
        ({"webhook": {"events": {"charge.failed": {}}}}, "charge.failed"),
        ({"webhook": {"events": {"charge.success": {"drop": 2}}}}, "charge.success.drop"),
        ({"webhook": {"old_secret_key": ""}}, "webhook.old_secret_key"),
        ({"webhook": {"down_seconds": -1}}, "webhook.down_seconds"),
    ],
)
def test_bad_faults_are_named_and_change_nothing(payer: httpx2.Client, body: dict, named: str) -> None:
    before = payer.get("/_sandbox/faults").json()
    answer = payer.put("/_sandbox/faults", json=body)
    assert answer.status_code == 422
    assert named in answer.json()["message"]
    assert payer.get("/_sandbox/faults").json() == before


def test_same_seed_same_luck() -> None:
    faults = {"webhook": {"drop": 0.5, "delay_seconds": [0, 9]}, "api": {"error_rate": 0.5}, "seed": 42}

    def luck() -> list[object]:
        dice = Dice(parse_faults(faults, 0))
        calls: list[object] = [dice.api_call("GET /bank") for _ in range(20)]
        return [*calls, *((dice.webhook_attempt(n, 0), dice.webhook_delay_ms(n)) for n in range(20))]

    assert luck() == luck()
    assert len(set(map(str, luck()))) > 2


def test_luck_of_a_delivery_does_not_depend_on_the_others() -> None:
    dice = Dice(parse_faults({"webhook": {"drop": 0.5}, "seed": 1}, 0))
    forwards = [dice.webhook_attempt(number, 0) for number in range(20)]
    assert [dice.webhook_attempt(number, 0) for number in reversed(range(20))] == forwards[::-1]


def test_what_struck_is_counted_until_the_reset(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults({"api": {"error_rate": 1, "times": 2}})
    with httpx2.Client(base_url=paystack_sandbox.url) as client:
        for _ in range(3):
            client.get("/transaction/verify/x", headers={"authorization": f"Bearer {paystack_sandbox.secret_key}"})
        assert client.get("/_sandbox/faults/struck").json() == {"api": {"error": 2}}
        paystack_sandbox.reset()
        assert client.get("/_sandbox/faults/struck").json() == {"api": {}}
