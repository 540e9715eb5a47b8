"""Payments that people must look at: opened once, decided once, and never credited by themselves."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from ai_features.billing import AIBillingService, review_items
from ai_features.billing.reconcile import passes
from ai_features.billing.settlement import settle
from ai_features.exceptions import (
    ApprovalRequired,
    CreditsNegative,
    InvalidRequest,
    PaystackRefused,
    ReviewDecided,
    ReviewItemNotFound,
    ReviewRefused,
)
from ai_features.models import LedgerEntry, Purchase, Refund, ReviewItem, ReviewKind, SettledBy, Wallet
from ai_features.paystack import PaystackService
from ai_features.signals import payment_needs_review
from paystack_sandbox import PaystackSandbox
from tests.money_back import STEP, buy, credits_of, deliver, refund_event, refund_in_dashboard
from tests.paystack_facts import charge, facts


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss", "boss@example.com", "boss")


def pay(purchase: Purchase, **changes: Any) -> Purchase:
    return settle(purchase.reference, facts(purchase, **changes), settled_by=SettledBy.WEBHOOK)


@pytest.fixture
def short(purchase: Purchase) -> ReviewItem:
    """GHS 50.00 came for the Value pack of GHS 80.00."""
    pay(purchase, amount=5000, requested_amount=5000)
    return ReviewItem.objects.get()


@pytest.fixture
def stray(db: None, sandbox: PaystackSandbox) -> ReviewItem:
    """A payment at Paystack that no purchase here belongs to."""
    PaystackService.initialize_transaction(email="yaa@example.com", amount=25, reference="SHOP-7")
    sandbox.pay("SHOP-7")
    paid = sandbox.transaction("SHOP-7")
    deliver("charge.success", charge(reference="SHOP-7", amount=2500, requested_amount=2500, id=paid["id"]))
    return ReviewItem.objects.get()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"amount": 5000, "requested_amount": 5000}, "wrong_amount"),
        ({"currency": "NGN"}, "wrong_currency"),
        ({"domain": "live"}, "wrong_mode"),
        ({"reference": "OTHER"}, "wrong_reference"),
        ({"status": "reversed"}, "reversed"),
    ],
)
def test_payment_that_differs_opens_one_item(purchase: Purchase, changes: dict[str, Any], kind: str) -> None:
    for _ in range(2):
        pay(purchase, **changes)
    item = ReviewItem.objects.get()
    assert (item.kind, item.status, item.reference, item.purchase) == (kind, "open", purchase.reference, purchase)
    assert (item.source, item.paystack_id) == ("webhook", "4099260516")
    assert item.explanation == Purchase.objects.get().status_reason


def test_item_keeps_what_paystack_said(short: ReviewItem) -> None:
    assert (short.amount_minor, short.currency, short.mode) == (5000, "GHS", "test")
    assert short.payer_email == "ama@example.com"


def test_accepted_payment_is_credited_as_it_was_sold(short: ReviewItem, wallet: Wallet, boss: User) -> None:
    AIBillingService.accept_review(short, boss, "Regular customer")
    purchase = Purchase.objects.get()
    assert (purchase.status, purchase.settled_by) == ("completed", "staff")
    assert credits_of(wallet.user) == (100, 0)
    entry = LedgerEntry.objects.get(kind="purchase")
    assert (entry.actor, entry.reason) == (boss, "Regular customer")
    short.refresh_from_db()
    assert (short.status, short.decided_by, short.note) == ("accepted", boss, "Regular customer")


def test_second_decision_is_refused(short: ReviewItem, wallet: Wallet, boss: User) -> None:
    AIBillingService.accept_review(short, boss, "yes")
    decisions = (AIBillingService.accept_review, AIBillingService.refund_review, AIBillingService.dismiss_review)
    for decide in decisions:
        with pytest.raises(ReviewDecided) as caught:
            decide(short, boss, "again")
        assert caught.value.details() == {"status": "accepted", "decided_by": "boss"}
    assert credits_of(wallet.user) == (100, 0)


def test_dismissed_payment_credits_nobody(short: ReviewItem, wallet: Wallet, boss: User) -> None:
    AIBillingService.dismiss_review(short, boss, "Paid back in cash")
    assert credits_of(wallet.user) == (0, 0)
    assert Purchase.objects.get().status == "review"
    assert not AIBillingService.review_items().exists()


@pytest.mark.parametrize("note", ["", "   ", "x" * 301])
def test_decision_needs_a_note(short: ReviewItem, boss: User, note: str) -> None:
    with pytest.raises(InvalidRequest):
        AIBillingService.dismiss_review(short, boss, note)
    assert ReviewItem.objects.get().status == "open"


def test_unknown_item_is_not_found(db: None, boss: User) -> None:
    with pytest.raises(ReviewItemNotFound):
        AIBillingService.dismiss_review(1, boss, "x")


def test_purchase_has_its_own_wallet_and_price(short: ReviewItem, boss: User, other_buyer: User) -> None:
    with pytest.raises(ReviewRefused):
        AIBillingService.accept_review(short, boss, "x", owner=other_buyer, credits=1)
    assert ReviewItem.objects.get().status == "open"


def test_accepted_payment_is_refunded_by_what_was_paid(short: ReviewItem, wallet: Wallet, boss: User) -> None:
    """GHS 50 came for 100 credits: half of what was paid is half of what was given."""
    AIBillingService.accept_review(short, boss, "yes")
    purchase = Purchase.objects.get()
    assert (purchase.payment_minor, purchase.payment_currency) == (5000, "GHS")


def test_payment_of_no_purchase_is_kept_for_staff_once(stray: ReviewItem) -> None:
    deliver("charge.success", charge(reference="SHOP-7", amount=2500, id=int(stray.paystack_id)))
    item = ReviewItem.objects.get()
    assert (item.kind, item.purchase, item.amount_minor) == ("unknown_reference", None, 2500)


def test_payments_of_other_shops_can_be_left_alone(db: None, settings: Any) -> None:
    settings.AI_CREDITS = {"REVIEW_UNKNOWN_REFERENCES": False}
    deliver("charge.success", charge(reference="SHOP-7"))
    assert not ReviewItem.objects.exists()


def test_dismissed_payment_of_no_purchase_is_not_opened_again(stray: ReviewItem, boss: User) -> None:
    AIBillingService.dismiss_review(stray, boss, "our shop's")
    deliver("charge.success", charge(reference="SHOP-7", amount=2500, id=int(stray.paystack_id)))
    assert ReviewItem.objects.count() == 1


def test_payment_of_no_purchase_is_credited_where_staff_says(
    stray: ReviewItem, boss: User, buyer: User, sandbox: PaystackSandbox
) -> None:
    AIBillingService.accept_review(stray, boss, "Paid by link", owner=buyer, credits=25)
    purchase = Purchase.objects.get()
    assert (purchase.reference, purchase.status, purchase.settled_by) == ("SHOP-7", "completed", "staff")
    assert credits_of(buyer) == (25, 0)
    with pytest.raises(ReviewDecided):
        AIBillingService.accept_review(stray, boss, "again", owner=buyer, credits=25)
    AIBillingService.refund(purchase, 10, reason="too much")
    assert credits_of(buyer) == (15, 0)


@pytest.mark.parametrize("given", [{}, {"credits": 5}, {"owner": "team"}])
def test_staff_says_whose_and_how_many(stray: ReviewItem, boss: User, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        AIBillingService.accept_review(stray, boss, "x", **given)
    assert (ReviewItem.objects.get().status, Purchase.objects.exists()) == ("open", False)


def test_less_than_nothing_is_not_credited(stray: ReviewItem, boss: User, buyer: User) -> None:
    with pytest.raises(CreditsNegative):
        AIBillingService.accept_review(stray, boss, "x", owner=buyer, credits=-5)
    assert ReviewItem.objects.get().status == "open"


def test_payment_of_no_purchase_can_be_refunded(stray: ReviewItem, boss: User, sandbox: PaystackSandbox) -> None:
    AIBillingService.refund_review(stray, boss, "Wrong shop")
    back = Refund.objects.get()
    assert (back.status, back.purchase, back.amount_minor, back.requested_by) == ("pending", None, 2500, boss)
    sandbox.advance(seconds=2 * STEP)
    assert refund_event("processed", "SHOP-7").outcome == "processed"
    back.refresh_from_db()
    assert (back.status, ReviewItem.objects.get().status) == ("processed", "refunded")


def test_payment_in_review_can_be_refunded_and_takes_nothing(buyer: User, boss: User, sandbox: PaystackSandbox) -> None:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference)
    Purchase.objects.update(amount_minor=9000)
    AIBillingService.verify_purchase(buyer, purchase.reference)
    AIBillingService.refund_review(ReviewItem.objects.get(), boss, "Wrong amount")
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", purchase.reference)
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("refunded", (0, 0))


def test_refused_refund_opens_the_item_again(stray: ReviewItem, boss: User, sandbox: PaystackSandbox) -> None:
    ReviewItem.objects.update(amount_minor=10)
    with pytest.raises(PaystackRefused):
        AIBillingService.refund_review(stray, boss, "x")
    assert (ReviewItem.objects.get().status, Refund.objects.get().status) == ("open", "failed")


def test_accepting_what_went_back_in_part_takes_that_part(buyer: User, boss: User, sandbox: PaystackSandbox) -> None:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    Purchase.objects.update(amount_minor=9000)
    sandbox.pay(purchase.reference)
    refund_in_dashboard(sandbox, purchase, 2000)
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", purchase.reference)
    assert ReviewItem.objects.get().kind == "wrong_amount"
    AIBillingService.accept_review(ReviewItem.objects.get(), boss, "Only a part went back")
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("partially_refunded", (75, 0))


def test_two_attempts_that_overlap_and_are_both_paid_are_flagged_once(buyer: User, sandbox: PaystackSandbox) -> None:
    first, second = (AIBillingService.purchase_credits(buyer, "value") for _ in range(2))
    for purchase in (first, second):
        sandbox.pay(purchase.reference)
        AIBillingService.verify_purchase(buyer, purchase.reference)
    for _ in range(2):
        passes.run_pass()
    item = ReviewItem.objects.get()
    assert (item.kind, item.reference) == ("second_payment", second.reference)
    assert first.reference in item.explanation
    assert credits_of(buyer) == (200, 0)


def test_one_purchase_after_another_is_not_flagged(buyer: User, sandbox: PaystackSandbox) -> None:
    for _ in range(2):
        buy(buyer, sandbox)
    passes.run_pass()
    assert not ReviewItem.objects.exists()


def test_second_payment_can_be_accepted_or_refunded(buyer: User, boss: User, sandbox: PaystackSandbox) -> None:
    bought = buy(buyer, sandbox)
    kind = ReviewKind.SECOND_PAYMENT
    twice = review_items.open_item(kind, bought.reference, purchase=bought)
    assert twice is not None
    AIBillingService.accept_review(twice, boss, "Wanted both")
    assert credits_of(buyer) == (100, 0)
    other = review_items.open_item(kind, bought.reference, purchase=bought, explanation="another")
    assert other is not None
    AIBillingService.refund_review(other, boss, "Wanted one")
    assert credits_of(buyer) == (0, 0)


@pytest.mark.parametrize(("status", "kind"), [("completed", "paid_again"), ("refunded", "paid_after_refund")])
def test_another_payment_under_a_decided_reference_is_flagged(
    purchase: Purchase, wallet: Wallet, boss: User, status: str, kind: str
) -> None:
    pay(purchase)
    Purchase.objects.update(status=status, refunded_minor=8000)
    pay(purchase)
    assert not ReviewItem.objects.exists()
    for _ in range(2):
        pay(purchase, id=77)
    item = ReviewItem.objects.get()
    assert (item.kind, credits_of(wallet.user)) == (kind, (100, 0))
    for decide in (AIBillingService.accept_review, AIBillingService.refund_review):
        with pytest.raises(ReviewRefused):
            decide(item, boss, "x")


def test_refunded_purchase_is_not_accepted_any_more(short: ReviewItem, boss: User) -> None:
    Purchase.objects.update(status="refunded", refunded_minor=5000)
    with pytest.raises(ReviewRefused):
        AIBillingService.accept_review(short, boss, "x")


def test_signal_is_sent_once_for_each_item(
    purchase: Purchase, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[Any] = []

    def hear(purchase: Purchase | None, item: ReviewItem, **_: object) -> None:
        heard.append((purchase, item.kind))

    payment_needs_review.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            pay(purchase, currency="NGN")
            deliver("charge.success", charge(reference="SHOP-7"))
    payment_needs_review.disconnect(hear)
    assert heard == [(purchase, "wrong_currency"), (None, "unknown_reference")]


def test_one_item_of_a_kind_is_open_for_a_reference(short: ReviewItem) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ReviewItem.objects.create(kind=short.kind, reference=short.reference)


def test_items_are_decided_oldest_first(purchase: Purchase, short: ReviewItem) -> None:
    later = review_items.open_item(ReviewKind.PAID_AGAIN, "X")
    assert later is not None
    ReviewItem.objects.filter(pk=later.pk).update(opened_at=timezone.now() - timedelta(days=1))
    assert [item.pk for item in AIBillingService.review_items()] == [later.pk, short.pk]
    assert Decimal(0) == credits_of(purchase.buyer)[0]


def test_refund_whose_events_were_lost_is_followed_by_the_clock(buyer: User, sandbox: PaystackSandbox) -> None:
    bought = buy(buyer, sandbox)
    refund = AIBillingService.refund(bought.reference, reason="Asked for")
    sandbox.advance(seconds=2 * STEP)
    passes.run_pass()
    refund.refresh_from_db()
    assert (refund.status, credits_of(buyer)) == ("processed", (0, 0))


def test_stray_payment_is_no_way_around_the_limit_of_one_person(stray, boss: User, buyer: User, settings) -> None:
    settings.AI_CREDITS = {"GRANT_APPROVAL_ABOVE": 24}
    with pytest.raises(ApprovalRequired):
        AIBillingService.accept_review(stray, boss, "Paid by link", owner=buyer, credits=25)
    stray.refresh_from_db()
    assert stray.status == "open"
    AIBillingService.accept_review(stray, boss, "Paid by link", owner=buyer, credits=24)
