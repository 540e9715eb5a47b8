from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.reconcile import pace
from ai_features.models import Purchase
from paystack_sandbox import PaystackSandbox

CARD = {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}

Buy = Callable[..., Purchase]


@pytest.fixture(autouse=True)
def _fresh_minute() -> None:
    pace.forget()


@pytest.fixture
def buy(buyer: User, sandbox: PaystackSandbox) -> Buy:
    """A purchase of the Value pack, paid unless told otherwise; nobody tells us, and it is due to be asked about."""

    def buy(*, paid: bool = True, age: timedelta = timedelta(minutes=1), **order: object) -> Purchase:
        purchase = AIBillingService.purchase_credits(buyer, "value", **order)
        if paid:
            sandbox.pay(purchase.reference, channel="card", card=CARD)
        created_at = purchase.created_at - age
        Purchase.objects.filter(pk=purchase.pk).update(created_at=created_at, next_check_at=timezone.now())
        purchase.refresh_from_db()
        return purchase

    return buy
