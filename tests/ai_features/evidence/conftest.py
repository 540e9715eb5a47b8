from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from ai_features.billing import AIBillingService
from ai_features.billing.sealing import seal_entries
from ai_features.billing.settlement import settle
from ai_features.models import LedgerEntry, Purchase, Wallet, triggers
from tests.paystack_facts import facts

Rewrite = Callable[..., None]


@pytest.fixture
def sealed(purchase: Purchase, other_buyer) -> Wallet:
    """Two wallets with eight entries between them in three seals, and two entries more that are not sealed."""
    settle(purchase.reference, facts(purchase), settled_by="webhook")
    AIBillingService.grant(other_buyer, 10, reason="trial")
    for number in range(5):
        AIBillingService.spend((purchase.wallet, other_buyer)[number % 2], 1, feature="chat", metadata={"n": number})
    seal_entries(at_a_time=3)
    for owner in (purchase.wallet, other_buyer):
        AIBillingService.spend(owner, 2)
    return purchase.wallet


@pytest.fixture
def entry_ids(sealed: Wallet) -> list[int]:
    return list(LedgerEntry.objects.order_by("id").values_list("id", flat=True))


@pytest.fixture
def rewrite() -> Rewrite:
    """As somebody would who has the database's password: the triggers are off meanwhile."""

    def rewrite(*statements: str) -> None:
        off, on = triggers.drop_statements(connection.vendor), triggers.create_statements(connection.vendor)
        with connection.cursor() as cursor:
            for statement in (*off, *statements, *on):
                cursor.execute(statement)

    return rewrite


@pytest.fixture
def exported(tmp_path: Path) -> Callable[[], Path]:
    def export() -> Path:
        file = tmp_path / "ledger.jsonl.gz"
        call_command("export_ledger", str(file), stdout=StringIO())
        return file

    return export
