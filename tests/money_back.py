"""Paid purchases at Paystack on localhost, and what happens to them there; for tests of money that goes back."""

import json
from decimal import Decimal
from typing import Any

import httpx2
from django.contrib.auth.models import User

from ai_features.billing import AIBillingService
from ai_features.models import Purchase, Wallet, WebhookEvent
from paystack_sandbox import PaystackSandbox
from tests.laws import assert_laws
from tests.paystack_facts import sign

GOOD, FAILS, NEEDS_ATTENTION = "4084084084084081", "4084080000671803", "4084080000671902"
STEP = 180
"""Seconds after which the sandbox moves a refund on."""


def buy(buyer: User, sandbox: PaystackSandbox, card: str = GOOD) -> Purchase:
    """The Value pack, paid and settled: GHS 80.00 for 100 credits."""
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference, channel="card", card={"number": card})
    return AIBillingService.verify_purchase(buyer, purchase.reference)


def refund_in_dashboard(sandbox: PaystackSandbox, purchase: Purchase, amount_minor: int) -> None:
    _control(sandbox, "refunds", {"transaction": purchase.reference, "amount": amount_minor})


def raise_dispute(sandbox: PaystackSandbox, purchase: Purchase, **more: Any) -> dict[str, Any]:
    """As a payer does at the bank; the dispute as its events describe it."""
    return _control(sandbox, "disputes", {"transaction": purchase.reference, **more})


def resolve_dispute(sandbox: PaystackSandbox, dispute: dict[str, Any], resolution: str, amount: int = 8000) -> None:
    """As the merchant does."""
    body = {"resolution": resolution, "message": "Merchant", "refund_amount": amount, "uploaded_filename": "x.pdf"}
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    answer = httpx2.put(f"{sandbox.url}/dispute/{dispute['id']}/resolve", json=body, headers=headers)
    answer.raise_for_status()


def deliver(event: str, data: dict[str, Any]) -> WebhookEvent:
    """A signed webhook."""
    raw = json.dumps({"event": event, "data": data}).encode()
    return AIBillingService.receive_webhook(raw, sign(raw))


def refund_event(name: str, reference: str, **data: Any) -> WebhookEvent:
    """As Paystack words it: no id of the refund, no more than the transaction's reference."""
    return deliver(f"refund.{name}", {"transaction_reference": reference, "amount": "8000", **data})


def credits_of(buyer: User) -> tuple[Decimal, Decimal]:
    """Balance and debt, after the laws were looked at."""
    assert_laws(Wallet.objects.get(user=buyer))
    balance = AIBillingService.balance(buyer)
    return balance.balance, balance.debt


def _control(sandbox: PaystackSandbox, what: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx2.post(f"{sandbox.url}/_sandbox/{what}", json=body).raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
