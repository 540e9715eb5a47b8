"""What support sees of a reference."""

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from ai_features.billing import AIBillingService, settlement
from ai_features.models import Dispute, Purchase, Refund, ReviewItem, ReviewKind, WebhookEvent
from ai_features.paystack import PaystackService
from paystack_sandbox import PaystackSandbox
from tests import money_back
from tests.paystack_facts import charge, charge_success, sign

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


def test_settling_by_hand_keeps_who_and_why_once(bought: Purchase, sandbox: PaystackSandbox, status) -> None:
    User.objects.create_user("esi", "esi@example.com", "esi", is_staff=True)
    sandbox.pay(bought.reference, channel="card", card=CARD)
    for _ in range(2):
        status(bought.reference, "--settle", "--by", "esi", "--reason", "Ticket 4711")
    kept = LogEntry.objects.get()
    assert (kept.user.get_username(), kept.get_edited_object()) == ("esi", bought)
    assert kept.change_message == "Paystack was asked: pending → completed, on the command line: Ticket 4711"


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


def test_event_that_has_just_come_needs_nobody_yet(bought: Purchase, sandbox, status, time_machine) -> None:
    WebhookEvent.objects.create(body=b"{}", reference=bought.reference, status="received")
    assert "→ Process webhook event" not in status(bought.reference, "--offline")
    time_machine.move_to(timezone.now() + timedelta(minutes=6))
    assert "→ Process webhook event" in status(bought.reference, "--offline")


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


def in_order(told: list[str], *beginnings: str) -> None:
    found = [next((n for n, line in enumerate(told) if line.startswith(words)), -1) for words in beginnings]
    assert -1 not in found, (beginnings, told)
    assert found == sorted(found), told


def test_refund_is_told_from_who_asked_to_the_money_sent_back(buyer: User, sandbox, status, admin_user) -> None:
    purchase = money_back.buy(buyer, sandbox)
    refund = AIBillingService.refund(purchase, "40.00", reason="Not used", requested_by=admin_user)
    name = f"Refund {refund.pk} of GHS 40.00"
    printed = status(purchase.reference)
    assert f"→ {name} is on its way since" in printed
    assert "→ Nothing" not in printed
    sandbox.advance(2 * money_back.STEP)
    AIBillingService.bring_refunds_in_line(purchase)
    printed = status(purchase.reference)
    in_order(
        what_happened(printed),
        "Settled by",
        f"{name} asked for by admin: Not used",
        f"{name}: its share is 50.0 credits: 50.0 taken from its own lots",
        f"{name} processed",
    )
    assert f"→ {name} is done: a payer who misses it asks their bank" in printed


def test_refund_that_failed_says_that_the_credits_are_back(buyer: User, sandbox, status) -> None:
    purchase = money_back.buy(buyer, sandbox, money_back.FAILS)
    refund = AIBillingService.refund(purchase, reason="Not used")
    sandbox.advance(2 * money_back.STEP)
    AIBillingService.bring_refunds_in_line(purchase)
    printed = status(purchase.reference)
    name = f"Refund {refund.pk} of GHS 80.00"
    in_order(what_happened(printed), f"{name} asked for in Paystack's dashboard or by the app", f"{name} failed")
    assert "; its credits are back" in printed
    assert f"→ {name} failed, so the payer does not have the money." in printed
    AIBillingService.refund(purchase, reason="Once more")
    assert f"→ {name} failed" not in status(purchase.reference)


def test_refund_that_needs_an_account_says_whose(buyer: User, sandbox, status) -> None:
    purchase = money_back.buy(buyer, sandbox, money_back.NEEDS_ATTENTION)
    AIBillingService.refund(purchase, reason="Not used")
    sandbox.advance(2 * money_back.STEP)
    AIBillingService.bring_refunds_in_line(purchase)
    assert "needs the payer's account: ask them for it" in status(purchase.reference)


def test_refund_that_paystack_has_not_confirmed_is_not_asked_for_again(purchase: Purchase, status) -> None:
    now = timezone.now()
    Purchase.objects.update(status="completed", completed_at=now)
    Refund.objects.create(
        purchase=purchase, reference=purchase.reference, amount_minor=8000, currency="GHS", asked_at=now
    )
    assert "Paystack has not confirmed it. Don't ask for it again" in status(purchase.reference, "--offline")


@pytest.mark.parametrize(("resolution", "end"), [("merchant-accepted", "lost"), ("declined", "won")])
def test_dispute_is_told_with_its_deadline_and_its_end(buyer: User, sandbox, status, resolution: str, end: str) -> None:
    purchase = money_back.buy(buyer, sandbox)
    dispute = money_back.raise_dispute(sandbox, purchase)
    money_back.deliver("charge.dispute.create", dispute)
    name = f"Dispute {dispute['id']}"
    open_ = status(purchase.reference)
    assert f"→ {name} is open: answer it in Paystack's dashboard by" in open_
    assert "hours are left" in open_
    assert "→ Nothing" not in open_
    money_back.resolve_dispute(sandbox, dispute, resolution)
    AIBillingService.bring_dispute_in_line(Dispute.objects.get())
    printed = status(purchase.reference)
    in_order(what_happened(printed), "Settled by", f"{name} about GHS 80.00 opened", f"{name} {end}")
    assert f"→ {name} was {end}" in printed
    assert f"asked for by dispute {dispute['id']}" in printed or end == "won"


def test_review_item_is_told_with_who_decided_and_why(buyer: User, sandbox, status, admin_user) -> None:
    PaystackService.initialize_transaction(email="ama@example.com", amount=30, reference="other-shop-1")
    sandbox.pay("other-shop-1", channel="ussd")
    money_back.deliver("charge.success", charge(reference="other-shop-1", amount=3000, requested_amount=3000))
    item = ReviewItem.objects.get()
    printed = status("other-shop-1")
    assert f"→ Decide review item {item.pk} in the admin, under Payments to review: accept it for" in printed
    AIBillingService.dismiss_review(item, admin_user, "The shop next door")
    printed = status("other-shop-1")
    in_order(
        what_happened(printed),
        f"Review item {item.pk} raised, a payment that belongs to no purchase, GHS 30.00",
        f"Review item {item.pk} dismissed by admin: The shop next door",
    )
    assert f"→ Review item {item.pk} was dismissed by admin: nobody was credited" in printed


@pytest.mark.parametrize("kind", ReviewKind)
def test_each_kind_of_review_says_how_to_decide_it(purchase: Purchase, status, kind: ReviewKind) -> None:
    item = ReviewItem.objects.create(kind=kind, reference=purchase.reference, purchase=purchase)
    printed = status(purchase.reference, "--offline")
    assert f"→ Decide review item {item.pk} in the admin, under Payments to review: " in printed


def test_reversal_that_no_refund_explains_is_named(buyer: User, sandbox, status) -> None:
    purchase = money_back.buy(buyer, sandbox)
    money_back.refund_in_dashboard(sandbox, purchase, 8000)
    sandbox.advance(2 * money_back.STEP)
    assert "no refund is on record here: run manage.py reconcile_paystack" in status(purchase.reference)
    call_command("reconcile_paystack")
    assert "→ The money went back, and the credits were taken back." in status(purchase.reference)


def test_staff_page_of_a_review_item_tells_its_story(admin_client: Client, purchase: Purchase) -> None:
    item = ReviewItem.objects.create(kind="wrong_amount", reference=purchase.reference, purchase=purchase)
    page = admin_client.get(f"/admin/ai_features/reviewitem/{item.pk}/change/").content.decode()
    assert f"Review item {item.pk} raised, another amount than sold" in page
    assert "What to do next:" in page


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
