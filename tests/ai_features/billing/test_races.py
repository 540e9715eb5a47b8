"""Everybody at once, on real connections: PostgreSQL's row locks and SQLite's one writer."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.models import LedgerEntry, Purchase, Wallet, WebhookEvent
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.conftest import CARD
from tests.laws import assert_laws
from tests.paystack_facts import charge_success, sign

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Start all calls in the same moment, each in its own thread with its own connection."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def webhook(purchase: Purchase) -> Any:
    body = charge_success(purchase)
    return Client().post(
        "/ai/api/webhooks/paystack/", body, content_type="application/json", HTTP_X_PAYSTACK_SIGNATURE=sign(body)
    )


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def started(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference, channel="card", card=CARD)
    return purchase


def test_the_same_webhook_eight_times_at_once(purchase: Purchase, wallet: Wallet) -> None:
    answers = at_once(*[lambda: webhook(purchase)] * 8)
    assert {answer.status_code for answer in answers} == {200}
    assert_laws(wallet)
    assert (wallet.balance, LedgerEntry.objects.count(), WebhookEvent.objects.count()) == (100_000_000, 2, 8)
    assert set(WebhookEvent.objects.values_list("outcome", flat=True)) == {"completed"}


def test_verify_webhook_and_verify_at_once_give_one_answer(started: Purchase, buyer: User) -> None:
    def verify() -> Any:
        return client_of(buyer).get("/ai/api/credits/verify/", {"reference": started.reference}).json()

    answers = at_once(verify, lambda: webhook(started), verify, lambda: webhook(started), verify)
    assert answers[0] == answers[2] == answers[4]
    assert (answers[0]["status"], answers[0]["new_balance"]) == ("success", 100)
    assert Wallet.objects.get().balance == 100_000_000


def test_purchase_is_on_record_before_paystack_is_asked(buyer: User, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"latency_seconds": 2.0}})

    def watch() -> list[tuple[str, str]]:
        give_up_at = time.monotonic() + 30
        while not (seen := list(Purchase.objects.values_list("status", "authorization_url"))):
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        return seen

    _, seen = at_once(lambda: AIBillingService.purchase_credits(buyer, "value"), watch)
    assert seen == [("pending", "")]


def test_double_click_opens_one_checkout(buyer: User, sandbox: PaystackSandbox) -> None:
    def click() -> Any:
        key = {"HTTP_IDEMPOTENCY_KEY": "click"}
        return client_of(buyer).post("/ai/api/credits/purchase/", {"package": "value"}, format="json", **key)

    sandbox.set_faults({"api": {"latency_seconds": 0.3}})
    answers = at_once(*[click] * 4)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["authorization_url"] for answer in answers}) == 1
    assert Purchase.objects.count() == 1


def test_two_purchases_of_one_wallet_settle_at_once(purchase: Purchase, wallet: Wallet) -> None:
    second = Purchase.objects.get(pk=purchase.pk)
    second.pk, second.reference = None, "AI-CREDIT-1700000000-second"
    second.save()
    at_once(*[lambda p=p: webhook(p) for p in (purchase, second) for _ in range(3)])
    assert_laws(wallet)
    assert wallet.balance == 200_000_000
    assert sorted(LedgerEntry.objects.values_list("balance_after", flat=True))[-1] == 200_000_000


def test_first_use_of_a_wallet_by_many_makes_one(buyer: User) -> None:
    at_once(*[lambda: AIBillingService.wallet(buyer)] * 6)
    assert Wallet.objects.count() == 1


def test_one_key_grants_once(buyer: User) -> None:
    entries = at_once(*[lambda: AIBillingService.grant(buyer, 5, reason="x", idempotency_key="k").pk] * 6)
    assert len(set(entries)) == 1
    assert Wallet.objects.get().balance == 5_000_000


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite's own transaction modes")
def test_sqlite_in_its_default_mode_credits_once_too(purchase: Purchase, wallet: Wallet) -> None:
    """A host that did not set IMMEDIATE: the locks write first, so payments queue up instead of failing."""
    connections.settings["default"]["OPTIONS"]["transaction_mode"] = "DEFERRED"
    try:
        answers = at_once(*[lambda: webhook(purchase)] * 6)
    finally:
        connections.settings["default"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
    assert {answer.status_code for answer in answers} == {200}
    assert set(WebhookEvent.objects.values_list("outcome", flat=True)) == {"completed"}
    assert_laws(wallet)
    assert wallet.balance == 100_000_000
