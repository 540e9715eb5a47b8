from typing import Any

import pytest
from django.core import mail
from django.core.mail import get_connection
from django.utils import translation
from django_tasks import default_task_backend

from ai_features.billing import receipts, settlement
from ai_features.models import Purchase, SettledBy, Wallet
from tests.ai_features.api.test_webhook import deliver
from tests.paystack_facts import charge_success, facts
from tests.queues import send_what_is_queued


@pytest.fixture(autouse=True)
def _wanted(settings: Any) -> None:
    settings.AI_CREDITS = {"RECEIPT_EMAILS": True, "MERCHANT_NAME": "Sankofa", "SUPPORT_EMAIL": "help@example.com"}
    default_task_backend.clear()


@pytest.mark.parametrize("by", ["webhook", "return"])
def test_completed_purchase_brings_one_receipt(
    purchase: Purchase, by: str, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            if by == "webhook":
                deliver(charge_success(purchase))
            else:
                settlement.settle(purchase.reference, facts(purchase), settled_by=SettledBy.RETURN)
    assert mail.outbox == []  # a task's work, not the request's
    send_what_is_queued()
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ama@example.com"], f"Sankofa: receipt {purchase.reference}")


def test_receipt_says_what_was_bought_in_both_forms(purchase: Purchase) -> None:
    line = {"name": "VAT & more", "rate": "0.15", "amount_minor": 1200}
    Purchase.objects.update(status="completed", completed_at=purchase.created_at, channel="card", tax_lines=[line])
    receipts.send_receipt.call(purchase.reference)
    (sent,) = mail.outbox
    page, form = sent.alternatives[0]
    assert form == "text/html"
    for words in (
        "100 credits are in your wallet",
        "Value pack",
        "80 + 20 bonus",
        "GHS 80.00",
        "Card",
        "help@example.com",
    ):
        assert words in sent.body
        assert words in page
    assert "VAT & more 15%: GHS 12.00" in sent.body
    assert "VAT &amp; more 15%" in page


@pytest.mark.parametrize(("field", "value"), [("amount", 1), ("status", "failed")])
def test_nothing_credited_is_no_receipt(
    purchase: Purchase, field: str, value: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        settlement.settle(purchase.reference, facts(purchase, **{field: value}), settled_by=SettledBy.WEBHOOK)
    assert default_task_backend.results == []


def test_receipts_are_off_unless_wanted(
    purchase: Purchase, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.AI_CREDITS = {}
    with django_capture_on_commit_callbacks(execute=True):
        deliver(charge_success(purchase))
    assert default_task_backend.results == []


def test_broken_queue_costs_no_credits(
    purchase: Purchase, wallet: Wallet, settings: Any, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.queues.QueueIsAway"}}
    with django_capture_on_commit_callbacks(execute=True):
        assert deliver(charge_success(purchase)).json()["outcome"] == "completed"
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000
    assert "could not be queued" in caplog.text


def test_dead_mail_server_costs_no_credits(
    purchase: Purchase, wallet: Wallet, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    with pytest.raises(OSError, match="refused"):
        get_connection().open()
    with django_capture_on_commit_callbacks(execute=True):
        assert deliver(charge_success(purchase)).json()["outcome"] == "completed"
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000


def test_receipt_is_in_the_language_in_force(purchase: Purchase) -> None:
    Purchase.objects.update(status="completed", completed_at=purchase.created_at)
    with translation.override("fr"):
        receipts.send_receipt.call(purchase.reference)
    assert '<html lang="fr">' in mail.outbox[0].alternatives[0][0]
