import getpass

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from ai_features.billing import AIBillingService, webhooks
from ai_features.models import LedgerEntry, Purchase, Wallet, WebhookEvent
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


def test_event_that_was_done_meanwhile_is_not_done_again(unfinished: WebhookEvent, monkeypatch, capsys) -> None:
    other = WebhookEvent.of(b"{}")
    other.save()
    replay = AIBillingService.replay_webhook

    def while_somebody_does_the_other(event: WebhookEvent) -> WebhookEvent:
        WebhookEvent.objects.filter(pk=other.pk).update(status="processed")
        return replay(event)

    monkeypatch.setattr(AIBillingService, "replay_webhook", while_somebody_does_the_other)
    call_command("replay_webhooks")
    assert capsys.readouterr().out.splitlines() == [f"{unfinished.pk} charge.success processed completed"]


def test_dry_run_changes_nothing(unfinished: WebhookEvent, wallet: Wallet) -> None:
    call_command("replay_webhooks", dry_run=True)
    wallet.refresh_from_db()
    assert wallet.balance == 0


def test_replay_that_fails_says_so(unfinished: WebhookEvent, monkeypatch) -> None:
    monkeypatch.setattr(webhooks, "settle", lambda *_, **__: 1 / 0)
    with pytest.raises(CommandError, match="1 failed"):
        call_command("replay_webhooks", unfinished.pk)


# Who did it, and why


@pytest.fixture
def esi(db: None) -> User:
    return User.objects.create_user("esi", "esi@example.com", "esi", is_staff=True)


def history() -> list[tuple[str, str, str]]:
    return [(kept.user.get_username(), kept.object_repr, kept.change_message) for kept in LogEntry.objects.all()]


def test_replay_keeps_who_and_why(unfinished: WebhookEvent, esi: User, capsys) -> None:
    call_command("replay_webhooks", unfinished.pk, by="esi", reason="Ticket 4711")
    text = "Processed again: received → processed completed, on the command line: Ticket 4711"
    assert history() == [("esi", "charge.success", text)]


def test_price_set_by_command_keeps_who_why_and_the_price_before(esi: User, capsys) -> None:
    for price in ("0.5", "0.75", "0.75"):
        call_command("setup_ai_credits", feature=[f"chat={price}"], by="esi", reason="Dearer")
    assert [kept[2] for kept in reversed(history())] == [
        "per call 0.5, on the command line: Dearer",
        "per call 0.5 → 0.75, on the command line: Dearer",
    ]


def test_rehearsed_price_leaves_no_history(esi: User, capsys) -> None:
    call_command("setup_ai_credits", feature=["chat=0.5"], by="esi", dry_run=True)
    assert history() == []


def test_test_grant_keeps_who_granted(buyer: User, esi: User, capsys) -> None:
    call_command("setup_ai_credits", grant=["ama=5"], by="esi")
    assert LedgerEntry.objects.get().actor == esi


@pytest.mark.parametrize("by", [None, "esi"])
def test_test_grant_is_no_way_around_the_second_person(buyer: User, esi: User, settings, by: str | None) -> None:
    settings.AI_CREDITS = {**settings.AI_CREDITS, "GRANT_APPROVAL_ABOVE": 100}
    with pytest.raises(CommandError, match="more than one person may grant alone"):
        call_command("setup_ai_credits", grant=["ama=100.5"], by=by, verbosity=0)
    assert not LedgerEntry.objects.exists()


def test_whoever_is_not_named_stands_in_the_log(
    unfinished: WebhookEvent, caplog, capsys, django_capture_on_commit_callbacks
) -> None:
    caplog.set_level("INFO", "ai_features.management")
    with django_capture_on_commit_callbacks(execute=True):
        call_command("replay_webhooks")
    assert f"Processed again: received → processed completed, on the command line by {getpass.getuser()}" in caplog.text
    assert history() == []


@pytest.mark.parametrize("command", ["replay_webhooks", "setup_ai_credits"])
@pytest.mark.parametrize(
    ("given", "words"), [({"by": "ama"}, "no member of staff ama"), ({"reason": "x"}, "say who does it")]
)
def test_nobody_is_taken_for_staff(buyer: User, command: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command(command, **given)
