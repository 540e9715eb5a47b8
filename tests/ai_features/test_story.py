"""What support sees of a reference."""

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from ai_features.billing import AIBillingService, settlement
from ai_features.models import Purchase, WebhookEvent
from ai_features.paystack import PaystackService
from paystack_sandbox import PaystackSandbox
from tests.paystack_facts import charge_success, sign

CARD = {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}


@pytest.fixture
def status(capsys):
    def status(reference: str, *options: str) -> str:
        capsys.readouterr()
        call_command("paystack_status", reference, *options)
        return capsys.readouterr().out

    return status


@pytest.fixture
def bought(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    return AIBillingService.purchase_credits(buyer, "value")


def what_happened(printed: str) -> list[str]:
    """The lines of the story, without their times."""
    return [line[21:] for line in printed.splitlines() if line[:2] == "20" and line[19:21] == "  "]


def test_story_of_a_payment_from_start_to_credits(bought: Purchase, sandbox: PaystackSandbox, status) -> None:
    settlement.check(bought)
    settlement.check(bought)
    sandbox.pay(bought.reference, channel="card", card=CARD)
    body = charge_success(bought, paid_at=timezone.now().isoformat())
    AIBillingService.receive_webhook(body, sign(body))
    told = what_happened(status(bought.reference))
    assert told[:2] == ["Started by ama (ama@example.com)", "Checkout opened at Paystack"]
    for line in (
        "Asked Paystack (the buyer's return): abandoned, 2 times by now",
        f"Webhook charge.success received, event {WebhookEvent.objects.get().pk}: processed, completed",
        "Settled by webhook",
    ):
        assert line in told, line
    assert [line.partition(", ")[2] for line in told if line.startswith("Ledger")] == [
        "purchase: +80.0 credits, balance 80.0",
        "bonus: +20.0 credits, balance 100.0",
    ]


def test_money_that_was_missed_is_named_and_settled_on_demand(bought: Purchase, sandbox, status) -> None:
    sandbox.pay(bought.reference, channel="card", card=CARD)
    printed = status(bought.reference)
    assert "Paystack now: success: GHS 80.00, card" in printed
    assert (
        f"→ Paystack has the money: settle it now with manage.py paystack_status {bought.reference} --settle."
        in printed
    )
    assert Purchase.objects.get().status == "pending"
    assert "Settled by staff" in status(bought.reference, "--settle")


def test_offline_asks_nobody(bought: Purchase, sandbox: PaystackSandbox, status) -> None:
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    assert "Paystack now" not in status(bought.reference, "--offline")
    assert "Paystack now: Paystack could not be asked" in status(bought.reference)


def test_unknown_here_and_known_at_paystack(db: None, sandbox: PaystackSandbox, status) -> None:
    PaystackService.initialize_transaction(email="ama@example.com", amount=30, reference="other-shop-1")
    sandbox.pay("other-shop-1", channel="ussd")
    printed = status("other-shop-1")
    assert "No purchase here has this reference." in printed
    assert "Paystack now: success: GHS 30.00" in printed
    assert "another system" in printed


def test_unknown_to_all(db: None, sandbox: PaystackSandbox, status) -> None:
    assert "Neither we nor Paystack know it" in status("AI-CREDIT-1-typo")


def test_failed_webhook_says_how_to_replay_it(bought: Purchase, sandbox: PaystackSandbox, status) -> None:
    WebhookEvent.objects.create(body=b"{}", reference=bought.reference, status="failed", error="Boom")
    event = WebhookEvent.objects.get()
    assert f"→ Process webhook event {event.pk} again: manage.py replay_webhooks {event.pk}" in status(bought.reference)


@pytest.mark.parametrize(
    ("purchase_status", "words"),
    [
        ("pending", "Mobile money may take minutes"),
        ("failed", "They can buy again"),
        ("abandoned", "not paid in time"),
        ("review", "Staff must decide"),
        ("refunded", "the credits were taken back"),
    ],
)
def test_each_status_says_what_to_do(purchase: Purchase, sandbox, status, purchase_status: str, words: str) -> None:
    Purchase.objects.update(status=purchase_status, refunded_minor=int(purchase_status == "refunded"))
    assert words in status(purchase.reference)


def test_other_mode_is_not_asked_with_this_key(purchase: Purchase, status, settings) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_live_0123456789"
    assert "Paystack now" not in status(purchase.reference)


def test_json_is_for_programs(bought: Purchase, status) -> None:
    told = json.loads(status(bought.reference, "--json"))
    assert (told["reference"], told["steps"][0]["what"]) == (bought.reference, "Started by ama (ama@example.com)")
    assert told["paystack_says"].startswith("abandoned: GHS 80.00")


@pytest.mark.parametrize("reference", ["a\0b", "x" * 101])
def test_impossible_reference_is_refused_in_words(db: None, status, reference: str) -> None:
    with pytest.raises(CommandError, match="at most 100 printable"):
        status(reference)


def test_settling_what_nobody_knows_is_refused(db: None, status) -> None:
    with pytest.raises(CommandError, match="no purchase"):
        status("nobody", "--settle")


def test_admin_tells_the_same_story_and_escapes_it(purchase: Purchase) -> None:
    Purchase.objects.update(status="failed", status_reason="<script>")
    WebhookEvent.objects.create(body=b"{}", reference=purchase.reference, status="failed", error="<script>alert(1)")
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss"))
    page = client.get(f"/admin/ai_features/purchase/{purchase.pk}/change/").content.decode()
    assert "Started by ama (ama@example.com)" in page
    assert "manage.py replay_webhooks" in page
    assert "<script>alert" not in page
