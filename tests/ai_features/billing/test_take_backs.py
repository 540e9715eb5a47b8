"""Credits that leave with a refund or a dispute, to the last micro-credit; without Paystack."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ai_features.billing import AIBillingService, ledger, refund_moves
from ai_features.billing.lots import due_for, in_proportion
from ai_features.billing.settlement import settle
from ai_features.models import Dispute, EntryKind, LedgerEntry, Lot, Purchase, Refund, RefundStatus, SettledBy, Wallet
from ai_features.money import MICRO
from tests.laws import assert_laws
from tests.paystack_facts import facts

PAID = 8000


@pytest.fixture
def bought(purchase: Purchase) -> Purchase:
    """The Value pack: GHS 80.00 paid, 80 credits and 20 as a bonus."""
    return settle(purchase.reference, facts(purchase), settled_by=SettledBy.WEBHOOK)


def ask(purchase: Purchase, amount_minor: int = PAID) -> Refund:
    with transaction.atomic():
        locked = ledger.lock_purchase(purchase.reference)
        return refund_moves.begin(locked.reference, locked, amount_minor, currency="GHS")


def end(refund: Refund, status: RefundStatus) -> None:
    with transaction.atomic():
        refund.purchase = ledger.lock_purchase(refund.reference)
        refund_moves.move(refund, status)


def credits_of(wallet: Wallet) -> tuple[float, float]:
    """Balance and debt, after the laws were looked at."""
    assert_laws(wallet)
    return wallet.balance / MICRO, wallet.debt / MICRO


def dispute(purchase: Purchase) -> Dispute:
    found = Dispute.objects.create(purchase=purchase, paystack_id="1", opened_at=timezone.now())
    with ledger.open_account(purchase.wallet_id) as account:
        ledger.freeze(account, found)
    return found


def left_in(wallet: Wallet) -> dict[str, float]:
    with ledger.open_account(wallet.pk) as account:
        account.allocate()
    return {lot.source: lot.remaining / MICRO for lot in wallet.lots.order_by("id")}


def test_full_refund_takes_all_that_was_given(bought: Purchase, wallet: Wallet) -> None:
    ask(bought)
    assert credits_of(wallet) == (0, 0)
    kinds = wallet.entries.filter(kind=EntryKind.REFUND).order_by("id").values_list("amount", "lot__source")
    assert list(kinds) == [(-80 * MICRO, "purchased"), (-20 * MICRO, "bonus")]


def test_half_a_refund_takes_half_of_each_lot(bought: Purchase, wallet: Wallet) -> None:
    ask(bought, PAID // 2)
    assert left_in(wallet) == {"purchased": 40, "bonus": 10}


def test_spent_credits_become_debt(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    refund = ask(bought)
    assert credits_of(wallet) == (0, 30)
    assert (refund.credits_taken, refund.credits_owed) == (70 * MICRO, 30 * MICRO)


def test_spent_credits_are_taken_from_other_lots_before_they_become_debt(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    AIBillingService.grant(wallet, 10, reason="trial")
    refund = ask(bought)
    assert credits_of(wallet) == (0, 20)
    assert (refund.credits_from_others, refund.credits_owed) == (10 * MICRO, 20 * MICRO)


def test_next_credits_pay_the_debt_of_a_refund(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    ask(bought)
    AIBillingService.grant(wallet, 50, reason="trial")
    assert credits_of(wallet) == (20, 0)


@pytest.mark.parametrize(("policy", "balance", "forgiven"), [("other_lots", 0, 20), ("forgive", 10, 30)])
def test_policy_says_what_becomes_of_spent_credits(
    bought: Purchase, wallet: Wallet, settings, policy: str, balance: int, forgiven: int
) -> None:
    settings.AI_CREDITS = {"REFUND_POLICY": policy}
    AIBillingService.spend(wallet, 30)
    AIBillingService.grant(wallet, 10, reason="trial")
    refund = ask(bought)
    assert credits_of(wallet) == (balance, 0)
    assert refund.credits_forgiven == forgiven * MICRO


def test_expired_credits_are_not_asked_for_again(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    with time_machine.travel(timezone.now() + timedelta(days=181)):
        refund = ask(bought)
        assert credits_of(wallet) == (0, 30)
    assert refund.credits_expired == 70 * MICRO


def test_expired_credits_are_spared_once(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    with time_machine.travel(timezone.now() + timedelta(days=181)):
        first, second = ask(bought, 4000), ask(bought, 4000)
        assert credits_of(wallet) == (0, 30)
    assert (first.credits_expired, second.credits_expired) == (50 * MICRO, 20 * MICRO)


def test_held_credits_stay_held_and_become_debt(bought: Purchase, wallet: Wallet, settings) -> None:
    settings.AI_CREDITS = {"REFUND_POLICY": "forgive"}
    reservation = AIBillingService.reserve(wallet, 60)
    ask(bought)
    assert credits_of(wallet) == (60, 60)
    reservation.release()
    assert credits_of(wallet) == (0, 0)


def test_captured_credits_stay_debt(bought: Purchase, wallet: Wallet) -> None:
    reservation = AIBillingService.reserve(wallet, 60)
    ask(bought)
    reservation.capture(25)
    assert credits_of(wallet) == (0, 25)


def test_failed_refund_gives_back_to_the_same_lots(bought: Purchase, wallet: Wallet) -> None:
    before = {lot.pk: (lot.remaining, lot.expires_at) for lot in wallet.lots.all()}
    end(ask(bought), RefundStatus.FAILED)
    assert credits_of(wallet) == (100, 0)
    assert {lot.pk: (lot.remaining, lot.expires_at) for lot in wallet.lots.all()} == before
    wallet.refresh_from_db()
    assert wallet.next_expiry_at == bought.lots.first().expires_at


def test_failed_refund_takes_its_debt_away(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    end(ask(bought), RefundStatus.FAILED)
    assert credits_of(wallet) == (70, 0)


def test_debt_that_was_paid_meanwhile_comes_back_as_credits(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    refund = ask(bought)
    AIBillingService.grant(wallet, 20, reason="trial")
    end(refund, RefundStatus.FAILED)
    assert credits_of(wallet) == (90, 0)


def test_what_comes_back_after_its_expiry_expires(bought: Purchase, wallet: Wallet) -> None:
    refund = ask(bought)
    with time_machine.travel(timezone.now() + timedelta(days=181)):
        end(refund, RefundStatus.FAILED)
        assert credits_of(wallet) == (0, 0)
    last = wallet.entries.order_by("id").values_list("kind", "amount")
    assert list(last)[-2:] == [("refund_failed", 20 * MICRO), ("expiry", -20 * MICRO)]


def test_what_comes_back_leaves_a_reservation_alone(bought: Purchase, wallet: Wallet) -> None:
    """An overdue lot is kept for a reservation while credits with an earlier and a later expiry come back."""
    now = timezone.now()
    AIBillingService.grant(wallet, 10, reason="soon", expires_at=now + timedelta(days=1))
    AIBillingService.grant(wallet, 10, reason="late", expires_at=now + timedelta(days=400))
    reservation = AIBillingService.reserve(wallet, 10, ttl_seconds=86400)
    refund = ask(bought)
    with time_machine.travel(now + timedelta(hours=23, minutes=59)):
        reservation.renew(86400)
    with time_machine.travel(now + timedelta(days=1, hours=1)):
        end(refund, RefundStatus.FAILED)
        assert credits_of(wallet) == (120, 0)
        assert wallet.overdue == 10 * MICRO
        reservation.release()
        assert credits_of(wallet) == (110, 0)


def test_three_parts_take_exactly_the_whole(bought: Purchase, wallet: Wallet) -> None:
    refunds = [ask(bought, minor) for minor in (2667, 2667, 2666)]
    assert [refund.credits for refund in refunds] == [33_337_500, 33_337_500, 33_325_000]
    assert credits_of(wallet) == (0, 0)


def test_part_after_a_failed_part_takes_what_is_due(bought: Purchase, wallet: Wallet) -> None:
    first, _second = ask(bought, 3333), ask(bought, 3333)
    end(first, RefundStatus.FAILED)
    ask(bought, 4667)
    assert credits_of(wallet) == (0, 0)


def test_only_a_processed_refund_makes_the_purchase_refunded(bought: Purchase) -> None:
    half, rest = ask(bought, 4000), ask(bought, 4000)
    assert Purchase.objects.get().status == "completed"
    end(half, RefundStatus.PROCESSED)
    assert (Purchase.objects.get().status, Purchase.objects.get().refunded_minor) == ("partially_refunded", 4000)
    end(rest, RefundStatus.PROCESSED)
    assert (Purchase.objects.get().status, Purchase.objects.get().refunded_minor) == ("refunded", 8000)


@pytest.mark.parametrize("final", [RefundStatus.PROCESSED, RefundStatus.FAILED])
def test_end_of_a_refund_is_final(bought: Purchase, wallet: Wallet, final: RefundStatus) -> None:
    refund = ask(bought)
    end(refund, final)
    before = LedgerEntry.objects.count()
    for status in RefundStatus:
        end(refund, status)
    assert (Refund.objects.get().status, LedgerEntry.objects.count()) == (final, before)
    assert_laws(wallet)


def test_database_forbids_a_second_take_back(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    refund = ask(bought)
    about = {"wallet": wallet, "kind": "refund", "amount": -1, "balance_after": 0, "refund": refund}
    for lot in (bought.lots.first(), None):
        with pytest.raises(IntegrityError), transaction.atomic():
            LedgerEntry.objects.create(**about, lot=lot)


def test_refund_with_the_fee_on_top_takes_all_for_all_that_was_paid(purchase: Purchase, wallet: Wallet) -> None:
    paid = facts(purchase, amount=8160, requested_amount=8000)
    bought = settle(purchase.reference, paid, settled_by=SettledBy.WEBHOOK)
    ask(bought, 8160)
    assert credits_of(wallet) == (0, 0)


def test_dispute_freezes_what_is_left(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.spend(wallet, 30)
    found = dispute(bought)
    assert credits_of(wallet) == (0, 0)
    assert found.credits_frozen == 70 * MICRO == sum(Lot.objects.values_list("frozen", flat=True))


def test_dispute_freezes_no_other_credits(bought: Purchase, wallet: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    dispute(bought)
    assert credits_of(wallet) == (10, 0)


def test_dispute_freezes_later_what_a_reservation_lets_go(bought: Purchase, wallet: Wallet) -> None:
    reservation = AIBillingService.reserve(wallet, 60)
    found = dispute(bought)
    assert credits_of(wallet) == (60, 0)
    reservation.release()
    with ledger.open_account(wallet.pk) as account:
        ledger.freeze(account, found)
    assert credits_of(wallet) == (0, 0)


def test_thawed_credits_have_their_old_expiry(bought: Purchase, wallet: Wallet) -> None:
    before = {lot.pk: (lot.remaining, lot.expires_at, 0) for lot in wallet.lots.all()}
    found = dispute(bought)
    for _ in range(2):
        with ledger.open_account(wallet.pk) as account:
            ledger.thaw(account, found)
    assert credits_of(wallet) == (100, 0)
    assert {lot.pk: (lot.remaining, lot.expires_at, lot.frozen) for lot in wallet.lots.all()} == before


def test_refund_during_a_dispute_takes_frozen_credits(bought: Purchase, wallet: Wallet) -> None:
    found = dispute(bought)
    refund = ask(bought, 4000)
    assert credits_of(wallet) == (0, 0)
    found.refresh_from_db()
    assert (found.credits_frozen, refund.credits_taken) == (50 * MICRO, 50 * MICRO)


def test_refund_that_fails_during_a_dispute_is_frozen_again(bought: Purchase, wallet: Wallet) -> None:
    refund = ask(bought)
    found = dispute(bought)
    end(refund, RefundStatus.FAILED)
    found.refresh_from_db()
    assert (credits_of(wallet), found.credits_frozen) == ((0, 0), 100 * MICRO)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=4), st.fractions(0, 1))
def test_shares_are_whole_fair_and_add_up(amounts: list[int], part: float) -> None:
    total = int(sum(amounts) * part)
    shares = in_proportion(amounts, total)
    assert sum(shares) == total
    assert all(0 <= share <= amount for share, amount in zip(shares, amounts, strict=True))


def test_more_than_there_is_cannot_be_shared() -> None:
    with pytest.raises(ValueError, match="more than"):
        in_proportion([1], 2)


@given(st.integers(1, 10**12), st.integers(1, 10**9), st.lists(st.integers(1, 10**9), max_size=5))
def test_what_is_due_grows_to_all_and_never_past_it(credits_: int, paid: int, parts: list[int]) -> None:
    due = [due_for(credits_, sum(parts[:n]), paid) for n in range(len(parts) + 1)]
    assert due == sorted(due)
    assert due[-1] <= credits_
    assert due_for(credits_, paid, paid) == credits_


STEPS = st.one_of(
    st.tuples(st.just("spend"), st.integers(1, 60)),
    st.tuples(st.just("grant"), st.integers(1, 60)),
    st.tuples(st.just("reserve"), st.integers(1, 60)),
    st.tuples(st.sampled_from(["release", "capture", "processed", "failed"]), st.integers(0, 5)),
    st.tuples(st.just("refund"), st.integers(1, PAID)),
    st.tuples(st.sampled_from(["dispute", "thaw"]), st.just(0)),
    st.tuples(st.just("days"), st.integers(1, 150)),
)


class AnySequenceKeepsTheLaws(TestCase):
    """Spends, refunds, their ends, disputes and time in any order."""

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=st.lists(STEPS, max_size=14), policy=st.sampled_from(["debt", "other_lots", "forgive"]))
    def test_any_sequence_keeps_the_laws_and_takes_no_more_than_was_given(
        self, steps: list[tuple[str, int]], policy: str
    ) -> None:
        with self.settings(AI_CREDITS={"REFUND_POLICY": policy}), time_machine.travel(0, tick=False) as clock:
            story = Story()
            for name, value in steps:
                if name == "days":
                    clock.shift(timedelta(days=value))
                    continue
                story.step(name, value)
                assert_laws(story.wallet)
                story.assert_refunds_take_no_more_than_was_given()
            story.fail_all_that_is_open()
            assert_laws(story.wallet)


class Story:
    def __init__(self) -> None:
        buyer = User.objects.create_user("ama", "ama@example.com", "ama")
        self.wallet = Wallet.objects.create(user=buyer)
        started = Purchase.objects.create(
            reference="R", wallet=self.wallet, buyer=buyer, email=buyer.email, mode="test", package_code="value",
            currency="GHS", price_minor=PAID, amount_minor=PAID, credits=80 * MICRO, bonus_credits=20 * MICRO,
        )  # fmt: skip
        self.purchase = settle("R", facts(started), settled_by=SettledBy.WEBHOOK)
        self.reservations: list = []

    def step(self, name: str, value: int) -> None:
        available = AIBillingService.balance(self.wallet).available
        steps: dict[str, Callable[[], object]] = {
            "spend": lambda: available >= value and AIBillingService.spend(self.wallet, value),
            "grant": lambda: AIBillingService.grant(self.wallet, value, reason="trial"),
            "reserve": lambda: available >= value and self.reserve(value),
            "release": lambda: self.reservations and self.reservations.pop().release(),
            "capture": lambda: self.reservations and self.reservations.pop().capture(value * 20 + 1),
            "refund": lambda: self.refund(value),
            "processed": lambda: self.end(value, RefundStatus.PROCESSED),
            "failed": lambda: self.end(value, RefundStatus.FAILED),
            "dispute": self.dispute,
            "thaw": self.thaw,
        }
        steps[name]()

    def reserve(self, credits_: int) -> None:
        self.reservations.append(AIBillingService.reserve(self.wallet, credits_, ttl_seconds=86400))

    def refund(self, minor: int) -> None:
        self.purchase.refresh_from_db()
        left = refund_moves.refundable_minor(self.purchase)
        if left:
            ask(self.purchase, min(left, minor))

    def end(self, number: int, status: RefundStatus) -> None:
        for refund in Refund.objects.order_by("id")[number : number + 1]:
            end(refund, status)

    def dispute(self) -> None:
        found, _new = Dispute.objects.get_or_create(
            paystack_id="1", defaults={"purchase": self.purchase, "opened_at": timezone.now()}
        )
        if found.is_open:
            with ledger.open_account(self.wallet.pk) as account:
                ledger.freeze(account, found)

    def thaw(self) -> None:
        for found in Dispute.objects.filter(status="open"):
            with ledger.open_account(self.wallet.pk) as account:
                ledger.thaw(account, found)
            Dispute.objects.update(status="won", ended_at=timezone.now())

    def assert_refunds_take_no_more_than_was_given(self) -> None:
        active = refund_moves.active(self.purchase)
        assert (
            sum(refund.credits for refund in active)
            == due_for(100 * MICRO, sum(refund.amount_minor for refund in active), PAID)
            or Refund.objects.filter(status="failed").exists()
        )
        assert sum(refund.credits for refund in active) <= 100 * MICRO
        for refund in Refund.objects.all():
            entered = sum(refund.entries.values_list("amount", flat=True))
            asked = refund.credits_taken + refund.credits_from_others + refund.credits_owed
            assert entered == (0 if refund.status == "failed" else -asked)

    def fail_all_that_is_open(self) -> None:
        for refund in Refund.objects.filter(status="pending"):
            end(refund, RefundStatus.FAILED)
        self.assert_refunds_take_no_more_than_was_given()
