"""What hangs on a payment – signals, mails, log lines – whatever goes wrong with it, the payment does not notice."""

import ast
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.dispatch import Signal
from django_tasks import default_task_backend

from ai_features import billing, signals
from ai_features.billing import AIBillingService, settlement
from ai_features.models import Dispute, Purchase, SettledBy, WebhookEvent
from paystack_sandbox import PaystackSandbox
from tests.money_back import buy, credits_of, deliver, raise_dispute, resolve_dispute
from tests.paystack_facts import facts
from tests.queues import send_what_is_queued

# Lines that are about no payment.
ABOUT_NO_PAYMENT = {"reconciliation could not be queued", "ledger not sealed: %s", "ledger sealed: %s entries, head %s"}


def purchase_to_loss(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    """Bought, disputed, and lost, each told by its webhook."""
    purchase = buy(buyer, sandbox)
    dispute = raise_dispute(sandbox, purchase)
    deliver("charge.dispute.create", dispute)
    resolve_dispute(sandbox, dispute, "merchant-accepted")
    ended = {"status": "resolved", "resolution": "merchant-accepted"}
    deliver("charge.dispute.resolve", dispute | ended)
    return purchase


@pytest.fixture
def mails(settings: Any) -> None:
    settings.AI_CREDITS = {"RECEIPT_EMAILS": True, "STAFF_EMAILS": ["staff@example.com"]}
    default_task_backend.clear()


def test_mails_of_a_whole_story(
    buyer: User, sandbox: PaystackSandbox, mails: None, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        purchase = purchase_to_loss(buyer, sandbox)
    send_what_is_queued()
    assert [(sent.to, purchase.reference in sent.subject) for sent in mail.outbox] == [
        (["ama@example.com"], True),
        (["staff@example.com"], True),
    ]
    assert "answer by" in mail.outbox[1].subject


def test_queue_of_mails_that_fails_costs_no_payment(
    buyer: User, sandbox: PaystackSandbox, mails: None, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.queues.QueueIsAway"}}
    with django_capture_on_commit_callbacks(execute=True):
        purchase_to_loss(buyer, sandbox)
    assert (Dispute.objects.get().status, credits_of(buyer)) == ("lost", (0, 0))
    assert not WebhookEvent.objects.filter(status="failed").exists()


def test_without_settings_nobody_gets_mail(
    buyer: User, sandbox: PaystackSandbox, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.AI_CREDITS = {}
    default_task_backend.clear()
    with django_capture_on_commit_callbacks(execute=True):
        purchase_to_loss(buyer, sandbox)
    assert not [result for result in default_task_backend.results if "send" in result.task.name]


@pytest.mark.parametrize(
    ("signal", "status"),
    [
        (signals.purchase_completed, "success"),
        (signals.purchase_failed, "failed"),
        (signals.purchase_abandoned, "abandoned"),
        (signals.payment_needs_review, "reversed"),
    ],
)
def test_signal_is_sent_once_and_past_a_receiver_that_raises(
    purchase: Purchase, signal: Signal, status: str, django_capture_on_commit_callbacks: Any
) -> None:
    if status == "abandoned":
        Purchase.objects.update(created_at=purchase.created_at - timedelta(hours=25))
    heard: list[Purchase] = []

    def raises(**_: Any) -> None:
        raise ValueError

    def hears(purchase: Purchase, **_: Any) -> None:
        heard.append(purchase)

    signal.connect(raises)
    signal.connect(hears)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            for _ in range(2):
                settlement.settle(purchase.reference, facts(purchase, status=status), settled_by=SettledBy.RETURN)
    finally:
        signal.disconnect(raises)
        signal.disconnect(hears)
    assert heard == [purchase]


def log_calls() -> list[tuple[str, ast.Call]]:
    folder = Path(billing.__path__[0])
    trees = [(path, ast.parse(path.read_text())) for path in sorted(folder.rglob("*.py"))]
    return [
        (f"{path.name}:{node.lineno}", node)
        for path, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.")
    ]


def test_every_log_line_of_a_payment_has_its_reference_as_a_field() -> None:
    calls = [(where, call) for where, call in log_calls() if ast.literal_eval(call.args[0]) not in ABOUT_NO_PAYMENT]
    assert len(calls) >= 9
    assert [where for where, call in calls if not any(keyword.arg == "extra" for keyword in call.keywords)] == []


def test_log_of_a_whole_story_names_no_person(
    buyer: User, sandbox: PaystackSandbox, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    caplog.set_level(logging.DEBUG, "ai_features")
    with django_capture_on_commit_callbacks(execute=True):
        purchase = purchase_to_loss(buyer, sandbox)
    of_billing = [record for record in caplog.records if record.name.startswith("ai_features.billing")]
    assert {record.__dict__["reference"] for record in of_billing} == {purchase.reference}
    for private in (buyer.email, "4084", "4081", "AUTH_", sandbox.secret_key):
        assert private not in caplog.text
    assert AIBillingService.balance(buyer).balance == 0
