"""The audit and money that goes back: silent about what the engine does, and it finds what somebody else did."""

import pytest
from django.db import connection
from django.utils import timezone

from ai_features.billing import AIBillingService, ledger, refund_moves
from ai_features.billing.audit import audit
from ai_features.billing.settlement import settle
from ai_features.models import Dispute, Purchase, Refund, RefundStatus, SettledBy, Wallet, triggers
from tests.paystack_facts import facts


@pytest.fixture
def busy(purchase: Purchase) -> Wallet:
    """A part refunded, a part that failed, debt, and a dispute that has frozen what is left."""
    bought = settle(purchase.reference, facts(purchase), settled_by=SettledBy.WEBHOOK)
    AIBillingService.spend(bought.wallet, 30)
    for status in (RefundStatus.PROCESSED, RefundStatus.FAILED):
        locked = ledger.lock_purchase(bought.reference)
        refund = refund_moves.begin(locked.reference, locked, 2000, currency="GHS")
        refund_moves.move(refund, status)
    dispute = Dispute.objects.create(purchase=bought, paystack_id="1", opened_at=timezone.now())
    with ledger.open_account(bought.wallet_id) as account:
        ledger.freeze(account, dispute)
    return Wallet.objects.get(pk=bought.wallet_id)


def breaches() -> list[str]:
    return [str(breach) for breach in audit()]


def test_refunds_and_disputes_keep_every_law(busy: Wallet) -> None:
    assert Dispute.objects.get().credits_frozen
    assert breaches() == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE ai_features_refund SET credits_taken = credits_taken - 1, credits = credits - 1", "took"),
        ("UPDATE ai_features_refund SET status = 'processed' WHERE status = 'failed'", "its entries 0.0"),
        ("UPDATE ai_features_purchase SET refunded_minor = 2001", "says 2001 were refunded"),
        ("UPDATE ai_features_lot SET frozen = frozen - 1 WHERE frozen > 0", "are frozen, disputes"),
        ("UPDATE ai_features_dispute SET credits_frozen = 0", "are frozen, disputes 0.0"),
    ],
)
def test_refund_or_dispute_that_somebody_changed_is_found(busy: Wallet, change: str, found: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(change)
    assert any(found in line and f"wallet {busy.pk}" in line for line in breaches()), breaches()


def test_take_back_that_somebody_deleted_is_found(busy: Wallet) -> None:
    with connection.cursor() as cursor:
        for statement in triggers.drop_statements(connection.vendor):
            cursor.execute(statement)
        cursor.execute("DELETE FROM ai_features_ledgerentry WHERE kind = 'refund'")
    assert any("refund" in line and line.startswith("law 4") for line in breaches())
    assert Refund.objects.count() == 2
