"""Every life of a refund and a dispute, with Paystack's own webhooks over HTTP: doubled, late and out of order."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from ai_features.billing import AIBillingService
from ai_features.billing.audit import audit
from ai_features.models import Dispute, Purchase, Refund, WebhookEvent
from paystack_sandbox import PaystackSandbox
from tests.money_back import (
    FAILS,
    GOOD,
    NEEDS_ATTENTION,
    STEP,
    buy,
    credits_of,
    raise_dispute,
    refund_in_dashboard,
    resolve_dispute,
)

CALM: dict[str, Any] = {}
WILD = {"webhook": {"duplicate": 0.7, "reorder": True, "delay_seconds": [0, 0.2]}}

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("faults", [CALM, WILD], ids=["calm", "wild"]),
]


@pytest.fixture
def shop(live_server: Any, sandbox: PaystackSandbox, faults: dict[str, Any]) -> PaystackSandbox:
    sandbox.webhook_url = f"{live_server.url}/ai/api/webhooks/paystack/"
    sandbox.set_faults(faults)
    return sandbox


def wait(shop: PaystackSandbox, seconds: int) -> None:
    shop.advance(seconds=seconds)
    shop.wait_for_webhooks()


def nothing_failed() -> bool:
    return not WebhookEvent.objects.exclude(status="processed").exists() and list(audit()) == []


def test_refund_that_is_processed(buyer: User, shop: PaystackSandbox) -> None:
    bought = buy(buyer, shop)
    AIBillingService.refund(bought, 60, reason="x")
    refund_in_dashboard(shop, bought, 2000)
    wait(shop, 2 * STEP)
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("refunded", (0, 0))
    assert sorted(Refund.objects.values_list("amount_minor", "status")) == [(2000, "processed"), (6000, "processed")]
    assert nothing_failed()


def test_refund_that_fails(buyer: User, shop: PaystackSandbox) -> None:
    bought = buy(buyer, shop, FAILS)
    AIBillingService.refund(bought, reason="x")
    wait(shop, 2 * STEP)
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("completed", (100, 0))
    assert nothing_failed()


def test_refund_that_needs_the_payers_account(buyer: User, shop: PaystackSandbox) -> None:
    bought = buy(buyer, shop, NEEDS_ATTENTION)
    asked = AIBillingService.refund(bought, reason="x")
    wait(shop, 2 * STEP)
    asked.refresh_from_db()
    assert asked.status == "needs_attention"
    AIBillingService.retry_refund(asked, account_number="0123456789", bank_id="9")
    wait(shop, STEP)
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("refunded", (0, 0))
    assert nothing_failed()


@pytest.mark.parametrize(("resolution", "credits_"), [("declined", 70), ("merchant-accepted", 0)])
def test_dispute_that_the_merchant_answers(buyer: User, shop: PaystackSandbox, resolution: str, credits_: int) -> None:
    bought = buy(buyer, shop, GOOD)
    AIBillingService.spend(buyer, 30)
    dispute = raise_dispute(shop, bought)
    wait(shop, 5 * 3600)
    assert (Dispute.objects.get().status, credits_of(buyer)) == ("open", (0, 0))
    resolve_dispute(shop, dispute, resolution)
    shop.wait_for_webhooks()
    assert credits_of(buyer) == (credits_, 0 if credits_ else 30)
    assert nothing_failed()


def test_dispute_that_nobody_answers(buyer: User, shop: PaystackSandbox) -> None:
    bought = buy(buyer, shop, GOOD)
    raise_dispute(shop, bought)
    wait(shop, 14 * 86400)
    assert (Dispute.objects.get().status, Dispute.objects.get().resolution) == ("lost", "auto-accepted")
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("refunded", (0, 0))
    assert nothing_failed()
