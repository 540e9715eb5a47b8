from datetime import timedelta
from typing import Any

import httpx2
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.models import Package, Purchase
from paystack_sandbox import PaystackSandbox

URL = "/ai/api/credits/purchase/"


def buy(api: APIClient, **body: Any) -> Any:
    headers = {"HTTP_IDEMPOTENCY_KEY": body.pop("key")} if "key" in body else {}
    return api.post(URL, body or {"package": "value"}, format="json", **headers)


def test_purchase_leads_to_the_checkout(api: APIClient, sandbox: PaystackSandbox) -> None:
    answer = buy(api, package="value")
    assert answer.status_code == 200
    body = answer.json()
    assert body["authorization_url"].startswith(sandbox.url)
    assert (body["amount"], body["currency"], body["credits_to_add"]) == (80, "GHS", 100)
    assert body["reference"].startswith("AI-CREDIT-")
    assert sandbox.transaction(body["reference"])["amount"] == 8000


def test_numbers_are_written_with_their_places(api: APIClient, sandbox: PaystackSandbox) -> None:
    text = buy(api, package="value").content.decode()
    assert '"amount":80.00' in text
    assert '"credits_to_add":100.0' in text


def test_invoice_shows_price_and_tax(api: APIClient, sandbox: PaystackSandbox, settings) -> None:
    settings.AI_CREDITS = {"TAXES": [("VAT", "0.15"), ("Levy", "0.025")]}
    body = buy(api, package="starter").json()
    assert body["amount"] == 35.25
    assert body["invoice"]["price"] == 30
    assert body["invoice"]["tax"] == [
        {"name": "VAT", "rate": 0.15, "amount": 4.5},
        {"name": "Levy", "rate": 0.025, "amount": 0.75},
    ]


def test_custom_amount_of_one_cedi(api: APIClient, sandbox: PaystackSandbox) -> None:
    body = buy(api, package="custom", custom_amount=1.00).json()
    assert (body["amount"], body["credits_to_add"]) == (1, 1)


def test_payment_method_limits_the_channels(api: APIClient, sandbox: PaystackSandbox) -> None:
    reference = buy(api, package="value", payment_method="mobile_money").json()["reference"]
    assert Purchase.objects.get(reference=reference).payment_method == "mobile_money"
    checkout = httpx2.get(sandbox.transaction(reference)["authorization_url"]).text
    assert "Phone number" in checkout
    assert "card_number" not in checkout


def test_purchase_keeps_what_it_was_sold_for(api: APIClient, sandbox: PaystackSandbox) -> None:
    reference = buy(api, package="value").json()["reference"]
    Package.objects.filter(code="value").update(price_minor=1, credits=1)
    assert Purchase.objects.get(reference=reference).credits == 80_000_000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"package": "nonsense"}, "package_unknown"),
        ({"package": "value\u0000"}, "invalid_request"),
        ({"package": ["value"]}, "invalid_request"),
        ({"nothing": 1}, "invalid_request"),
        ({"package": "custom"}, "invalid_request"),
        ({"package": "custom", "custom_amount": 0.99}, "amount_out_of_range"),
        ({"package": "custom", "custom_amount": -5}, "amount_out_of_range"),
        ({"package": "custom", "custom_amount": "10000000.01"}, "amount_out_of_range"),
        ({"package": "custom", "custom_amount": "1.001"}, "invalid_request"),
        ({"package": "custom", "custom_amount": "NaN"}, "invalid_request"),
        ({"package": "custom", "custom_amount": 1e300}, "invalid_request"),
        ({"package": "custom", "custom_amount": True}, "invalid_request"),
        ({"package": "value", "payment_method": "cheque"}, "payment_method_unknown"),
        ({"package": "value", "callback_url": "https://evil.example/"}, "callback_url_refused"),
        ({"package": "value", "callback_url": "//evil.example/"}, "callback_url_refused"),
        ({"package": "value", "callback_url": "https://testserver@evil.example/"}, "callback_url_refused"),
        ({"package": "value", "callback_url": "http://testserver\\@evil.example/"}, "callback_url_refused"),
        ({"package": "value", "callback_url": "javascript:alert(1)"}, "callback_url_refused"),
        ({"package": "value", "callback_url": "/relative/"}, "callback_url_refused"),
    ],
)
def test_unusable_request_is_refused_in_the_one_shape(api: APIClient, sandbox, body, code) -> None:
    answer = api.post(URL, body, format="json")
    assert (answer.status_code, answer.json()["error"]) == (422, code)
    assert answer.json()["message"]
    assert not Purchase.objects.exists()


@pytest.mark.parametrize("email", ["", "nonsense", "ama@office.local"])
def test_unusable_email_is_refused(api: APIClient, buyer: User, sandbox, email: str) -> None:
    User.objects.update(email=email)
    assert buy(api).json()["error"] == "email_unusable"


def test_callback_to_an_allowed_host_is_taken(api: APIClient, sandbox: PaystackSandbox, settings) -> None:
    settings.AI_CREDITS = {"CALLBACK_HOSTS": ["app.example.com"]}
    assert buy(api, package="value", callback_url="https://app.example.com/paid?x=1").status_code == 200


def test_same_key_brings_the_same_checkout_back(api: APIClient, sandbox: PaystackSandbox) -> None:
    first, second = (buy(api, package="value", key="click-1").json() for _ in range(2))
    assert first["reference"] == second["reference"]
    assert first["authorization_url"] == second["authorization_url"]
    assert Purchase.objects.count() == 1


def test_repeat_does_not_mind_what_changed_since(api: APIClient, sandbox: PaystackSandbox) -> None:
    first = buy(api, package="value", key="click-1").json()
    Package.objects.update(is_active=False)
    User.objects.update(email="")
    assert buy(api, package="value", key="click-1").json() == first


def test_start_cut_off_by_a_crash_is_replaced_when_the_key_comes_again(
    api: APIClient, sandbox: PaystackSandbox
) -> None:
    lost = buy(api, package="value", key="click-1").json()["reference"]
    Purchase.objects.update(authorization_url="", created_at=timezone.now() - timedelta(seconds=61))
    again = buy(api, package="value", key="click-1").json()["reference"]
    assert again != lost
    assert Purchase.objects.get(reference=lost).status == "failed"


def test_purchase_inside_a_hosts_own_transaction_is_refused(buyer: User, sandbox: PaystackSandbox) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        AIBillingService.purchase_credits(buyer, "value")


def test_same_key_for_another_request_conflicts(api: APIClient, sandbox: PaystackSandbox) -> None:
    reference = buy(api, package="value", key="click-1").json()["reference"]
    answer = buy(api, package="starter", key="click-1")
    assert (answer.status_code, answer.json()["error"]) == (409, "idempotency_conflict")
    assert answer.json()["reference"] == reference


def test_same_key_of_another_buyer_is_another_purchase(api: APIClient, other_api: APIClient, sandbox) -> None:
    mine, theirs = (buy(client, package="value", key="click-1").json() for client in (api, other_api))
    assert mine["reference"] != theirs["reference"]


@pytest.mark.parametrize("key", ["", "k" * 101, "ké"])
def test_unusable_key_is_refused(api: APIClient, sandbox, key: str) -> None:
    assert buy(api, package="value", key=key).status_code == 422


def test_paystack_down_fails_the_purchase_and_frees_the_key(api: APIClient, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    answer = buy(api, package="value", key="click-1")
    assert (answer.status_code, answer.json()["error"]) == (503, "paystack_unavailable")
    assert answer.headers["Retry-After"]
    failed = Purchase.objects.get()
    assert (failed.status, failed.idempotency_key) == ("failed", None)
    assert failed.status_reason.startswith("paystack_unavailable")
    sandbox.set_faults({})
    assert buy(api, package="value", key="click-1").status_code == 200


def test_nobody_listening_is_a_503(api: APIClient, settings) -> None:
    settings.PAYSTACK_BASE_URL = "http://127.0.0.1:9"
    assert buy(api, package="value").status_code == 503


def test_refused_key_is_a_502_without_the_key(api: APIClient, sandbox: PaystackSandbox, settings) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_test_wrong"
    answer = buy(api, package="value")
    assert (answer.status_code, answer.json()["error"]) == (502, "paystack_key_refused")
    assert "sk_test" not in answer.content.decode() + Purchase.objects.get().status_reason


def test_no_key_at_all_is_a_503(api: APIClient, settings) -> None:
    settings.PAYSTACK_SECRET_KEY = ""
    answer = buy(api, package="value")
    assert (answer.status_code, answer.json()["error"]) == (503, "not_configured")


def test_currency_the_merchant_lacks_keeps_paystacks_words(api: APIClient, sandbox: PaystackSandbox) -> None:
    Package.objects.filter(code="value").update(currency="USD")
    answer = buy(api, package="value")
    assert answer.status_code == 502
    assert answer.json()["paystack_message"] == "Currency not supported by merchant"


def test_host_with_a_transaction_around_each_request_is_served(api: APIClient, sandbox, monkeypatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert buy(api, package="value").status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"package": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 413),
        (b"[" * 30_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'"text"', "application/json", 422),
        (b"<x/>", "application/xml", 415),
        (b"package=value", "application/x-www-form-urlencoded", 200),
    ],
)
def test_odd_bodies_get_a_clear_answer(api: APIClient, sandbox, body, content_type, status) -> None:
    answer = api.generic("POST", URL, body, content_type=content_type)
    assert answer.status_code == status
    assert status == 200 or {"error", "message"} <= answer.json().keys()
