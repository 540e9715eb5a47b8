"""Notices come in time, say what is so, and undo nothing where they fail."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from ai_features.billing import AIBillingService, notices
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


def test_queue_that_is_away_leaves_the_other_wallets_their_notices(
    rich: Wallet, other_buyer: User, settings: Any, caplog: Any
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.queues.QueueIsAway"}}
    settings.AI_CREDITS = {"NOTICE_EMAILS": True}
    for wallet in (rich, Wallet.objects.create(user=other_buyer)):
        AIBillingService.grant(wallet, 5, reason="trial", expires_at=timezone.now() + timedelta(days=1))
    assert notices.tell_of_expiring_credits() == 2
    assert f"send_notice could not be queued (wallet_id {rich.pk})" in caplog.text
    assert "@" not in caplog.records[0].getMessage()


def test_notice_that_cannot_be_sent_fails_no_call(rich: Wallet, settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "no.such.Backend"}}
    settings.AI_CREDITS = {"NOTICE_EMAILS": True}
    assert AIBillingService.spend(rich, 10).new_balance == 0
    assert Notice.objects.get().kind == "depleted"
