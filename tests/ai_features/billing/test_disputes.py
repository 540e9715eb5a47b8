"""Disputes raised at Paystack on localhost, and their events in any order."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.models import Dispute, LedgerEntry, Lot, Purchase, Refund
from ai_features.money import MICRO
from ai_features.signals import dispute_opened, dispute_resolved
from paystack_sandbox import PaystackSandbox
from tests.money_back import (
    STEP,
    buy,
    credits_of,
    deliver,
    raise_dispute,
    refund_event,
    refund_in_dashboard,
    resolve_dispute,
)

HOUR = 3600


@pytest.fixture
def bought(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    return buy(buyer, sandbox)


def resolved(dispute: dict[str, Any], resolution: str | None, **changes: Any) -> dict[str, Any]:
    """The event's data as it is after the end."""
    paid = dispute["transaction"] | {"status": "success" if resolution == "declined" else "reversed"}
    return dispute | {"status": "resolved", "resolution": resolution, "transaction": paid} | changes


def test_open_dispute_freezes_what_is_left(bought: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    AIBillingService.spend(buyer, 30)
    event = deliver("charge.dispute.create", raise_dispute(sandbox, bought, category="fraud"))
    assert (event.outcome, event.reference) == ("open", bought.reference)
    found = Dispute.objects.get()
    assert (found.credits_frozen, found.category, found.amount_minor) == (70 * MICRO, "fraud", 8000)
    assert found.due_at is not None
    assert credits_of(buyer) == (0, 0)


def test_same_event_three_times_freezes_once(bought: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    AIBillingService.grant(buyer, 10, reason="trial")
    dispute = raise_dispute(sandbox, bought)
    for name in ("create", "create", "remind"):
        deliver(f"charge.dispute.{name}", dispute)
    assert (Dispute.objects.count(), credits_of(buyer)) == (1, (10, 0))


def test_dispute_that_is_won_gives_the_credits_back(bought: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    before = list(Lot.objects.order_by("id").values("remaining", "expires_at", "frozen"))
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    resolve_dispute(sandbox, dispute, "declined")
    for _ in range(2):
        assert deliver("charge.dispute.resolve", resolved(dispute, "declined")).outcome == "won"
    assert credits_of(buyer) == (100, 0)
    assert list(Lot.objects.order_by("id").values("remaining", "expires_at", "frozen")) == before
    assert Purchase.objects.get().status == "completed"


def test_dispute_that_is_won_after_the_expiry_gives_nothing(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    with time_machine.travel(timezone.now() + timedelta(days=181)):
        deliver("charge.dispute.resolve", resolved(dispute, "declined"))
        assert credits_of(buyer) == (0, 0)


@pytest.mark.parametrize("resolution", ["merchant-accepted", "auto-accepted"])
def test_dispute_that_is_lost_takes_the_credits(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox, resolution: str
) -> None:
    AIBillingService.spend(buyer, 30)
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    resolve_dispute(sandbox, dispute, "merchant-accepted")
    for _ in range(2):
        assert deliver("charge.dispute.resolve", resolved(dispute, resolution)).outcome == "lost"
    assert credits_of(buyer) == (0, 30)
    back = Refund.objects.get()
    assert (back.status, back.amount_minor, back.dispute) == ("processed", 8000, Dispute.objects.get())
    assert back.paystack_id is not None
    assert Purchase.objects.get().status == "refunded"


def test_dispute_that_is_lost_in_part_gives_the_rest_back(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    resolve_dispute(sandbox, dispute, "merchant-accepted", 2000)
    deliver("charge.dispute.resolve", resolved(dispute, "merchant-accepted", refund_amount=2000))
    assert credits_of(buyer) == (75, 0)
    assert Purchase.objects.get().status == "partially_refunded"


def test_end_that_comes_before_the_beginning_is_the_end(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    dispute = raise_dispute(sandbox, bought)
    resolve_dispute(sandbox, dispute, "merchant-accepted")
    deliver("charge.dispute.resolve", resolved(dispute, "merchant-accepted"))
    for name in ("create", "remind"):
        assert deliver(f"charge.dispute.{name}", dispute).outcome == "lost"
    assert (credits_of(buyer), Refund.objects.count()) == ((0, 0), 1)


def test_nobody_answers_and_the_payer_wins(bought: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    sandbox.advance(seconds=24 * 7 * HOUR)
    AIBillingService.bring_refunds_in_line(bought)
    deliver("charge.dispute.resolve", resolved(dispute, "auto-accepted"))
    assert (credits_of(buyer), Refund.objects.count()) == ((0, 0), 1)


def test_dispute_is_learnt_from_the_refund_it_brought_about(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    """Every event was lost; the list of refunds names the dispute."""
    dispute = raise_dispute(sandbox, bought)
    resolve_dispute(sandbox, dispute, "merchant-accepted")
    AIBillingService.bring_refunds_in_line(bought)
    assert Dispute.objects.get().status == "lost"
    assert (credits_of(buyer), Refund.objects.get().dispute) == ((0, 0), Dispute.objects.get())


def test_refund_while_a_dispute_is_open_takes_frozen_credits(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    AIBillingService.refund(bought, 40, reason="half")
    assert credits_of(buyer) == (0, 0)
    deliver("charge.dispute.resolve", resolved(dispute, "declined"))
    assert credits_of(buyer) == (50, 0)


def test_dispute_after_a_part_was_refunded_takes_the_rest(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    refund_in_dashboard(sandbox, bought, 2000)
    sandbox.advance(seconds=2 * STEP)
    refund_event("processed", bought.reference)
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    resolve_dispute(sandbox, dispute, "merchant-accepted")
    deliver("charge.dispute.resolve", resolved(dispute, "merchant-accepted"))
    assert sorted(Refund.objects.values_list("amount_minor", flat=True)) == [2000, 6000]
    assert (credits_of(buyer), Purchase.objects.get().status) == ((0, 0), "refunded")


def test_disputed_payment_that_we_had_missed_is_settled_and_frozen(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(purchase.reference)
    deliver("charge.dispute.create", raise_dispute(sandbox, purchase))
    purchase.refresh_from_db()
    assert (purchase.status, credits_of(buyer)) == ("completed", (0, 0))
    assert Dispute.objects.get().credits_frozen == 100 * MICRO


def test_dispute_about_a_payment_in_review_takes_nothing(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    other = AIBillingService.purchase_credits(buyer, "value")
    sandbox.pay(other.reference)
    Purchase.objects.filter(pk=other.pk).update(status="review", paystack_id="1", paid_amount_minor=8000)
    dispute = raise_dispute(sandbox, other)
    deliver("charge.dispute.create", dispute)
    assert credits_of(buyer) == (100, 0)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        ({}, "malformed"),
        ({"id": 1, "status": "resolved"}, "malformed"),
        ({"id": None, "status": "x", "transaction": {"reference": "T"}}, "malformed"),
        ({"id": 1, "status": "x", "transaction": {"reference": "NOBODY", "id": 1}}, "unknown_reference"),
        ({"id": 1, "status": "x", "transaction": 12}, "unknown_reference"),
    ],
)
def test_useless_dispute_event_is_kept(db: None, data: dict[str, Any], outcome: str) -> None:
    assert deliver("charge.dispute.create", data).outcome == outcome
    assert not Dispute.objects.exists()


def test_unknown_resolution_is_read_from_the_transaction(
    bought: Purchase, buyer: User, sandbox: PaystackSandbox
) -> None:
    dispute = raise_dispute(sandbox, bought)
    deliver("charge.dispute.create", dispute)
    kept = dispute["transaction"] | {"status": "success"}
    assert deliver("charge.dispute.resolve", resolved(dispute, None, transaction=kept)).outcome == "won"
    assert credits_of(buyer) == (100, 0)


def test_staff_is_told_once_with_the_deadline(
    bought: Purchase, sandbox: PaystackSandbox, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.AI_CREDITS = {"STAFF_EMAILS": ["desk@example.com"]}
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    heard: list[str] = []

    def hear(signal: Any, dispute: Dispute, **_: object) -> None:
        heard.append("opened" if signal is dispute_opened else dispute.status)

    for signal in (dispute_opened, dispute_resolved):
        signal.connect(hear)
    dispute = raise_dispute(sandbox, bought)
    with django_capture_on_commit_callbacks(execute=True):
        for name in ("create", "remind"):
            deliver(f"charge.dispute.{name}", dispute)
        for _ in range(2):
            deliver("charge.dispute.resolve", resolved(dispute, "declined"))
    for signal in (dispute_opened, dispute_resolved):
        signal.disconnect(hear)
    assert heard == ["opened", "won"]
    (letter,) = mail.outbox
    assert f"{Dispute.objects.get().due_at:%Y-%m-%d %H:%M} UTC" in letter.subject


def test_usage_does_not_count_frozen_credits(bought: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    deliver("charge.dispute.create", raise_dispute(sandbox, bought))
    assert AIBillingService.usage_stats(buyer).credits == 0
    assert set(LedgerEntry.objects.values_list("kind", flat=True)) == {"purchase", "bonus", "dispute"}
