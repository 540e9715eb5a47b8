from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.settlement import balance_after, settle
from ai_features.exceptions import PurchaseNotFound
from ai_features.models import EntryKind, LedgerEntry, Lot, Purchase, PurchaseStatus, SettledBy, Wallet
from ai_features.signals import payment_needs_review, purchase_completed, purchase_failed
from tests.laws import assert_laws
from tests.paystack_facts import facts

WEBHOOK = SettledBy.WEBHOOK


def test_payment_becomes_credits_and_bonus(purchase: Purchase, wallet: Wallet) -> None:
    settled = settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
    assert settled.status == "completed"
    assert AIBillingService.balance(wallet).balance == Decimal(100)
    assert list(wallet.entries.values_list("kind", "amount", "balance_after")) == [
        ("bonus", 20_000_000, 100_000_000),
        ("purchase", 80_000_000, 80_000_000),
    ]


def test_lots_expire_after_180_days(purchase: Purchase, wallet: Wallet) -> None:
    settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
    lots = list(wallet.lots.order_by("id"))
    assert [(lot.source, lot.remaining) for lot in lots] == [("purchased", 80_000_000), ("bonus", 20_000_000)]
    in_180_days = timezone.now() + timedelta(days=180)
    assert all(abs(lot.expires_at - in_180_days) < timedelta(minutes=1) for lot in lots)
    wallet.refresh_from_db()
    assert wallet.next_expiry_at == lots[0].expires_at


def test_credits_never_expire_where_the_host_says_so(purchase: Purchase, wallet: Wallet, settings) -> None:
    settings.AI_CREDITS = {"CREDITS_EXPIRE_DAYS": None}
    settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
    assert set(wallet.lots.values_list("expires_at", flat=True)) == {None}


def test_settling_again_changes_nothing(purchase: Purchase, wallet: Wallet) -> None:
    for settled_by in (WEBHOOK, SettledBy.RETURN, SettledBy.RECONCILE):
        settled = settle(purchase.reference, facts(purchase), settled_by=settled_by)
    assert_laws(wallet)
    assert (wallet.balance, settled.settled_by) == (100_000_000, "webhook")
    assert LedgerEntry.objects.count() == 2


def test_balance_after_is_the_same_after_later_credits(purchase: Purchase, wallet: Wallet) -> None:
    settled = settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
    AIBillingService.grant(wallet, 7, reason="trial")
    assert_laws(wallet)
    assert balance_after(settled) == 100_000_000


def test_purchase_keeps_what_paystack_said(purchase: Purchase) -> None:
    settled = settle(purchase.reference, facts(purchase, channel="mobile_money"), settled_by=WEBHOOK)
    assert (int(settled.paystack_id), settled.paid_amount_minor, settled.fees_minor) == (4099260516, 8000, 156)
    assert (settled.channel, settled.gateway_response) == ("mobile_money", "Successful")
    assert settled.paid_at.isoformat() == "2026-08-22T09:15:02+00:00"


def test_largest_id_of_paystack_fits(purchase: Purchase) -> None:
    settled = settle(purchase.reference, facts(purchase, id=2**64 - 1), settled_by=WEBHOOK)
    assert Purchase.objects.get(pk=settled.pk).paystack_id == "18446744073709551615"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": 50, "requested_amount": 50}, "Paid 50, sold for 8000"),
        ({"amount": 8001, "requested_amount": 8001}, "Paid 8001, sold for 8000"),
        ({"amount": 5000, "requested_amount": 8000}, "Paid 5000, sold for 8000"),
        ({"currency": "NGN"}, "Paid in NGN, sold in GHS"),
        ({"domain": "live"}, "Paid in live mode, sold in test mode"),
        ({"status": "reversed"}, "the money went back"),
        ({"status": "reversal-pending"}, "the money went back"),
    ],
)
def test_other_payment_than_agreed_goes_to_review(purchase: Purchase, wallet: Wallet, changes, reason) -> None:
    settled = settle(purchase.reference, facts(purchase, **changes), settled_by=WEBHOOK)
    wallet.refresh_from_db()
    assert (settled.status, wallet.balance) == ("review", 0)
    assert reason in settled.status_reason


def test_fee_on_top_of_the_price_is_agreed(purchase: Purchase) -> None:
    with_fee = facts(purchase, amount=8160, requested_amount=8000)
    assert settle(purchase.reference, with_fee, settled_by=WEBHOOK).status == "completed"


def test_facts_of_another_reference_credit_nobody(purchase: Purchase) -> None:
    assert settle(purchase.reference, facts(purchase, reference="OTHER"), settled_by=WEBHOOK).status == "review"


def test_review_is_not_settled_by_a_later_success(purchase: Purchase, wallet: Wallet) -> None:
    settle(purchase.reference, facts(purchase, amount=50, requested_amount=50), settled_by=WEBHOOK)
    assert settle(purchase.reference, facts(purchase), settled_by=WEBHOOK).status == "review"
    wallet.refresh_from_db()
    assert wallet.balance == 0


@pytest.mark.parametrize("word", ["abandoned", "ongoing", "pending", "processing", "queued", "brand-new-word"])
def test_undecided_words_leave_it_pending(purchase: Purchase, word: str) -> None:
    assert settle(purchase.reference, facts(purchase, status=word), settled_by=WEBHOOK).status == "pending"


def test_failure_keeps_the_gateways_words(purchase: Purchase) -> None:
    failed = settle(
        purchase.reference, facts(purchase, status="failed", gateway_response="Incorrect PIN"), settled_by=WEBHOOK
    )
    assert (failed.status, failed.status_reason) == ("failed", "Incorrect PIN")


@pytest.mark.parametrize("status", [PurchaseStatus.FAILED, PurchaseStatus.ABANDONED])
def test_late_success_is_settled(purchase: Purchase, wallet: Wallet, status: PurchaseStatus) -> None:
    Purchase.objects.update(status=status)
    assert settle(purchase.reference, facts(purchase), settled_by=WEBHOOK).status == "completed"
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000


def test_late_failure_changes_nothing(purchase: Purchase) -> None:
    settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
    assert settle(purchase.reference, facts(purchase, status="failed"), settled_by=WEBHOOK).status == "completed"


def test_purchase_is_abandoned_after_the_deadline(purchase: Purchase) -> None:
    Purchase.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert settle(purchase.reference, facts(purchase, status="abandoned"), settled_by=WEBHOOK).status == "abandoned"


def test_unknown_to_paystack_is_pending_until_the_deadline(purchase: Purchase) -> None:
    assert settle(purchase.reference, None, settled_by=WEBHOOK).status == "pending"
    Purchase.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert settle(purchase.reference, None, settled_by=WEBHOOK).status == "abandoned"


def test_unknown_reference_is_refused(db: None) -> None:
    with pytest.raises(PurchaseNotFound):
        settle("NOBODY", facts(reference="NOBODY"), settled_by=WEBHOOK)


def test_database_forbids_a_second_purchase_entry(purchase: Purchase, wallet: Wallet) -> None:
    settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
    for kind in (EntryKind.PURCHASE, EntryKind.BONUS):
        with pytest.raises(IntegrityError), transaction.atomic():
            LedgerEntry.objects.create(wallet=wallet, kind=kind, amount=1, balance_after=1, purchase=purchase)


def test_failure_in_mid_settlement_leaves_nothing_behind(purchase: Purchase, wallet: Wallet) -> None:
    # The second lot of the same purchase and source breaks the unique constraint after the first half is written.
    Lot.objects.create(wallet=wallet, source="bonus", amount=1, remaining=1, purchase=purchase)
    with pytest.raises(IntegrityError):
        settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
    purchase.refresh_from_db()
    wallet.refresh_from_db()
    assert (purchase.status, wallet.balance, LedgerEntry.objects.count()) == ("pending", 0, 0)


@pytest.mark.parametrize(
    ("signal", "changes"),
    [
        (purchase_completed, {}),
        (purchase_failed, {"status": "failed"}),
        (payment_needs_review, {"currency": "NGN"}),
    ],
)
def test_signal_is_sent_once_after_the_commit(
    purchase: Purchase, signal, changes, django_capture_on_commit_callbacks
) -> None:
    heard: list[str] = []

    def hear(purchase: Purchase, **_: object) -> None:
        heard.append(purchase.reference)
        raise RuntimeError("a receiver cannot undo a payment")

    signal.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            for _ in range(2):
                settle(purchase.reference, facts(purchase, **changes), settled_by=WEBHOOK)
            assert heard == []
    finally:
        signal.disconnect(hear)
    assert heard == [purchase.reference]


def test_settling_needs_few_queries(purchase: Purchase, django_assert_max_num_queries) -> None:
    # Lock and read twice (SQLite locks by a write of its own), lots, entries, wallet, purchase, two savepoints.
    with django_assert_max_num_queries(12):
        settle(purchase.reference, facts(purchase), settled_by=WEBHOOK)
