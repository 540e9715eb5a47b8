import pytest
from django.core.management import CommandError, call_command

from ai_features.billing import webhooks
from ai_features.models import Purchase, Wallet, WebhookEvent
from tests.paystack_facts import charge_success


@pytest.fixture
def unfinished(purchase: Purchase) -> WebhookEvent:
    """Recorded, and then the process was killed."""
    event = WebhookEvent.of(charge_success(purchase))
    event.event = "charge.success"
    event.save()
    return event


def test_replay_finishes_what_was_cut_off(unfinished: WebhookEvent, wallet: Wallet, capsys) -> None:
    call_command("replay_webhooks")
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000
    assert "completed" in capsys.readouterr().out
    call_command("replay_webhooks")
    assert capsys.readouterr().out == ""


def test_dry_run_changes_nothing(unfinished: WebhookEvent, wallet: Wallet) -> None:
    call_command("replay_webhooks", dry_run=True)
    wallet.refresh_from_db()
    assert wallet.balance == 0


def test_replay_that_fails_says_so(unfinished: WebhookEvent, monkeypatch) -> None:
    monkeypatch.setattr(webhooks, "settle", lambda *_, **__: 1 / 0)
    with pytest.raises(CommandError, match="1 failed"):
        call_command("replay_webhooks", unfinished.pk)
