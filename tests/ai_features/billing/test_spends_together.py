"""Spends that share a statement are accepted or refused each on its own, and entered as if they had come one by one."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from ai_features.billing import AIBillingService
from ai_features.billing.ledger import hot_path, queue
from ai_features.billing.ledger.accounts import Charge
from ai_features.billing.ledger.line import Call
from ai_features.billing.ledger.operations import Applied, Operation, Outcome
from ai_features.exceptions import InsufficientCredits
from ai_features.models import LedgerEntry, Wallet
from tests.ai_features.billing.test_races import at_once
from tests.laws import assert_laws

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="spends share a statement on PostgreSQL only"),
]

CREDIT = 1_000_000


@pytest.fixture
def other(db: None) -> Wallet:
    return AIBillingService.wallet("other")


def spend(wallet: Wallet, credits_: int, feature: str = "chat", **about: Any) -> Operation:
    amount = credits_ * CREDIT
    return Operation("spend", wallet.pk, amount, [Charge(amount, feature, **about)])


def carry_out(operations: list[Operation], *, may_wait: bool = False) -> list[Call[Operation, Outcome]]:
    calls: list[Call[Operation, Outcome]] = [Call(operation) for operation in operations]
    queue._carry_out(hot_path.from_one if may_wait else hot_path.together, calls)()
    return calls


def carried_out(operations: list[Operation], *, may_wait: bool = False) -> list[object]:
    return [call.given for call in carry_out(operations, may_wait=may_wait)]


def in_each_line(test: Any) -> Any:
    """The common one, and that of a wallet of its own, which waits and lets go of it early."""
    of_its_own = pytest.param(True, marks=pytest.mark.django_db(transaction=True))
    return pytest.mark.parametrize("may_wait", [False, of_its_own])(test)


def _balances(outcomes: list[object]) -> list[int | None]:
    return [outcome.balance // CREDIT if isinstance(outcome, Applied) else None for outcome in outcomes]


def test_entries_are_numbered_in_the_order_of_their_balances(wallet: Wallet, other: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    AIBillingService.grant(other, 20, reason="trial")
    outcomes = carried_out([spend(wallet, 1), spend(other, 2), spend(wallet, 3), spend(other, 4)])
    assert _balances(outcomes) == [9, 18, 6, 14]
    entries = LedgerEntry.objects.filter(wallet=wallet, kind="spend").order_by("id")
    assert [entry.balance_after // CREDIT for entry in entries] == [9, 6]


@in_each_line
def test_calls_of_one_wallet_are_each_told_their_own_balance(wallet: Wallet, may_wait: bool) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    AIBillingService.reserve(wallet, 2)
    outcomes = [
        one
        for one in carried_out([spend(wallet, cost) for cost in (1, 3, 2)], may_wait=may_wait)
        if isinstance(one, Applied)
    ]
    assert [(one.balance // CREDIT, one.available // CREDIT) for one in outcomes] == [(9, 7), (6, 4), (4, 2)]
    entries = LedgerEntry.objects.filter(kind="spend").order_by("id").values_list("id", "balance_after")
    assert list(entries) == [(one.ids[0], one.balance) for one in outcomes]


@in_each_line
def test_calls_of_one_wallet_keep_who_and_at_what_price_and_are_owed_by_its_lots(
    wallet: Wallet, buyer: User, may_wait: bool
) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    price: dict[str, object] = {"per_call": 1}
    carried_out([spend(wallet, 1), spend(wallet, 2, pricing=price, member_id=buyer.pk)], may_wait=may_wait)
    entries = LedgerEntry.objects.filter(kind="spend").order_by("id").values_list("pricing", "member_id")
    assert list(entries) == [(None, None), (price, buyer.pk)]
    assert_laws(wallet)


@in_each_line
def test_one_wallet_that_cannot_pay_for_all_is_left_alone(wallet: Wallet, may_wait: bool) -> None:
    AIBillingService.grant(wallet, 3, reason="trial")
    assert _balances(carried_out([spend(wallet, cost) for cost in (2, 2, 1)], may_wait=may_wait)) == [None] * 3
    assert AIBillingService.balance(wallet).balance == 3


def test_wallet_that_cannot_pay_for_all_refuses_no_other(wallet: Wallet, other: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    AIBillingService.grant(other, 3, reason="trial")
    outcomes = carried_out([spend(other, 2), spend(wallet, 1), spend(other, 2), spend(other, 1)])
    assert _balances(outcomes) == [None, 9, None, None]
    assert AIBillingService.balance(other).balance == 3


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_that_a_wallet_cannot_all_pay_for_are_paid_as_far_as_it_can(wallet: Wallet) -> None:
    AIBillingService.grant(wallet, 3, reason="trial")

    def spent() -> bool:
        try:
            AIBillingService.spend(wallet, 1)
        except InsufficientCredits:
            return False
        return True

    assert sum(at_once(*[spent] * 16)) == 3
    assert AIBillingService.balance(wallet).balance == 0
    assert_laws(wallet)


@in_each_line
def test_costs_whose_sum_is_past_any_number_are_left_alone(wallet: Wallet, may_wait: bool) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    most = 9_000_000_000_000
    outcomes = carried_out([spend(wallet, most), spend(wallet, 1), spend(wallet, most)], may_wait=may_wait)
    assert _balances(outcomes) == [None] * 3


@in_each_line
def test_text_of_any_kind_is_kept_as_it_is(wallet: Wallet, may_wait: bool) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    features = ['say "hi"', "back\\slash", "NULL", "{a,b}", ", ", ""]
    notes = [{"said": feature, "deep": {"n": [1, None, "\n"]}} for feature in features]
    carried_out(
        [spend(wallet, 1, feature, metadata=note) for feature, note in zip(features, notes, strict=True)],
        may_wait=may_wait,
    )
    entries = LedgerEntry.objects.filter(wallet=wallet, kind="spend").order_by("id")
    assert [(entry.feature, entry.metadata) for entry in entries] == list(zip(features, notes, strict=True))


@pytest.mark.django_db(transaction=True)
def test_call_that_the_database_refuses_harms_no_other(wallet: Wallet, other: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    AIBillingService.grant(other, 4, reason="trial")
    unfit = spend(other, 2, "x" * 1000)
    calls = carry_out([spend(wallet, 1), unfit, spend(other, 2)])
    assert _balances([call.given for call in calls]) == [9, None, 2]
    assert [call.error is not None for call in calls] == [False, True, False]
    assert AIBillingService.balance(wallet).balance == 9
