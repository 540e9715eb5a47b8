"""Refunds, events and decisions at the same moment, on real connections."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from ai_features.billing import AIBillingService
from ai_features.exceptions import AICreditsError
from ai_features.models import Purchase, Refund, ReviewItem
from paystack_sandbox import PaystackSandbox
from tests.ai_features.billing.test_races import at_once
from tests.money_back import STEP, buy, credits_of, deliver, raise_dispute, refund_event, resolve_dispute

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bought(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    return buy(buyer, sandbox)


def refused(call: Any) -> Any:
    """What it gives, or the code of its refusal."""
    try:
        return call()
    except AICreditsError as error:
        return error.code


def test_two_refunds_at_once_are_one(bought: Purchase, buyer: User) -> None:
    def refund() -> Any:
        return refused(lambda: AIBillingService.refund(bought, reason="x").amount_minor)

    outcomes = at_once(*[refund] * 4)
    assert sorted(map(str, outcomes)) == ["8000", "refund_refused", "refund_refused", "refund_refused"]
    assert (Refund.objects.count(), credits_of(buyer)) == (1, (0, 0))


def test_same_key_at_once_is_one_refund(bought: Purchase, buyer: User) -> None:
    def refund() -> Any:
        return AIBillingService.refund(bought, 40, reason="x", idempotency_key="k").pk

    assert len(set(at_once(*[refund] * 4))) == 1
    assert credits_of(buyer) == (50, 0)


def test_events_at_once_take_once(bought: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    AIBillingService.refund(bought, 40, reason="x")
    sandbox.advance(seconds=2 * STEP)
    words = ("pending", "processing", "processed", "processed")
    events = at_once(*[lambda word=word: refund_event(word, bought.reference).status for word in words])
    assert events == ["processed"] * 4
    assert (Refund.objects.get().status, credits_of(buyer)) == ("processed", (50, 0))


def test_spends_beside_a_refund_lose_nothing(bought: Purchase, buyer: User) -> None:
    def spend() -> Any:
        return refused(lambda: AIBillingService.spend(buyer, 10).credits)

    outcomes = at_once(lambda: AIBillingService.refund(bought, reason="x"), *[spend] * 5)
    spent = 10 * sum(outcome == 10 for outcome in outcomes[1:])
    assert credits_of(buyer) == (0, spent)


def test_end_of_a_dispute_twice_at_once_takes_once(bought: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    resolve_dispute(sandbox, dispute, "merchant-accepted")
    ended = dispute | {"status": "resolved", "resolution": "merchant-accepted"}
    assert at_once(*[lambda: deliver("charge.dispute.resolve", ended).outcome] * 4) == ["lost"] * 4
    assert (Refund.objects.count(), credits_of(buyer)) == (1, (0, 0))


@pytest.fixture
def boss(transactional_db: None) -> User:
    return User.objects.create_superuser("boss", "boss@example.com", "boss")


def test_decisions_at_once_are_one(bought: Purchase, buyer: User, boss: User, sandbox: PaystackSandbox) -> None:
    other = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(other.reference)
    Purchase.objects.filter(pk=other.pk).update(amount_minor=9000)
    AIBillingService.verify_purchase(buyer, other.reference)
    item = ReviewItem.objects.get()

    def accept() -> Any:
        return refused(lambda: AIBillingService.accept_review(item, boss, "x").status)

    assert sorted(at_once(*[accept] * 4)) == ["accepted", "review_decided", "review_decided", "review_decided"]
    assert credits_of(buyer) == (200, 0)
