"""Notices come in time, say what is so, and undo nothing where they fail."""

from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from ai_features.billing import AIBillingService
from ai_features.models import Notice, Wallet
from ai_features.signals import credits_depleted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 10, reason="trial")
    return wallet


@pytest.fixture
def told() -> Iterator[Mock]:
    receiver = Mock()
    credits_depleted.connect(receiver)
    yield receiver
    credits_depleted.disconnect(receiver)


@pytest.mark.parametrize("is_capped", [False, True])
def test_credits_that_are_set_aside_are_not_used_up_until_they_are(rich: Wallet, told: Mock, is_capped: bool) -> None:
    if is_capped:
        AIBillingService.set_cap(rich, "feature", "image", "day", 3)
    reservation = AIBillingService.reserve(rich, 10)
    assert not told.called
    reservation.capture(10)
    assert told.call_count == 1


def test_notice_that_cannot_be_sent_fails_no_call(rich: Wallet, settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "no.such.Backend"}}
    settings.AI_CREDITS = {"NOTICE_EMAILS": True}
    assert AIBillingService.spend(rich, 10).new_balance == 0
    assert Notice.objects.get().kind == "depleted"
