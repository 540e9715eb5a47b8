"""What a buyer reads when money goes back."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from ai_features.billing import AIBillingService
from ai_features.models import Purchase
from paystack_sandbox import PaystackSandbox
from tests.money_back import STEP, buy, deliver, raise_dispute, refund_event


@pytest.fixture
def bought(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    return buy(buyer, sandbox)


@pytest.fixture
def pages(buyer: User) -> Client:
    client = Client()
    client.force_login(buyer)
    return client


def text(pages: Client, address: str) -> str:
    return " ".join(pages.get(address).content.decode().split())


def test_receipt_tells_of_a_refund(pages: Client, bought: Purchase, sandbox: PaystackSandbox) -> None:
    AIBillingService.spend(bought.wallet, 80)
    AIBillingService.refund(bought, 40, reason="half")
    receipt = text(pages, f"/credits/purchases/{bought.reference}/")
    assert "GHS 40.00 · Asked for" in receipt
    assert "50 credits taken back" in receipt
    assert "30 credits of them as debt" in receipt
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", bought.reference)
    assert "GHS 40.00 · Refunded" in text(pages, f"/credits/purchases/{bought.reference}/")


def test_wallet_shows_debt_and_where_it_is_from(pages: Client, bought: Purchase) -> None:
    AIBillingService.spend(bought.wallet, 30)
    AIBillingService.refund(bought, reason="all")
    wallet = text(pages, "/credits/wallet/")
    assert "<dt>Debt</dt><dd>30</dd>" in wallet
    assert "debt +30" in wallet
    assert "still owed" in wallet


def test_wallet_and_receipt_show_frozen_credits(pages: Client, bought: Purchase, sandbox: PaystackSandbox) -> None:
    deliver("charge.dispute.create", raise_dispute(sandbox, bought))
    wallet = text(pages, "/credits/wallet/")
    assert "<dt>Frozen</dt><dd>100</dd>" in wallet
    assert "Frozen for a dispute" in wallet
    assert "100 credits of this purchase are frozen" in text(pages, f"/credits/purchases/{bought.reference}/")


def test_list_of_purchases_shows_what_was_refunded(pages: Client, bought: Purchase, sandbox: PaystackSandbox) -> None:
    AIBillingService.refund(bought, 40, reason="half")
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", bought.reference)
    assert "Partially refunded · GHS 40.00 refunded" in text(pages, "/credits/wallet/")
    row = pages.get("/ai/api/credits/purchases/").json()["results"][0]
    assert (row["status"], row["refunded"], row["amount"]) == ("partially_refunded", 40, 80)
    kinds = [entry["kind"] for entry in pages.get("/ai/api/transactions/").json()["results"]]
    assert kinds == ["refund", "refund", "bonus", "purchase"]
