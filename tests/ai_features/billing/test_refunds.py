"""Refunds asked for and followed over HTTP, at Paystack on localhost."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone
from django_tasks import default_task_backend

from ai_features.billing import AIBillingService, refunds
from ai_features.exceptions import (
    IdempotencyConflict,
    InvalidRequest,
    PaystackRefused,
    PaystackUnavailable,
    PurchaseNotFound,
    RefundNotFound,
    RefundRefused,
)
from ai_features.models import LedgerEntry, Purchase, Refund, ReviewItem
from ai_features.money import MICRO
from ai_features.signals import purchase_refunded, refund_failed, refund_needs_attention
from paystack_sandbox import PaystackSandbox
from tests.money_back import FAILS, NEEDS_ATTENTION, STEP, buy, credits_of, refund_event, refund_in_dashboard


@pytest.fixture
def bought(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    return buy(buyer, sandbox)


def refund(purchase: Purchase, amount: Any = None, **more: Any) -> Refund:
    return AIBillingService.refund(purchase, amount, **{"reason": "Did not like it", **more})


def test_full_refund_takes_the_credits_at_once(bought: Purchase, buyer: User, other_buyer: User) -> None:
    asked = refund(bought, requested_by=other_buyer)
    assert (asked.status, asked.amount_minor, asked.currency) == ("pending", 8000, "GHS")
    assert asked.paystack_id is not None
    assert (asked.requested_by, asked.reason) == (other_buyer, "Did not like it")
    assert credits_of(buyer) == (0, 0)
    assert Purchase.objects.get().status == "completed"


def test_processed_refund_makes_the_purchase_refunded(bought: Purchase, sandbox: PaystackSandbox, buyer: User) -> None:
    refund(bought)
    sandbox.advance(seconds=STEP)
    assert refund_event("processing", bought.reference).outcome == "processing"
    sandbox.advance(seconds=STEP)
    assert refund_event("processed", bought.reference, refund_reference="TRF").outcome == "processed"
    bought.refresh_from_db()
    assert (bought.status, bought.refunded_minor) == ("refunded", 8000)
    assert credits_of(buyer) == (0, 0)


def test_parts_that_add_up_take_exactly_all(bought: Purchase, sandbox: PaystackSandbox, buyer: User) -> None:
    for amount in ("26.67", "26.67", "26.66"):
        refund(bought, amount)
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", bought.reference)
    assert Purchase.objects.get().status == "refunded"
    assert credits_of(buyer) == (0, 0)


@pytest.mark.parametrize("amount", ["80.01", 81, "1000000"])
def test_more_than_the_rest_is_refused(bought: Purchase, buyer: User, amount: Any) -> None:
    with pytest.raises(RefundRefused, match=r"At most GHS 80\.00") as caught:
        refund(bought, amount)
    assert caught.value.details() == {"refundable": Decimal("80.00"), "currency": "GHS"}
    assert credits_of(buyer) == (100, 0)


@pytest.mark.parametrize("amount", [0, -1, "0.001", "x", "NaN", "1e30", Decimal("Infinity"), [], True])
def test_unusable_amount_is_refused(bought: Purchase, amount: Any) -> None:
    with pytest.raises(InvalidRequest):
        refund(bought, amount)
    assert not Refund.objects.exists()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_reason_is_asked_for(bought: Purchase, reason: str) -> None:
    with pytest.raises(InvalidRequest):
        refund(bought, reason=reason)


def test_second_full_refund_finds_nothing_left(bought: Purchase) -> None:
    refund(bought)
    with pytest.raises(RefundRefused, match="refunded already"):
        refund(bought)


def test_unpaid_purchase_is_not_refunded(purchase: Purchase) -> None:
    with pytest.raises(RefundRefused, match="Nothing was paid"):
        refund(purchase)


def test_refund_of_an_unknown_reference_is_not_found(db: None) -> None:
    with pytest.raises(PurchaseNotFound):
        AIBillingService.refund("NOBODY", reason="x")


def test_payment_of_the_other_mode_is_not_refunded(bought: Purchase, settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_live_other"
    with pytest.raises(RefundRefused, match="test mode"):
        refund(bought)


def test_same_key_twice_is_one_refund(bought: Purchase, buyer: User) -> None:
    first, second = (refund(bought, 40, idempotency_key="ticket-1") for _ in range(2))
    assert first.pk == second.pk
    assert credits_of(buyer) == (50, 0)
    with pytest.raises(IdempotencyConflict):
        refund(bought, 30, idempotency_key="ticket-1")


def test_whoever_saw_an_older_rest_is_refused(bought: Purchase, buyer: User) -> None:
    refund(bought, 40, seen_refundable=Decimal("80.00"))
    with pytest.raises(RefundRefused, match="Somebody"):
        refund(bought, 40, seen_refundable=Decimal("80.00"))
    assert credits_of(buyer) == (50, 0)


def test_refusal_gives_the_credits_back(bought: Purchase, buyer: User) -> None:
    with pytest.raises(PaystackRefused, match=r"GHS1\.00"):
        refund(bought, "0.50")
    failed = Refund.objects.get()
    assert (failed.status, failed.paystack_id) == ("failed", None)
    assert "GHS1.00" in failed.problem
    assert credits_of(buyer) == (100, 0)


def test_paystack_not_reached_gives_the_credits_back(bought: Purchase, buyer: User, settings: Any) -> None:
    settings.PAYSTACK_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(PaystackUnavailable):
        refund(bought)
    assert (Refund.objects.get().status, credits_of(buyer)) == ("failed", (100, 0))


def test_lost_answer_leaves_it_pending_and_it_is_found_again(
    bought: Purchase, sandbox: PaystackSandbox, buyer: User
) -> None:
    sandbox.set_faults({"api": {"drop_after_commit": 1.0}})
    asked = refund(bought)
    sandbox.set_faults({})
    assert (asked.status, asked.paystack_id, asked.is_unconfirmed) == ("pending", None, True)
    assert credits_of(buyer) == (0, 0)
    (found,) = AIBillingService.bring_refunds_in_line(bought)
    assert (found.pk, Refund.objects.count()) == (asked.pk, 1)
    assert Refund.objects.get().paystack_id is not None


def test_lost_answer_is_looked_at_again_by_the_task(bought: Purchase, sandbox: PaystackSandbox) -> None:
    default_task_backend.clear()
    sandbox.set_faults({"api": {"drop_after_commit": 1.0}})
    refund(bought)
    sandbox.set_faults({})
    (later,) = [result for result in default_task_backend.results if result.task.name == "look_again"]
    assert later.task.func(*later.args) == 1


def test_refund_that_paystack_may_have_taken_stands_whatever_becomes_of_the_queue(
    bought: Purchase, sandbox: PaystackSandbox, settings: Any
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.queues.QueueIsAway"}}
    sandbox.set_faults({"api": {"drop_after_commit": 1.0}})
    assert refund(bought).is_unconfirmed


def test_refund_that_never_reached_paystack_is_given_up(bought: Purchase, buyer: User) -> None:
    Refund.objects.create(
        purchase=bought, reference=bought.reference, amount_minor=8000, currency="GHS", asked_at=timezone.now()
    )
    assert AIBillingService.bring_refunds_in_line(bought) == []
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        (given_up,) = AIBillingService.bring_refunds_in_line(bought)
    assert (given_up.status, given_up.problem) == ("failed", "Paystack knows nothing of it.")
    assert credits_of(buyer) == (100, 0)


def test_failed_refund_gives_the_credits_back_once(buyer: User, sandbox: PaystackSandbox) -> None:
    bought = buy(buyer, sandbox, FAILS)
    refund(bought)
    sandbox.advance(seconds=2 * STEP)
    for _ in range(3):
        refund_event("failed", bought.reference, amount=8000)
    assert credits_of(buyer) == (100, 0)
    assert (Purchase.objects.get().status, Refund.objects.get().status) == ("completed", "failed")
    assert refund(bought).status == "pending"


def test_refund_that_needs_attention_is_sent_to_the_payers_account(
    buyer: User, sandbox: PaystackSandbox, settings: Any
) -> None:
    settings.AI_CREDITS = {"STAFF_EMAILS": ["desk@example.com"]}
    bought = buy(buyer, sandbox, NEEDS_ATTENTION)
    asked = refund(bought)
    sandbox.advance(seconds=2 * STEP)
    assert refund_event("needs-attention", bought.reference, id=asked.paystack_id).outcome == "needs_attention"
    asked.refresh_from_db()
    assert credits_of(buyer) == (0, 0)
    assert AIBillingService.retry_refund(asked, account_number="0123456789", bank_id="9").status == "processing"
    sandbox.advance(seconds=STEP)
    refund_event("processed", bought.reference)
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("refunded", (0, 0))


def test_only_what_needs_attention_is_sent_again(bought: Purchase) -> None:
    asked = refund(bought)
    with pytest.raises(RefundRefused):
        AIBillingService.retry_refund(asked, account_number="1", bank_id="1")


@pytest.mark.parametrize("given", [{"account_number": "", "bank_id": "1"}, {"account_number": "1", "bank_id": "x"}])
def test_account_for_a_retry_is_checked(bought: Purchase, given: dict[str, str]) -> None:
    asked = refund(bought)
    asked.status = "needs_attention"
    with pytest.raises(InvalidRequest):
        AIBillingService.retry_refund(asked, **given)


def test_refund_in_paystacks_dashboard_takes_credits_too(
    bought: Purchase, sandbox: PaystackSandbox, buyer: User
) -> None:
    refund_in_dashboard(sandbox, bought, 4000)
    assert refund_event("pending", bought.reference, refund_reference=None).outcome == "pending"
    seen = Refund.objects.get()
    assert (seen.amount_minor, seen.requested_by, credits_of(buyer)) == (4000, None, (50, 0))
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", bought.reference)
    assert Purchase.objects.get().status == "partially_refunded"


def test_two_equal_parts_are_two_refunds(bought: Purchase, sandbox: PaystackSandbox, buyer: User) -> None:
    refund(bought, 20)
    refund_in_dashboard(sandbox, bought, 2000)
    for _ in range(2):
        refund_event("pending", bought.reference, amount="2000")
    assert (Refund.objects.count(), credits_of(buyer)) == (2, (50, 0))


def test_events_in_any_order_and_twice_change_nothing_twice(
    bought: Purchase, sandbox: PaystackSandbox, buyer: User
) -> None:
    refund(bought, 40)
    sandbox.advance(seconds=2 * STEP)
    events = [refund_event(word, bought.reference) for word in ("processed", "pending", "processing")]
    count = LedgerEntry.objects.count()
    for event in events:
        assert AIBillingService.replay_webhook(event).outcome == "unchanged"
    assert (LedgerEntry.objects.count(), credits_of(buyer)) == (count, (50, 0))


def test_list_that_was_read_earlier_moves_nothing_back(bought: Purchase, sandbox: PaystackSandbox) -> None:
    asked = refund(bought)
    earlier = list(refunds.following.PaystackService.list_refunds(transaction_id=int(bought.paystack_id)))
    sandbox.advance(seconds=2 * STEP)
    AIBillingService.bring_refunds_in_line(bought)
    assert refunds.following.apply(bought.reference, earlier, timezone.now()) == []
    asked.refresh_from_db()
    assert asked.status == "processed"


def test_refund_event_while_paystack_is_down_is_replayed(
    bought: Purchase, sandbox: PaystackSandbox, buyer: User, settings: Any
) -> None:
    refund_in_dashboard(sandbox, bought, 8000)
    settings.PAYSTACK_BASE_URL = "http://127.0.0.1:9"
    event = refund_event("pending", bought.reference)
    assert (event.status, credits_of(buyer)) == ("failed", (100, 0))
    settings.PAYSTACK_BASE_URL = sandbox.url
    assert AIBillingService.replay_webhook(event).status == "processed"
    assert credits_of(buyer) == (0, 0)


def test_refund_event_of_an_unknown_payment_is_kept(db: None) -> None:
    assert refund_event("processed", "NOBODY").outcome == "unknown_reference"
    assert refund_event("processed", "").outcome == "malformed"
    with pytest.raises(RefundNotFound):
        refunds.bring_in_line("NOBODY")


def test_payment_refunded_before_we_knew_of_it_leaves_no_credits(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference)
    refund_in_dashboard(sandbox, purchase, 8000)
    refund_event("pending", purchase.reference)
    purchase.refresh_from_db()
    assert (purchase.status, credits_of(buyer)) == ("completed", (0, 0))
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", purchase.reference)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.refunded_minor, credits_of(buyer)) == ("refunded", 8000, (0, 0))


def test_refund_begun_before_we_knew_and_failed_leaves_all_credits(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference, channel="card", card={"number": FAILS})
    refund_in_dashboard(sandbox, purchase, 8000)
    AIBillingService.verify_purchase(buyer, purchase.reference)
    assert credits_of(buyer) == (0, 0)
    sandbox.advance(seconds=2 * STEP)
    refund_event("failed", purchase.reference)
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("completed", (100, 0))


def test_part_refunded_before_we_knew_leaves_the_rest(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference)
    refund_in_dashboard(sandbox, purchase, 2000)
    sandbox.advance(seconds=2 * STEP)
    AIBillingService.verify_purchase(buyer, purchase.reference)
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("partially_refunded", (75, 0))
    assert not ReviewItem.objects.exists()


def test_refund_that_paystack_later_calls_failed_is_shown_to_staff(bought: Purchase, sandbox: PaystackSandbox) -> None:
    refund(bought)
    sandbox.advance(seconds=2 * STEP)
    AIBillingService.bring_refunds_in_line(bought)
    state = sandbox.sandbox.state
    state.update("refunds", int(Refund.objects.get().paystack_id or 0), status="failed")
    for _ in range(2):
        AIBillingService.bring_refunds_in_line(bought)
    assert Refund.objects.get().status == "processed"
    assert ReviewItem.objects.get().kind == "refund_contradicts"


@pytest.mark.parametrize(
    ("card", "signal"),
    [("4084084084084081", purchase_refunded), (FAILS, refund_failed), (NEEDS_ATTENTION, refund_needs_attention)],
)
def test_signal_says_how_a_refund_went_once(
    buyer: User, sandbox: PaystackSandbox, card: str, signal: Any, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[str] = []

    def hear(refund: Refund, **_: object) -> None:
        heard.append(refund.reference)

    signal.connect(hear)
    bought = buy(buyer, sandbox, card)
    with django_capture_on_commit_callbacks(execute=True):
        refund(bought)
        sandbox.advance(seconds=2 * STEP)
        for _ in range(2):
            AIBillingService.bring_refunds_in_line(bought)
    signal.disconnect(hear)
    assert heard == [bought.reference]


def test_staff_is_told_of_a_refund_that_needs_attention(
    buyer: User, sandbox: PaystackSandbox, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.AI_CREDITS = {"STAFF_EMAILS": ["desk@example.com"], "MERCHANT_NAME": "Shop"}
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    bought = buy(buyer, sandbox, NEEDS_ATTENTION)
    with django_capture_on_commit_callbacks(execute=True):
        refund(bought)
        sandbox.advance(seconds=2 * STEP)
        AIBillingService.bring_refunds_in_line(bought)
    (letter,) = mail.outbox
    assert (letter.to, "GHS 80.00" in letter.subject) == (["desk@example.com"], True)


def test_usage_does_not_count_refunds(bought: Purchase, buyer: User) -> None:
    AIBillingService.spend(buyer, 30)
    refund(bought)
    assert AIBillingService.usage_stats(buyer).credits == 30


def test_entries_of_a_refund_name_its_purchase(bought: Purchase) -> None:
    asked = refund(bought)
    entries = LedgerEntry.objects.filter(kind="refund")
    assert {(entry.purchase_id, entry.refund_id) for entry in entries} == {(bought.pk, asked.pk)}
    assert sum(entry.amount for entry in entries) == -100 * MICRO
