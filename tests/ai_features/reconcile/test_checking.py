"""Open purchases, asked about one by one."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.utils import timezone

from ai_features.billing.reconcile import checking
from ai_features.billing.reconcile.checking import Checked, next_check
from ai_features.billing.reconcile.pace import Pace
from ai_features.exceptions import PaystackKeyRefused, PaystackRateLimited, PaystackUnavailable
from ai_features.models import PaystackAnswer, Purchase, Wallet
from ai_features.paystack import PaystackService
from tests.ai_features.reconcile.conftest import Buy
from tests.laws import assert_laws

STARTED = datetime(2026, 11, 24, 10, tzinfo=UTC)


def check(**options: bool) -> Checked:
    checked = Checked()
    checking.check_due(Pace(), checked, **options)
    return checked


def ages_of_checks() -> list[timedelta]:
    """When a purchase that is never decided is asked about, each check right on time."""
    ages, at = [], STARTED + timedelta(seconds=30)
    while at is not None:
        ages.append(at - STARTED)
        at = next_check(STARTED, at)
    return ages


def test_checks_grow_rare_and_end_after_the_deadline() -> None:
    ages = ages_of_checks()
    pauses = [later - earlier for earlier, later in pairwise(ages)]
    assert ages[:4] == [timedelta(seconds=n) for n in (30, 60, 90, 135)]
    assert len([age for age in ages if age < timedelta(minutes=15)]) == 8
    assert timedelta(hours=24, seconds=1) in ages
    assert [age.days for age in ages if age.days >= 1] == [1, 2, 4]
    assert all(pause <= timedelta(hours=8) for pause in pauses[:-2])


def test_lost_payment_is_settled_once(buy: Buy, wallet: Wallet) -> None:
    purchase = buy()
    assert [row.reference for row in check().changed] == [purchase.reference]
    assert check().asked == 0
    purchase.refresh_from_db()
    assert (purchase.status, purchase.settled_by) == ("completed", "reconcile")
    assert_laws(wallet)
    assert wallet.balance == 100_000_000


def test_unpaid_one_waits_for_its_next_turn(buy: Buy) -> None:
    purchase = buy(paid=False)
    assert (check().asked, check().asked) == (1, 0)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.checks) == ("pending", 1)
    assert purchase.next_check_at > timezone.now()


def test_answers_are_kept_once_with_a_count(buy: Buy) -> None:
    purchase = buy(paid=False)
    for _ in range(3):
        check()
        Purchase.objects.update(next_check_at=timezone.now())
    answer = PaystackAnswer.objects.get()
    assert (answer.purchase, answer.asked_by, answer.answer, answer.times) == (purchase, "reconcile", "abandoned", 3)


def test_purchase_is_abandoned_by_the_clock(buy: Buy) -> None:
    purchase = buy(paid=False, age=timedelta(hours=24, seconds=1))
    check()
    purchase.refresh_from_db()
    assert (purchase.status, purchase.next_check_at.date()) == (
        "abandoned",
        (purchase.created_at + timedelta(2)).date(),
    )


@pytest.mark.parametrize("status", ["failed", "abandoned"])
def test_late_success_is_found(buy: Buy, status: str, wallet: Wallet) -> None:
    buy(age=timedelta(days=2))
    Purchase.objects.update(status=status)
    check()
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000


def test_dry_run_settles_nothing(buy: Buy, wallet: Wallet) -> None:
    purchase = buy()
    assert [row.status for row in check(dry_run=True).changed] == ["completed"]
    purchase.refresh_from_db()
    wallet.refresh_from_db()
    assert (purchase.status, purchase.checks, wallet.balance, PaystackAnswer.objects.count()) == ("pending", 0, 0, 0)


def test_decided_purchase_is_not_asked_about(buy: Buy) -> None:
    buy()
    check()
    Purchase.objects.update(next_check_at=timezone.now())
    assert check().asked == 0


def test_paystack_down_leaves_all_due(buy: Buy, sandbox) -> None:
    purchase = buy()
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    assert check().unanswered == 1
    sandbox.set_faults({})
    purchase.refresh_from_db()
    assert purchase.next_check_at <= timezone.now() + timedelta(minutes=1)
    assert PaystackAnswer.objects.get().answer == "paystack_unavailable"


def test_gives_up_on_a_paystack_that_is_down(buy: Buy, sandbox, monkeypatch) -> None:
    monkeypatch.setattr(checking, "AT_ONCE", 1)
    for _ in range(5):
        buy(paid=False)
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    checked = Checked()
    with pytest.raises(PaystackUnavailable):
        checking.check_due(Pace(), checked)
    assert checked.asked == checking.GIVES_UP_AFTER


def test_rate_limit_stops_and_nothing_is_lost(buy: Buy, sandbox) -> None:
    for _ in range(10):
        buy()
    sandbox.set_faults({"api": {"rate_limit_rate": 1.0}})
    with pytest.raises(PaystackRateLimited) as stopped:
        check()
    assert stopped.value.retry_after_seconds == 60
    sandbox.set_faults({})
    assert len(check().changed) == 10


def test_little_left_of_the_limit_stops_before_paystack_does(buy: Buy, sandbox) -> None:
    buy()
    buy()
    sandbox.set_faults({"api": {"requests_per_minute": 20}})
    # The two answers come at once, so either may be the last; of both, too little is left.
    for _ in range(18):
        PaystackService.page_of_transactions(status="success", from_=STARTED)
    checked = Checked()
    with pytest.raises(PaystackRateLimited):
        checking.check_due(Pace(), checked)
    assert len(checked.changed) == 2


def test_refused_key_stops_at_once(buy: Buy, settings) -> None:
    buy()
    settings.PAYSTACK_SECRET_KEY = "sk_test_other"
    with pytest.raises(PaystackKeyRefused):
        check()
