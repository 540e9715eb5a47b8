"""A pooler in transaction mode gives each transaction another session: no cursor on the server may outlive one."""

from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.accounts import reports
from ai_features.models import AccountDay, Purchase, UsageMark, Wallet, WebhookEvent
from tests.paystack_facts import charge_success

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="no pooler stands before SQLite"),
]


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether a transaction was open, of each cursor on the server."""
    opened: list[bool] = []
    wrapper = type(connections[DEFAULT_DB_ALIAS])
    chunked_cursor = wrapper.chunked_cursor

    def noted(self: Any) -> Any:
        opened.append(self.in_atomic_block)
        return chunked_cursor(self)

    monkeypatch.setattr(wrapper, "chunked_cursor", noted)
    return opened


def test_accounts_read_in_a_transaction(wallet: Wallet, time_machine, opened: list[bool]) -> None:
    time_machine.move_to(timezone.now() - timedelta(days=3))
    AIBillingService.grant(wallet, 5, reason="trial")
    time_machine.shift(timedelta(days=3))
    call_command("accounts", stdout=StringIO())
    reports.write_items_csv(reports.items(date(2020, 1, 1), timezone.localdate()), StringIO())
    assert AccountDay.objects.exists()
    assert opened
    assert all(opened)


def test_usage_and_webhooks_are_read_without_a_cursor(wallet: Wallet, purchase: Purchase, opened: list[bool]) -> None:
    AIBillingService.grant(wallet, 5, reason="trial")
    WebhookEvent.of(charge_success(purchase)).save()
    call_command("roll_up_usage", stdout=StringIO())
    call_command("replay_webhooks", stdout=StringIO())
    assert UsageMark.objects.exists()
    assert WebhookEvent.objects.get().attempts == 1
    assert not opened
