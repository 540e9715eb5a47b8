"""Confirmations that share a statement are recorded and settled each on its own, as if they had come one by one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from time_machine import TimeMachineFixture

from ai_features.billing import AIBillingService
from ai_features.billing.ledger import Delivery, queue
from ai_features.billing.ledger.deliveries import Recorded, settle
from ai_features.billing.ledger.line import Call
from ai_features.billing.settlement import delivery_of
from ai_features.models import LedgerEntry, Lot, Purchase, Wallet, WebhookEvent
from ai_features.money import MAX_MICRO
from tests.ai_features.billing.test_races import at_once
from tests.laws import assert_laws
from tests.paystack_facts import charge_success, facts, sign

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="webhooks share a statement on PostgreSQL only"),
]

Sell = Callable[[str, Wallet], Purchase]


@pytest.fixture
def sell(purchase: Purchase) -> Sell:
    """Another purchase like the first."""

    def sold(reference: str, wallet: Wallet) -> Purchase:
        another = Purchase.objects.get(pk=purchase.pk)
        another.pk, another.reference, another.wallet = None, reference, wallet
        another.save(force_insert=True)
        return another

    return sold


@pytest.fixture
def other(db: None) -> Wallet:
    return AIBillingService.wallet("other")


def _delivery(purchase: Purchase, *, event: str = "charge.success", **changes: object) -> Delivery:
    received = WebhookEvent.of(charge_success(purchase, **changes))
    received.event = event
    return delivery_of(received, facts(purchase, **changes))


def carried_out(*deliveries: Delivery) -> list[Call[Delivery, Recorded]]:
    calls: list[Call[Delivery, Recorded]] = [Call(delivery) for delivery in deliveries]
    queue._carry_out(settle, calls)()
    return calls


def are_settled(*deliveries: Delivery) -> list[bool | None]:
    return [call.given.is_settled if call.given else None for call in carried_out(*deliveries)]


def test_each_is_credited_in_the_order_of_arrival(
    purchase: Purchase, wallet: Wallet, other: Wallet, sell: Sell
) -> None:
    sold = [purchase, sell("theirs", other), sell("second", wallet), sell("third", wallet)]
    assert are_settled(*map(_delivery, sold)) == [True] * 4
    entries = LedgerEntry.objects.filter(wallet=wallet).order_by("id")
    credits_ = [entry.balance_after // 1_000_000 for entry in entries]
    assert credits_ == [80, 100, 180, 200, 280, 300]
    assert_laws(wallet)


@pytest.mark.parametrize(
    ("days_left", "is_settled"),
    [([1], True), ([1, 3650], False), ([3650, 1], False), ([1, None], False), ([None], False)],
)
def test_what_was_spent_is_charged_first_where_a_lot_ends_later_than_the_new(
    purchase: Purchase, wallet: Wallet, days_left: list[int | None], is_settled: bool
) -> None:
    for days in days_left:
        until = None if days is None else timezone.now() + timedelta(days=days)
        AIBillingService.grant(wallet, 10, reason="trial", expires_at=until)
    AIBillingService.spend(wallet, 4)
    assert are_settled(_delivery(purchase)) == [is_settled]


def test_what_was_spent_is_charged_first_where_a_lot_ends_with_the_new(
    purchase: Purchase, wallet: Wallet, sell: Sell, time_machine: TimeMachineFixture
) -> None:
    """Else the new bonus would pay for it, which comes before what was bought."""
    time_machine.move_to(timezone.now(), tick=False)
    second = sell("second", wallet)
    assert are_settled(_delivery(purchase)) == [True]
    AIBillingService.spend(wallet, 90)
    assert are_settled(_delivery(second)) == [False]


def test_events_are_recorded_with_their_own_bodies(purchase: Purchase, other: Wallet, sell: Sell) -> None:
    sold = [purchase, sell('{"no": "\\\\such, NULL', other)]
    deliveries = [_delivery(one) for one in sold]
    calls = carried_out(*deliveries)
    events = WebhookEvent.objects.in_bulk([call.given.event_id for call in calls if call.given])
    found = [(event.reference, bytes(event.body), event.status) for _id, event in sorted(events.items())]
    assert found == [(one.reference, charge_success(one), "processed") for one in sold]


def test_purchase_confirmed_twice_is_credited_once_and_both_are_on_record(purchase: Purchase) -> None:
    assert are_settled(_delivery(purchase), _delivery(purchase)) == [True, False]
    assert sorted(WebhookEvent.objects.values_list("status", flat=True)) == ["processed", "received"]
    assert Lot.objects.count() == 2


def test_what_is_not_ordinary_is_recorded_and_stops_no_other(
    purchase: Purchase, wallet: Wallet, other: Wallet, sell: Sell
) -> None:
    unknown = Purchase(reference="unknown", amount_minor=1)
    indebted = sell("indebted", other)
    Wallet.objects.filter(pk=other.pk).update(debt=1)
    wrong = _delivery(sell("wrong", wallet), amount=7999)
    outcomes = are_settled(wrong, _delivery(unknown), _delivery(purchase), _delivery(indebted))
    assert outcomes == [False, False, True, False]
    assert WebhookEvent.objects.filter(status="received").count() == 3
    assert not LedgerEntry.objects.filter(wallet=other).exists()


@pytest.mark.parametrize("change", [{"amount": 7999}, {"currency": "NGN"}, {"domain": "live"}])
def test_other_payment_than_agreed_is_only_recorded(purchase: Purchase, change: dict[str, object]) -> None:
    assert are_settled(_delivery(purchase, **change)) == [False]
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize(
    "state",
    [
        {"debt": 1},
        {"held": 1, "overdue": 1},
        {"next_expiry_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"balance": MAX_MICRO - 1},
        {"unallocated": 1},  # of credits that last longer than those that come
    ],
)
def test_unusual_wallet_is_not_credited(purchase: Purchase, wallet: Wallet, state: dict[str, object]) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    Wallet.objects.filter(pk=wallet.pk).update(**state)
    assert are_settled(_delivery(purchase)) == [False]
    assert not LedgerEntry.objects.exclude(kind="grant").exists()


def test_one_that_the_database_refuses_harms_no_other(purchase: Purchase, other: Wallet, sell: Sell) -> None:
    unfit = _delivery(sell("unfit", other), event="x" * 100)
    calls = carried_out(unfit, _delivery(purchase))
    assert [call.error is not None for call in calls] == [True, False]
    assert [event.status for event in WebhookEvent.objects.all()] == ["processed"]


def test_nothing_waits_for_a_wallet_that_another_transaction_holds(
    purchase: Purchase, other: Wallet, sell: Sell
) -> None:
    free = sell("free", other)
    with transaction.atomic():
        Wallet.objects.select_for_update(no_key=True).get(pk=purchase.wallet_id)
        (outcomes,) = at_once(lambda: are_settled(_delivery(purchase), _delivery(free)))
    assert outcomes == [False, True]


def test_crowd_of_webhooks_is_credited_once_each(purchase: Purchase, wallet: Wallet, sell: Sell) -> None:
    bodies = [charge_success(sell(f"of-a-crowd-{number}", wallet)) for number in range(6)] * 2
    calls = [lambda body=body: AIBillingService.receive_webhook(body, sign(body)) for body in bodies]
    assert [event.outcome for event in at_once(*calls)] == ["completed"] * len(bodies)
    wallet.refresh_from_db()
    assert (wallet.balance, WebhookEvent.objects.filter(status="processed").count()) == (600_000_000, len(bodies))
    assert_laws(wallet)
