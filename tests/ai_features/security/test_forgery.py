"""Webhooks and forms that somebody else made."""

from typing import Any

import pytest
from django.test import Client

from ai_features.models import LedgerEntry, Purchase, Wallet, WebhookEvent
from tests.ai_features.api.test_webhook import deliver
from tests.paystack_facts import charge_success, sign


def test_replayed_delivery_credits_once_however_old(purchase: Purchase, wallet: Wallet, time_machine: Any) -> None:
    body = charge_success(purchase)
    deliver(body)
    time_machine.move_to("2030-01-01")
    assert deliver(body).status_code == 200
    wallet.refresh_from_db()
    assert (wallet.balance, LedgerEntry.objects.count()) == (100_000_000, 2)


def test_delivery_turned_to_another_purchase_is_refused(purchase: Purchase) -> None:
    body = charge_success(purchase)
    turned = body.replace(purchase.reference.encode(), b"AI-CREDIT-1700000000-ffffffffffffffff")
    assert deliver(turned, sign(body)).status_code == 400
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("mode", ["live", "", None, "TEST", "production"])
def test_payment_of_another_mode_credits_nobody(purchase: Purchase, wallet: Wallet, mode: str | None) -> None:
    assert deliver(charge_success(purchase, domain=mode)).status_code == 200
    wallet.refresh_from_db()
    assert wallet.balance == 0


def test_key_of_the_other_mode_signs_nothing(purchase: Purchase, settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_live_real"
    body = charge_success(purchase)
    assert deliver(body, sign(body, "sk_test_sandbox")).status_code == 400
    assert deliver(body, sign(body, "pk_live_real")).status_code == 400


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/credits/", {"package": "value", "key": "k"}),
        ("/accounts/login/", {"username": "ama", "password": "ama"}),
        ("/accounts/logout/", {}),
        ("/admin/login/", {"username": "ama", "password": "ama"}),
        ("/ai/api/credits/purchase/", {"package": "value"}),
        ("/ai/api/credits/spend/", {"credits": 1}),
        ("/ai/api/credits/reservations/", {"credits": 1}),
    ],
)
def test_form_of_another_site_does_nothing(buyer: Any, path: str, form: dict[str, Any]) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(buyer)
    assert browser.post(path, form, HTTP_ORIGIN="https://evil.example").status_code == 403
    assert not Purchase.objects.exists()


def test_session_cookie_stays_with_this_site(buyer: Any) -> None:
    cookie = Client().post("/accounts/login/", {"username": "ama", "password": "ama"}).cookies["sessionid"]
    assert (cookie["samesite"], cookie["httponly"]) == ("Lax", True)


def test_other_sites_scripts_read_nothing(browser: Client) -> None:
    answer = browser.get("/ai/api/credits/balance/", HTTP_ORIGIN="https://evil.example")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
