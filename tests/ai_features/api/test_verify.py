import pytest
from django.test import Client
from rest_framework.test import APIClient

from ai_features.models import LedgerEntry, Purchase
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.conftest import CARD

URL = "/ai/api/credits/verify/"


def test_paid_purchase_is_credited(api: APIClient, paid: str) -> None:
    answer = api.get(URL, {"reference": paid}).json()
    assert answer["status"] == "success"
    assert (answer["reference"], answer["credits_added"], answer["new_balance"]) == (paid, 100, 100)
    assert api.get("/ai/api/credits/balance/").json()["balance"] == 100


def test_repeats_give_the_same_answer_by_either_method_and_name(api: APIClient, paid: str) -> None:
    answers = [
        api.get(URL, {"reference": paid}),
        api.post(URL, {"reference": paid}, format="json"),
        api.get(URL, {"trxref": paid}),
        api.get(URL, {"reference": paid, "trxref": paid}),
    ]
    assert len({answer.content for answer in answers}) == 1
    assert LedgerEntry.objects.count() == 2


def test_unpaid_purchase_is_pending(api: APIClient, sandbox: PaystackSandbox) -> None:
    reference = api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json").json()["reference"]
    answer = api.get(URL, {"reference": reference}).json()
    assert (answer["status"], answer["credits_added"]) == ("pending", 0)


def test_declined_first_then_paid_on_the_same_page(api: APIClient, sandbox: PaystackSandbox) -> None:
    reference = api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json").json()["reference"]
    sandbox.pay(reference, channel="card", card={"number": "4084080000005408", "cvv": "001", "expiry": "12/30"})
    assert api.get(URL, {"reference": reference}).json()["status"] == "pending"
    sandbox.pay(reference, channel="card", card=CARD)
    assert api.get(URL, {"reference": reference}).json()["status"] == "success"


def test_anothers_reference_is_not_found(other_api: APIClient, paid: str) -> None:
    answer = other_api.get(URL, {"reference": paid})
    assert (answer.status_code, answer.json()["error"]) == (404, "purchase_not_found")
    assert Purchase.objects.get(reference=paid).status == "pending"


@pytest.mark.parametrize("reference", ["nobody", "../../etc/passwd", "' OR 1=1 --", "é", "x" * 100])
def test_unknown_reference_is_not_found(api: APIClient, reference: str) -> None:
    assert api.get(URL, {"reference": reference}).status_code == 404


@pytest.mark.parametrize("query", [{}, {"reference": ""}, {"reference": "a\x00b"}, {"reference": "x" * 101}])
def test_unusable_reference_is_refused(api: APIClient, query: dict[str, str]) -> None:
    assert api.get(URL, query).status_code == 422


def test_paystack_down_loses_nothing(api: APIClient, paid: str, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 500}})
    assert api.get(URL, {"reference": paid}).status_code == 503
    sandbox.set_faults({})
    assert api.get(URL, {"reference": paid}).json()["status"] == "success"


def test_completed_purchase_needs_no_paystack(api: APIClient, paid: str, settings) -> None:
    api.get(URL, {"reference": paid})
    settings.PAYSTACK_BASE_URL = "http://127.0.0.1:9"
    assert api.get(URL, {"reference": paid}).json()["status"] == "success"


def test_browser_is_taken_to_the_callback_page(anonymous: Client, paid: str) -> None:
    browser = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    answer = anonymous.get(URL, {"trxref": paid, "reference": paid, "x": "1"}, **browser)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"http://testserver/payment/callback?reference={paid}&trxref={paid}"


def test_client_without_token_gets_401(anonymous: Client, paid: str) -> None:
    answer = anonymous.get(URL, {"reference": paid})
    assert (answer.status_code, answer.json()["error"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Token"


def test_verify_is_rate_limited(api: APIClient, paid: str, settings) -> None:
    settings.AI_CREDITS = {"THROTTLE_RATES": {"verify": "2/min"}}
    statuses = [api.get(URL, {"reference": paid}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert int(api.get(URL, {"reference": paid}).headers["Retry-After"]) > 0
