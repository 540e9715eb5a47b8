"""Laws 3 to 5 against raw SQL, the way a careless script or an attacker would try."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from ai_features.billing import AIBillingService
from ai_features.models import FeaturePrice, IdempotencyKey, Wallet, WebhookEvent, triggers


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


def test_triggers_come_back_after_migrate(rows: Wallet) -> None:
    with connection.cursor() as cursor:
        for statement in triggers.drop_statements(connection.vendor):
            cursor.execute(statement)
    call_command("migrate", verbosity=0)
    with pytest.raises(DatabaseError, match="append-only"):
        attack("DELETE FROM ai_features_ledgerentry")
