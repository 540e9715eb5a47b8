"""A database's refusal quotes the row that it refuses; logs and stored errors must not."""

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from ai_features.billing import webhooks
from ai_features.billing.reconcile.stumbles import Stumbles
from ai_features.discretion import WithoutValues, without_values
from ai_features.models import Purchase, Wallet, WebhookEvent
from tests.ai_features.api.test_webhook import deliver
from tests.paystack_facts import charge_success

EMAIL = "ama@example.com"


@pytest.fixture
def refusing(transactional_db: None, purchase: Purchase) -> Iterator[Purchase]:
    """A purchase that the database does not let become completed, for the sake of one with the same address."""
    other = Purchase.objects.get(pk=purchase.pk)
    other.pk, other.reference, other.status, other.completed_at = None, "other", "completed", timezone.now()
    other.save()
    with connection.cursor() as cursor:
        cursor.execute("CREATE UNIQUE INDEX planted ON ai_features_purchase (email) WHERE status = 'completed'")
    yield purchase
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX planted")


def complete(purchase: Purchase) -> None:
    Purchase.objects.filter(pk=purchase.pk).update(status="completed", completed_at=timezone.now())


def lines(caplog: Any) -> str:
    return "\n".join(logging.Formatter("%(message)s").format(record) for record in caplog.records)


def refused(sql: str, *values: Any) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)
    return caught.value


def test_failed_webhook_tells_of_no_row(refusing: Purchase, caplog: Any) -> None:
    assert deliver(charge_success(refusing)).status_code == 200
    event = WebhookEvent.objects.get()
    assert event.status == "failed"
    assert event.error.startswith("IntegrityError: ")
    assert "unique" in event.error.lower()
    assert EMAIL not in event.error
    assert f"webhook event {event.pk}" in lines(caplog)
    assert "Traceback" in lines(caplog)
    assert EMAIL not in lines(caplog)


def test_reconciliation_stumbles_without_telling_of_the_row(refusing: Purchase, caplog: Any) -> None:
    stumbles = Stumbles()
    with stumbles.over(refusing.reference):
        complete(refusing)
    assert stumbles.found[refusing.reference].startswith("IntegrityError: ")
    assert EMAIL not in stumbles.found[refusing.reference] + lines(caplog)


def test_errors_logged_by_anybody_lose_their_values_in_the_filter(refusing: Purchase) -> None:
    try:
        complete(refusing)
    except IntegrityError as error:
        record = logging.LogRecord("django.request", logging.ERROR, __file__, 1, "bad %s", (error,), sys.exc_info())
    assert WithoutValues().filter(record)
    line = logging.Formatter().format(record)
    assert "constraint" in line
    assert EMAIL not in line


def test_row_that_breaks_a_law_is_not_quoted(wallet: Wallet) -> None:
    error = refused("UPDATE ai_features_wallet SET held = 4711, balance = 17 WHERE id = %s", wallet.pk)
    text = str(without_values(error))
    assert "constraint" in text.lower()
    assert "4711" not in text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite takes any value for any type")
def test_value_of_another_type_is_not_quoted(db: None) -> None:
    error = refused("SELECT CAST(%s AS integer)", EMAIL)
    assert str(without_values(error)) == 'invalid input syntax for type integer: "…"'
    assert EMAIL not in str(error.__cause__)


def test_other_errors_stay_as_they_are() -> None:
    error = ValueError("line\nline")
    error.__cause__ = error
    assert str(without_values(error)) == "line\nline"


def test_error_of_a_replay_is_told_again_without_values(refusing: Purchase) -> None:
    deliver(charge_success(refusing))
    assert EMAIL not in webhooks.process(WebhookEvent.objects.get()).error
