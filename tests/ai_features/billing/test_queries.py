"""How many statements each operation sends. On PostgreSQL one statement is one round trip."""

from collections.abc import Callable
from copy import copy
from typing import Any

import pytest
from django.db import connection

from ai_features.billing import AIBillingService, settlement
from ai_features.models import FeaturePrice, Purchase, Wallet
from tests.paystack_facts import charge_success, sign

pytestmark = pytest.mark.django_db

ON_POSTGRESQL = connection.vendor == "postgresql"


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 100, reason="trial")
    FeaturePrice.objects.create(code="chat", per_call=1_000_000)
    return wallet


# What is sent, by operation: on PostgreSQL, on SQLite.
STATEMENTS: dict[str, tuple[int, int, Callable[[Wallet], object]]] = {
    "spend": (1, 2, lambda w: AIBillingService.spend(w, 1)),
    "spend with a key": (1, 4, lambda w: AIBillingService.spend(w, 1, idempotency_key="k")),
    "spend by a feature's price": (2, 3, lambda w: AIBillingService.spend(w, feature="chat")),
    "spend of a user": (2, 3, lambda w: AIBillingService.spend(w.user, 1)),
    "256 spends": (1, 257, lambda w: AIBillingService.spend_many(w, [{"credits": "0.1"}] * 256)),
    "balance": (1, 1, AIBillingService.balance),
}


@pytest.mark.parametrize("operation", STATEMENTS)
def test_operation_sends_no_more_than_this(
    rich: Wallet, operation: str, django_assert_num_queries: Callable[[int], Any]
) -> None:
    on_postgresql, on_sqlite, call = STATEMENTS[operation]
    with django_assert_num_queries(on_postgresql if ON_POSTGRESQL else on_sqlite):
        call(rich)


def test_reserve_capture_and_release_are_a_round_trip_each(
    rich: Wallet, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_max_num_queries(1 if ON_POSTGRESQL else 4):
        reservation = AIBillingService.reserve(rich, 10)
    with django_assert_max_num_queries(1 if ON_POSTGRESQL else 8):
        reservation.capture(5)
    other = AIBillingService.reserve(rich, 10)
    with django_assert_max_num_queries(1 if ON_POSTGRESQL else 6):
        other.release()


def test_lease_sends_nothing_until_it_writes(rich: Wallet, django_assert_max_num_queries: Callable[[int], Any]) -> None:
    with AIBillingService.lease(rich, 50) as lease:
        with django_assert_max_num_queries(0):
            for _ in range(100):
                lease.spend("0.1")
        with django_assert_max_num_queries(1 if ON_POSTGRESQL else 10):
            lease.close()


def test_webhook_of_a_payment_is_one_round_trip(
    purchase: Purchase, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    body = charge_success(purchase)
    with django_assert_max_num_queries(1 if ON_POSTGRESQL else 14):
        AIBillingService.receive_webhook(body, sign(body))
    assert settlement.balance_after(purchase) == 100_000_000


@pytest.mark.parametrize("lots", [3, 300])
def test_cost_does_not_grow_with_lots(
    wallet: Wallet, lots: int, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    for _ in range(lots):
        AIBillingService.grant(wallet, 1, reason="many")
    with django_assert_max_num_queries(2):
        AIBillingService.spend(wallet, 2)
    with django_assert_max_num_queries(9):
        AIBillingService.grant(wallet, 1, reason="one more")


def test_payment_that_paystack_names_by_number_is_looked_up_and_not_searched_for(purchase: Purchase) -> None:
    # Enough of them, and counted, that no other way is as short.
    others = [copy(purchase) for _ in range(1000)]
    for number, other in enumerate(others):
        other.pk, other.reference, other.paystack_id = None, f"AI-CREDIT-1-{number}", f"{number}"
    Purchase.objects.bulk_create(others)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ai_features_purchase")
    assert "ai_purchase_paystack_id" in Purchase.objects.filter(paystack_id="4099260516").explain()
    assert "ai_purchase_paystack_id" in Purchase.objects.filter(paystack_id__in=["4099260516", "7"]).explain()
