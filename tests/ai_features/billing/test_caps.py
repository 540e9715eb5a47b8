"""At most so many credits a day or month for a member, a token or a feature."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User

from ai_features.billing import AIBillingService
from ai_features.exceptions import SpendingCapReached
from ai_features.models import Wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 1000, reason="trial")
    return wallet


def test_call_that_would_pass_a_cap_is_refused_with_its_figures(rich: Wallet, time_machine) -> None:
    time_machine.move_to(datetime(2026, 6, 1, 18, tzinfo=UTC), tick=False)
    AIBillingService.set_cap(rich, "feature", "image", "day", 20)
    AIBillingService.spend(rich, 15, feature="image")
    with pytest.raises(SpendingCapReached) as refused:
        AIBillingService.spend(rich, 6, feature="image")
    assert refused.value.details() == {
        "scope": "feature",
        "subject": "image",
        "period": "day",
        "limit": 20,
        "used": 15,
        "retry_after_seconds": 6 * 3600 + 1,
    }
    AIBillingService.spend(rich, 5, feature="image")
    AIBillingService.spend(rich, 6, feature="chat")


def test_cap_is_for_one_member_and_one_token(rich: Wallet, buyer: User, other_buyer: User) -> None:
    AIBillingService.set_cap(rich, "member", str(buyer.pk), "day", 5)
    AIBillingService.set_cap(rich, "token", "0123456789abcde", "month", 5)
    AIBillingService.spend(rich, 10, member=other_buyer)
    for who in ({"member": buyer}, {"member": other_buyer, "token": "0123456789abcde"}):
        with pytest.raises(SpendingCapReached):
            AIBillingService.spend(rich, 6, **who)


def test_next_day_and_next_month_count_anew(rich: Wallet, time_machine) -> None:
    time_machine.move_to(datetime(2026, 6, 29, 12, tzinfo=UTC), tick=False)
    AIBillingService.set_cap(rich, "feature", "image", "day", 10)
    AIBillingService.set_cap(rich, "feature", "image", "month", 15)
    AIBillingService.spend(rich, 10, feature="image")
    time_machine.move_to(datetime(2026, 6, 30, 0, tzinfo=UTC), tick=False)
    with pytest.raises(SpendingCapReached) as refused:
        AIBillingService.spend(rich, 10, feature="image")
    assert refused.value.details()["period"] == "month"
    time_machine.move_to(datetime(2026, 7, 1, 0, tzinfo=UTC), tick=False)
    AIBillingService.spend(rich, 10, feature="image")


def test_reservation_counts_when_made_and_then_what_it_was_charged(rich: Wallet) -> None:
    AIBillingService.set_cap(rich, "feature", "image", "day", 20)
    reservation = AIBillingService.reserve(rich, 15, feature="image")
    with pytest.raises(SpendingCapReached):
        AIBillingService.spend(rich, 6, feature="image")
    reservation.capture(4)
    AIBillingService.spend(rich, 16, feature="image")
    with pytest.raises(SpendingCapReached):
        AIBillingService.spend(rich, "0.000001", feature="image")


def test_releasing_what_was_reserved_before_the_cap_gives_nothing_back(rich: Wallet) -> None:
    reservation = AIBillingService.reserve(rich, 10, feature="image")
    AIBillingService.set_cap(rich, "feature", "image", "day", 20)
    AIBillingService.spend(rich, 10, feature="image")
    reservation.release()
    AIBillingService.spend(rich, 10, feature="image")
    with pytest.raises(SpendingCapReached):
        AIBillingService.spend(rich, 1, feature="image")


def test_of_several_caps_the_oldest_is_named(rich: Wallet) -> None:
    for feature, scope in (("image", "feature"), (str(rich.user_id), "member")):
        AIBillingService.set_cap(rich, scope, feature, "day", 5)
    AIBillingService.spend(rich, 1, feature="image", member=rich.user)
    AIBillingService.set_cap(rich, "feature", "image", "day", 4)
    with pytest.raises(SpendingCapReached) as refused:
        AIBillingService.spend(rich, 9, feature="image", member=rich.user)
    assert refused.value.details()["scope"] == "feature"
