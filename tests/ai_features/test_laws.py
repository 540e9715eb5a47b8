"""Laws 3 to 5 against raw SQL, the way a careless script or an attacker would try."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from ai_features.billing import AIBillingService
from ai_features.models import Wallet, WebhookEvent, triggers


@pytest.fixture
def rows(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 10, reason="trial")
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
        "DELETE FROM ai_features_ledgerentry",
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


def test_triggers_come_back_after_migrate(rows: Wallet) -> None:
    with connection.cursor() as cursor:
        for statement in triggers.drop_statements(connection.vendor):
            cursor.execute(statement)
    call_command("migrate", verbosity=0)
    with pytest.raises(DatabaseError, match="append-only"):
        attack("DELETE FROM ai_features_ledgerentry")
