"""Spend, reserve, capture: the ordinary case and its neighbours, in round numbers."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from ai_features.billing import AIBillingService, usage
from ai_features.exceptions import (
    FeatureUnknown,
    IdempotencyConflict,
    InsufficientCredits,
    ReservationEnded,
    ReservationNotFound,
)
from ai_features.models import EntryKind, FeaturePrice, LedgerEntry, Reservation, Wallet
from tests.laws import assert_laws

pytestmark = pytest.mark.django_db


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 100, reason="trial")
    return wallet


def test_spend_takes_credits_and_says_what_is_left(rich: Wallet) -> None:
    spent = AIBillingService.spend(rich, "0.5", feature="chat", metadata={"model": "x"})
    entry = LedgerEntry.objects.get(pk=spent.entry)
    assert (spent.credits, spent.new_balance) == (Decimal("0.5"), Decimal("99.5"))
    assert (entry.kind, entry.amount, entry.feature, entry.metadata) == ("spend", -500_000, "chat", {"model": "x"})
    assert_laws(rich)


def test_spend_with_a_key_twice_is_one_spend(rich: Wallet) -> None:
    first, second = (AIBillingService.spend(rich, 3, idempotency_key="k") for _ in range(2))
    assert first == second
    assert AIBillingService.balance(rich).balance == 97


def test_key_of_a_grant_stands_for_its_reason_and_expiry_too(rich: Wallet) -> None:
    until = timezone.now() + timedelta(days=30)
    given = {"reason": "promotion", "expires_at": until, "idempotency_key": "k"}
    first = AIBillingService.grant(rich, 5, **given)
    elsewhere = until.astimezone(ZoneInfo("Asia/Kolkata"))
    assert AIBillingService.grant(rich, 5, **{**given, "expires_at": elsewhere}) == first
    for change in ({"expires_at": None}, {"expires_at": until + timedelta(seconds=1)}, {"reason": "trial"}):
        with pytest.raises(IdempotencyConflict):
            AIBillingService.grant(rich, 5, **{**given, **change})
    assert AIBillingService.balance(rich).balance == 105


def test_key_of_another_request_is_a_conflict_that_shows_both(rich: Wallet) -> None:
    AIBillingService.spend(rich, 3, idempotency_key="k")
    with pytest.raises(IdempotencyConflict) as refused:
        AIBillingService.spend(rich, 4, idempotency_key="k")
    assert refused.value.details() == {
        "first_request": {"operation": "spend", "credits": "3.0"},
        "this_request": {"operation": "spend", "credits": "4.0"},
    }


def test_key_does_not_take_no_units_for_none_said(rich: Wallet) -> None:
    FeaturePrice.objects.create(code="image", per_call=1_000_000, per_unit=1_000_000)
    assert AIBillingService.spend(rich, feature="image", idempotency_key="k").credits == 2
    with pytest.raises(IdempotencyConflict):
        AIBillingService.spend(rich, feature="image", units=0, idempotency_key="k")


def test_used_key_is_a_conflict_also_for_a_reservation_that_is_none(rich: Wallet) -> None:
    AIBillingService.spend(rich, 3, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        AIBillingService.capture(rich, 4_711_000, 3, idempotency_key="k")


def test_too_few_credits_says_how_many_are_missing(rich: Wallet) -> None:
    with pytest.raises(InsufficientCredits) as refused:
        AIBillingService.spend(rich, 130)
    assert refused.value.details()["shortage"] == 30
    assert_laws(rich)


def test_feature_has_a_price_and_the_entry_keeps_it(rich: Wallet) -> None:
    FeaturePrice.objects.create(code="chat", per_call=100_000, per_1000_tokens_out=2_000_000)
    spent = AIBillingService.spend(rich, feature="chat", tokens_out=250)
    assert spent.credits == Decimal("0.6")
    assert LedgerEntry.objects.get(pk=spent.entry).pricing == {
        "per_call": "0.1",
        "per_1000_tokens_out": "2.0",
        "tokens_out": 250,
    }


def test_unknown_feature_is_refused(rich: Wallet) -> None:
    with pytest.raises(FeatureUnknown):
        AIBillingService.spend(rich, feature="nothing")


def test_spend_many_is_all_or_nothing(rich: Wallet) -> None:
    done = AIBillingService.spend_many(rich, [{"credits": 1, "feature": "a"}, {"credits": 2}], idempotency_key="k")
    assert (len(done.entries), done.new_balance) == (2, 97)
    assert (
        AIBillingService.spend_many(rich, [{"credits": 1, "feature": "a"}, {"credits": 2}], idempotency_key="k") == done
    )
    with pytest.raises(InsufficientCredits):
        AIBillingService.spend_many(rich, [{"credits": 60}, {"credits": 60}])
    assert_laws(rich)


def test_capture_of_part_gives_the_rest_back(rich: Wallet) -> None:
    reservation = AIBillingService.reserve(rich, 10)
    assert AIBillingService.balance(rich).available == 90
    captured = reservation.capture(4)
    assert (captured.new_balance, captured.was_expired) == (96, False)
    assert AIBillingService.balance(rich).available == 96
    assert reservation.capture(4) == captured
    assert_laws(rich)


def test_key_of_a_repeated_capture_is_used_up_too(rich: Wallet) -> None:
    reservation = AIBillingService.reserve(rich, 10)
    assert reservation.capture(4) == reservation.capture(4, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        AIBillingService.spend(rich, 4, idempotency_key="k")


def test_block_releases_what_it_did_not_capture(rich: Wallet) -> None:
    with pytest.raises(ZeroDivisionError), AIBillingService.reserve(rich, 10):
        raise ZeroDivisionError
    assert AIBillingService.balance(rich).held == 0
    assert_laws(rich)


def test_capture_above_everything_becomes_debt_that_new_credits_pay(rich: Wallet) -> None:
    captured = AIBillingService.reserve(rich, 10).capture(130)
    assert captured.new_balance == 0
    assert AIBillingService.balance(rich).debt == 30
    assert_laws(rich)
    with pytest.raises(InsufficientCredits) as refused:
        AIBillingService.spend(rich, 1)
    assert refused.value.details()["shortage"] == 31
    AIBillingService.grant(rich, 50, reason="more")
    assert AIBillingService.balance(rich).available == 20
    assert LedgerEntry.objects.filter(kind=EntryKind.DEBT_PAYMENT).count() == 1
    assert_laws(rich)


def test_many_take_nothing_of_what_is_set_aside(rich: Wallet) -> None:
    AIBillingService.reserve(rich, 95)
    with pytest.raises(InsufficientCredits):
        AIBillingService.spend_many(rich, [{"credits": 3}] * 2)
    assert AIBillingService.balance(rich).balance == 100


def test_expired_reservation_is_let_go_and_still_charged(rich: Wallet, time_machine) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    reservation = AIBillingService.reserve(rich, 100, ttl_seconds=60)
    time_machine.shift(timedelta(seconds=61))
    assert AIBillingService.spend(rich, 70).new_balance == 30
    captured = reservation.capture(40)
    assert (captured.was_expired, captured.new_balance) == (True, 0)
    assert AIBillingService.balance(rich).debt == 10
    assert_laws(rich)


def test_repeat_says_expired_as_the_first_did_though_a_clock_ran_ahead(rich: Wallet, time_machine) -> None:
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    reservation = AIBillingService.reserve(rich, 10, ttl_seconds=60)
    time_machine.move_to(now + timedelta(seconds=61), tick=False)
    assert AIBillingService.balance(rich).held == 0
    time_machine.move_to(now + timedelta(seconds=59), tick=False)
    first = AIBillingService.capture(rich, reservation.id, 4, idempotency_key="k")
    assert first.was_expired
    assert AIBillingService.capture(rich, reservation.id, 4, idempotency_key="k") == first
    assert AIBillingService.capture(rich, reservation.id, 4) == first


def test_release_and_capture_have_one_outcome(rich: Wallet) -> None:
    reservation = AIBillingService.reserve(rich, 10)
    reservation.release()
    reservation.release()
    with pytest.raises(ReservationEnded):
        reservation.capture(1)


def test_another_wallets_reservation_is_none(rich: Wallet, other_buyer) -> None:
    reservation = AIBillingService.reserve(rich, 10)
    with pytest.raises(ReservationNotFound):
        AIBillingService.capture(other_buyer, reservation.id, 1)


def test_lots_expire_unless_a_reservation_holds_them(wallet: Wallet, time_machine) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    AIBillingService.grant(wallet, 10, reason="a", expires_at=timezone.now() + timedelta(hours=1))
    AIBillingService.grant(wallet, 10, reason="b")
    AIBillingService.spend(wallet, 2)
    reservation = AIBillingService.reserve(wallet, 5, ttl_seconds=7200)
    time_machine.shift(timedelta(hours=1))
    now = AIBillingService.balance(wallet)
    assert (now.balance, now.held, now.expiring) == (15, 5, ())
    assert_laws(wallet)
    reservation.capture(3)
    assert AIBillingService.balance(wallet).balance == 10
    assert_laws(wallet)


def test_lease_writes_each_call_in_one_step(rich: Wallet) -> None:
    with AIBillingService.lease(rich, credits=5, feature="embed") as lease:
        for _ in range(30):
            lease.spend(0.5)
    entries = LedgerEntry.objects.filter(kind=EntryKind.CAPTURE)
    assert (entries.count(), AIBillingService.balance(rich).balance) == (30, 85)
    assert not Reservation.objects.filter(status="open").exists()
    assert_laws(rich)


def test_usage_is_exact_before_and_after_the_roll_up(rich: Wallet) -> None:
    for _ in range(3):
        AIBillingService.spend(rich, 1, feature="chat")
    before = AIBillingService.usage_stats(rich, 7)
    assert usage.roll_up(rich.pk) == 4
    AIBillingService.spend(rich, 2, feature="image")
    after = AIBillingService.usage_stats(rich, 7)
    assert (before.credits, before.calls, after.credits, after.calls) == (3, 3, 5, 4)
    assert [(row.feature, row.credits) for row in after.by_feature] == [("chat", 3), ("image", 2)]
    assert after.by_day[-1].calls == 4


@pytest.mark.django_db(transaction=True)
def test_queue_that_is_away_costs_no_spend(rich: Wallet, monkeypatch: Any, settings: Any, caplog: Any) -> None:
    monkeypatch.setattr(usage, "ENTRIES_BETWEEN_TASKS", 1)
    settings.TASKS = {"default": {"BACKEND": "tests.queues.QueueIsAway"}}
    assert AIBillingService.spend(rich, 1).new_balance == 99
    assert f"roll_up_task could not be queued (wallet_id {rich.pk})" in caplog.text


def test_next_lot_to_expire_is_shown_when_those_before_are_used_up(wallet: Wallet) -> None:
    last = timezone.now() + timedelta(days=21)
    for day in range(21):
        AIBillingService.grant(wallet, 1, reason="trial", expires_at=last - timedelta(days=20 - day))
    AIBillingService.spend(wallet, 20)
    assert [(lot.credits, lot.expires_at) for lot in AIBillingService.balance(wallet).expiring] == [(1, last)]


def test_what_expires_is_of_the_moment_the_balance_was_read(wallet: Wallet, django_assert_num_queries: Any) -> None:
    until = timezone.now() + timedelta(days=30)
    AIBillingService.grant(wallet, 5, reason="trial", expires_at=until)
    AIBillingService.spend(wallet, 2)
    before = AIBillingService.balance(wallet)
    AIBillingService.spend(wallet, 1)
    with django_assert_num_queries(0):
        assert before.expiring == ((3, until),)
    assert len({before, AIBillingService.balance(wallet)}) == 2
