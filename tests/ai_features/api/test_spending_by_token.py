"""A spend over HTTP looks its token up in the statement that spends, whoever else's spends are in it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.billing.ledger import hot_path
from ai_features.billing.ledger.accounts import Charge
from ai_features.billing.ledger.operations import BUSY, Operation
from ai_features.models import LedgerEntry, Wallet
from tests.ai_features.billing.test_races import at_once
from tests.laws import assert_laws

SPEND = "/ai/api/credits/spend/"
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="in one statement on PostgreSQL only")


@pytest.fixture
def token(buyer: User) -> str:
    """Of the buyer, who has 10 credits."""
    AIBillingService.grant(buyer, 10, reason="trial")
    text: str = AuthToken.objects.create(buyer)[1]
    return text


def client_with(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def status(token: str) -> int:
    code: int = client_with(token).post(SPEND, {"credits": 1}, format="json").status_code
    return code


def spend(token: str, credits_: int = 1) -> Operation:
    amount = credits_ * 1_000_000
    return Operation("spend", 0, amount, [Charge(amount, "chat")], digest=hash_token(token))


@on_postgresql
def test_token_and_spend_are_one_round_trip(token: str, django_assert_num_queries: Callable[[int], Any]) -> None:
    with django_assert_num_queries(1):
        assert status(token) == 200


def test_entry_says_whose_call_it_was(token: str, buyer: User) -> None:
    assert status(token) == 200
    entry = LedgerEntry.objects.get(kind="spend")
    assert (entry.member, entry.wallet.user) == (buyer, buyer)


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_token_that_has_ended_is_refused_at_once(token: str, ended: str) -> None:
    assert status(token) == 200
    if ended == "revoked":
        AuthToken.objects.all().delete()
    else:
        AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert status(token) == 401
    assert LedgerEntry.objects.filter(kind="spend").count() == 1


def test_stranger_is_told_nothing_of_what_is_wrong_with_a_request(token: str) -> None:
    answers = [client_with(who).post(SPEND, {"credits": -1}, format="json") for who in (token, "a" * 64)]
    assert [answer.status_code for answer in answers] == [422, 401]


@on_postgresql
def test_each_of_a_batch_is_answered_on_its_own(token: str, other_buyer: User) -> None:
    poor: str = AuthToken.objects.create(other_buyer)[1]
    AIBillingService.grant(other_buyer, 1, reason="trial")
    batch = [spend(token, 2), spend("a" * 64), spend(poor, 2), spend(token, 3)]
    first, nobody, left_alone, second = hot_path.by_token(batch).read()
    assert (nobody, left_alone) == (None, BUSY)
    assert [getattr(one, "balance", None) for one in (first, second)] == [8_000_000, 5_000_000]
    assert hot_path.by_token([spend(poor, 2)], may_wait=True).read() == [BUSY]


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_calls_by_one_token_are_each_told_their_own_balance(token: str, buyer: User) -> None:
    outcomes = hot_path.from_one([spend(token, cost) for cost in (1, 3, 2)]).read()
    wallet = Wallet.objects.get(user=buyer)
    assert [(one.balance // 1_000_000, one.wallet_id) for one in outcomes] == [
        (9, wallet.pk),
        (6, wallet.pk),
        (4, wallet.pk),
    ]
    entries = LedgerEntry.objects.filter(kind="spend").order_by("id").values_list("id", "balance_after", "member_id")
    assert list(entries) == [(one.ids[0], one.balance, buyer.pk) for one in outcomes]
    assert_laws(wallet)


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("whose", "cost"), [("nobody's", 1), ("the buyer's", 6)])
def test_calls_by_one_token_that_are_not_in_order_are_left_alone(token: str, whose: str, cost: int) -> None:
    batch = [spend("a" * 64 if whose == "nobody's" else token, cost)] * 2
    assert hot_path.from_one(batch).read() == [None, None]
    assert not LedgerEntry.objects.filter(kind="spend").exists()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_spend_waits_for_its_own_wallet_and_not_for_others(token: str, other_buyer: User) -> None:
    free: str = AuthToken.objects.create(other_buyer)[1]
    AIBillingService.grant(other_buyer, 1, reason="trial")
    with transaction.atomic():
        Wallet.objects.select_for_update(no_key=True).get(user__username="ama")
        (outcomes,) = at_once(lambda: hot_path.by_token([spend(token), spend(free)]).read())
    assert (outcomes[0], outcomes[1].balance) == (BUSY, 0)


@pytest.mark.django_db(transaction=True)
def test_crowd_on_one_token_spends_to_the_last_credit(token: str, buyer: User) -> None:
    stranger = "a" * 64
    codes = at_once(*[lambda who=who: status(who) for who in [token] * 14 + [stranger] * 2])
    assert sorted(codes) == [200] * 10 + [401] * 2 + [402] * 4
    wallet = Wallet.objects.get(user=buyer)
    assert wallet.balance == 0
    assert_laws(wallet)
