"""Laws 3 to 5 against raw SQL, the way a careless script or an attacker would try."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from ai_features.billing import AIBillingService, ledger, refund_moves
from ai_features.billing.settlement import settle
from ai_features.models import (
    Dispute,
    FeaturePrice,
    IdempotencyKey,
    LedgerEntry,
    Purchase,
    Refund,
    ReviewItem,
    Wallet,
    WebhookEvent,
    triggers,
)
from tests.paystack_facts import facts


@pytest.fixture
def rows(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 10, reason="trial", idempotency_key="k")
    AIBillingService.spend(wallet, 1, metadata={"prompt": "private"})
    AIBillingService.reserve(wallet, 1)
    AIBillingService.set_cap(wallet, "feature", "chat", "day", 5)
    WebhookEvent.of(b'{"event":"charge.success"}').save()
    return wallet


def attack(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ai_features_ledgerentry SET amount = 1",
        "UPDATE ai_features_ledgerentry SET reason = 'x'",
        "UPDATE ai_features_ledgerentry SET wallet_id = wallet_id",
        "UPDATE ai_features_ledgerentry SET refund_id = NULL",
        "UPDATE ai_features_ledgerentry SET dispute_id = NULL",
        "UPDATE ai_features_ledgerentry SET metadata = '{}'",
        "UPDATE ai_features_ledgerentry SET metadata = NULL, amount = 1",
        "DELETE FROM ai_features_ledgerentry",
        "UPDATE ai_features_idempotencykey SET answer = '{}'",
        "DELETE FROM ai_features_idempotencykey",
        "UPDATE ai_features_webhookevent SET body = ''",
        "UPDATE ai_features_webhookevent SET body_sha256 = ''",
        "DELETE FROM ai_features_webhookevent",
    ],
)
def test_append_only_rows_refuse(rows: Wallet, sql: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        attack(sql)


def test_webhook_event_may_change_what_became_of_it(rows: Wallet) -> None:
    assert WebhookEvent.objects.update(status="processed", attempts=1) == 1


@pytest.mark.parametrize(
    "change",
    [
        "balance = -1",
        "balance = 9200000000000000000",
        "held = -1",
        "held = balance + 1",
        "debt = -1",
        "unallocated = -1",
        "overdue = -1",
        "overdue = held + 1",
        "debt = 9200000000000000000",
        "user_id = NULL",
        "team = 'both'",
    ],
)
def test_wallet_refuses(rows: Wallet, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_wallet SET {change}")


@pytest.mark.parametrize("change", ["remaining = -1", "remaining = amount + 1", "amount = 0"])
def test_lot_refuses(rows: Wallet, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_lot SET {change}")


def test_metadata_may_be_emptied_and_nothing_else(rows: Wallet) -> None:
    attack("UPDATE ai_features_ledgerentry SET metadata = NULL")
    assert not rows.entries.exclude(metadata=None).exists()


@pytest.mark.parametrize("change", ["credits = -1", "captured = -1", "overdue = -1", "overdue = credits + 1"])
def test_reservation_refuses(rows: Wallet, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_reservation SET {change}")


@pytest.mark.parametrize("column", ["used", '"limit"'])
def test_cap_refuses_less_than_nothing(rows: Wallet, column: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_spendingcap SET {column} = -1")


def test_feature_price_must_cost_something(db: None) -> None:
    with pytest.raises(DatabaseError):
        FeaturePrice.objects.create(code="free")


def test_key_is_used_once_in_a_wallet(rows: Wallet) -> None:
    with pytest.raises(DatabaseError):
        IdempotencyKey.objects.create(wallet=rows, key="k", request={}, answer={})


@pytest.fixture
def money_back(rows: Wallet, purchase: Purchase) -> Refund:
    """A refund that took credits, a dispute that froze some, and a payment in review."""
    bought = settle(purchase.reference, facts(purchase), settled_by="webhook")
    dispute = Dispute.objects.create(purchase=bought, paystack_id="1", opened_at=timezone.now(), amount_minor=1)
    with ledger.open_account(rows.pk) as account:
        ledger.freeze(account, dispute)
    ReviewItem.objects.create(kind="second_payment", reference=bought.reference)
    locked = ledger.lock_purchase(bought.reference)
    return refund_moves.begin(locked.reference, locked, 4000, currency="GHS", paystack_id="7", key="k")


@pytest.mark.parametrize(
    "change",
    [
        "amount_minor = 0",
        "paystack_id = ''",
        "credits = credits + 1",
        "credits_taken = -1, credits = -1",
        "credits_owed = -1, credits = credits - 1",
        "taken_at = NULL",
        "status = 'processed'",
        "ended_at = asked_at",
    ],
)
def test_refund_refuses(money_back: Refund, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_refund SET {change}")


@pytest.mark.parametrize("change", ["paystack_id = '7'", "idempotency_key = 'k'"])
def test_refund_is_recorded_once(money_back: Refund, change: str) -> None:
    refund_moves.begin(money_back.reference, money_back.purchase, 100, currency="GHS", paystack_id="8", key="j")
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_refund SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        "paystack_id = ''",
        "credits_frozen = -1",
        "amount_minor = -1",
        "status = 'won'",
        "status = 'won', ended_at = opened_at",
        "ended_at = opened_at",
    ],
)
def test_dispute_refuses(money_back: Refund, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_dispute SET {change}")


@pytest.mark.parametrize("change", ["status = 'accepted'", "status = 'accepted', decided_at = opened_at, note = 'x'"])
def test_decision_says_who_and_why(money_back: Refund, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_reviewitem SET {change}")


@pytest.mark.parametrize("change", ["frozen = -1", "frozen = amount - remaining + 1"])
def test_lot_freezes_no_more_than_it_had(money_back: Refund, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_lot SET {change}")


@pytest.mark.parametrize(
    "change", ["refunded_minor = -1", "status = 'refunded'", "status = 'partially_refunded', refunded_minor = 0"]
)
def test_refunded_purchase_says_how_much(money_back: Refund, change: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"UPDATE ai_features_purchase SET {change}")


@pytest.mark.parametrize(
    ("kind", "amount", "refund", "dispute", "lot"),
    [
        ("refund", -1, None, None, True),
        ("refund", 1, True, None, None),
        ("refund", -1, True, None, True),
        ("refund_failed", -1, True, None, None),
        ("spend", -1, True, None, None),
        ("dispute", -1, None, None, True),
        ("dispute", 1, None, True, True),
        ("dispute", -1, None, True, None),
        ("dispute_release", -1, None, True, True),
        ("spend", -1, None, True, True),
    ],
)
def test_entry_of_a_take_back_is_whole_and_single(
    money_back: Refund, kind: str, amount: int, refund: object, dispute: object, lot: object
) -> None:
    taken = money_back.entries.filter(lot__isnull=False).first()
    about = {
        "refund": money_back if refund else None,
        "dispute": Dispute.objects.get() if dispute else None,
        "lot": taken.lot if lot else None,
    }
    with pytest.raises(DatabaseError):
        LedgerEntry.objects.create(wallet=taken.wallet, kind=kind, amount=amount, balance_after=0, **about)


def test_triggers_come_back_after_migrate(rows: Wallet) -> None:
    with connection.cursor() as cursor:
        for statement in triggers.drop_statements(connection.vendor):
            cursor.execute(statement)
    call_command("migrate", verbosity=0)
    with pytest.raises(DatabaseError, match="append-only"):
        attack("DELETE FROM ai_features_ledgerentry")
