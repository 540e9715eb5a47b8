"""Webhooks and buyers are answered soon though Paystack itself is slow to answer us; what was left is done later."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService, settlement, webhooks
from ai_features.billing.reconcile import run_pass
from ai_features.models import Dispute, Purchase, WebhookEvent
from ai_features.paystack import PaystackService, breaker
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.test_webhook import deliver
from tests.money_back import buy, credits_of, raise_dispute, refund_event, refund_in_dashboard
from tests.money_back import deliver as deliver_event
from tests.paystack_facts import charge_success

SLOW = {"webhook": {"drop": 1.0}, "api": {"latency_seconds": 20}}
BOUND_SECONDS = 0.5
SOON = 10
"""Seconds; whoever waits for an answer waits for twice as long, and a busy machine takes its time."""


@pytest.fixture(autouse=True)
def _short_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "ASKS_PAYSTACK_SECONDS", BOUND_SECONDS)
    monkeypatch.setattr(settlement, "BUYER_WAITS_SECONDS", BOUND_SECONDS)
    monkeypatch.setattr(webhooks, "LEFT_AFTER", timedelta(0))


def seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def reconcile_later(sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({})
    assert run_pass() is not None
    assert not WebhookEvent.objects.filter(status="failed").exists()


def test_refund_event_is_answered_and_done_later(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = buy(buyer, sandbox)
    refund_in_dashboard(sandbox, purchase, 8000)
    sandbox.set_faults(SLOW)
    assert seconds(lambda: refund_event("pending", purchase.reference)) < SOON
    assert (WebhookEvent.objects.get().status, credits_of(buyer)) == ("failed", (100, 0))
    reconcile_later(sandbox)
    assert credits_of(buyer) == (0, 0)


def test_dispute_event_of_an_undecided_purchase_is_answered_and_done_later(
    buyer: User, sandbox: PaystackSandbox
) -> None:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference)
    data = raise_dispute(sandbox, purchase)
    sandbox.set_faults(SLOW)
    assert seconds(lambda: deliver_event("charge.dispute.create", data)) < SOON
    reconcile_later(sandbox)
    assert Dispute.objects.get().credits_frozen == 100_000_000


def test_dispute_event_of_a_settled_purchase_asks_nobody(buyer: User, sandbox: PaystackSandbox) -> None:
    data = raise_dispute(sandbox, buy(buyer, sandbox))
    sandbox.set_faults(SLOW)
    assert seconds(lambda: deliver_event("charge.dispute.create", data)) < SOON
    assert Dispute.objects.get().credits_frozen == 100_000_000


def test_charge_event_asks_nobody(purchase: Purchase, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults(SLOW)
    assert seconds(lambda: deliver(charge_success(purchase))) < SOON
    assert WebhookEvent.objects.get().outcome == "completed"


def test_page_after_the_payment_is_shown_and_looks_again(buyer: User, sandbox: PaystackSandbox) -> None:
    browser, address = Client(), f"/payment/callback?reference={paid_for(buyer, sandbox)}"
    browser.force_login(buyer)
    sandbox.set_faults(SLOW)
    pages: list[str] = []
    assert seconds(lambda: pages.append(browser.get(address).content.decode())) < SOON
    assert "We are waiting for your payment" in pages[0]
    assert 'http-equiv="refresh"' in pages[0]
    sandbox.set_faults({})
    assert "100 credits added!" in browser.get(address).content.decode()


def test_app_that_verifies_hears_to_ask_again(api: APIClient, buyer: User, sandbox: PaystackSandbox) -> None:
    ask = partial(api.get, "/ai/api/credits/verify/", {"reference": paid_for(buyer, sandbox)})
    sandbox.set_faults(SLOW)
    answers: list[Any] = []
    assert seconds(lambda: answers.append(ask())) < SOON
    assert (answers[0].status_code, answers[0].json()["error"]) == (503, "paystack_timeout")
    sandbox.set_faults({})
    assert ask().json()["status"] == "success"


def test_both_lists_of_payment_methods_are_waited_for_together(api: APIClient, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults(SLOW)
    answers: list[Any] = []
    assert seconds(lambda: answers.append(api.get("/ai/api/payment-methods/"))) < SOON
    assert (answers[0].status_code, answers[0].json()["error"]) == (503, "paystack_timeout")


@pytest.fixture
def crowded(sandbox: PaystackSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As many as may wait for a Paystack that is silent do so."""
    monkeypatch.setattr(breaker, "MOMENT_SECONDS", 0)
    gate = PaystackService.from_settings()._connection._breaker
    gate.heard_nothing()
    others = {(os.getpid(), -number) for number in range(breaker.AT_ONCE)}
    gate._inside |= others
    yield
    gate._inside -= others
    gate.heard()


def test_buyer_who_would_be_one_too_many_can_repeat_the_purchase(
    api: APIClient, sandbox: PaystackSandbox, crowded: None
) -> None:
    order = partial(
        api.post, "/ai/api/credits/purchase/", {"package": "value"}, format="json", HTTP_IDEMPOTENCY_KEY="once"
    )
    refused = order()
    assert (refused.status_code, refused.json()["error"]) == (503, "paystack_unavailable")
    assert refused["Retry-After"]
    assert "paystack_unavailable" in Purchase.objects.get().status_reason
    PaystackService.from_settings()._connection._breaker.heard()
    assert order().status_code == 200
    assert set(Purchase.objects.values_list("status", flat=True)) == {"failed", "pending"}


def test_page_after_the_payment_is_shown_to_one_too_many(
    buyer: User, sandbox: PaystackSandbox, request: pytest.FixtureRequest
) -> None:
    browser, address = Client(), f"/payment/callback?reference={paid_for(buyer, sandbox)}"
    browser.force_login(buyer)
    request.getfixturevalue("crowded")
    assert "We are waiting for your payment" in browser.get(address).content.decode()
    PaystackService.from_settings()._connection._breaker.heard()
    assert "100 credits added!" in browser.get(address).content.decode()


def paid_for(buyer: User, sandbox: PaystackSandbox) -> str:
    """The reference of a purchase that was paid, of which no webhook tells."""
    sandbox.set_faults({"webhook": {"drop": 1.0}})
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference)
    return purchase.reference
