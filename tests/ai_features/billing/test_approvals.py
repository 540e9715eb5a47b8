"""A grant above the limit takes two people, whichever way it is tried."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.exceptions import (
    AICreditsError,
    ApprovalRequired,
    GrantDecided,
    GrantRequestNotFound,
    IdempotencyConflict,
    InvalidRequest,
    SecondPersonRequired,
)
from ai_features.models import GrantRequest, LedgerEntry, Wallet
from tests.ai_features.billing.test_races import at_once
from tests.laws import assert_laws


@pytest.fixture(autouse=True)
def _limit(settings) -> None:
    settings.AI_CREDITS = {"GRANT_APPROVAL_ABOVE": 100}


def staff(name: str, *permissions: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def asker(db: None) -> User:
    return staff("esi", "change_wallet", "view_wallet", "view_grantrequest", "approve_grantrequest")


@pytest.fixture
def second(db: None) -> User:
    return staff("yaw", "view_grantrequest", "approve_grantrequest")


@pytest.fixture
def asked(wallet: Wallet, asker: User) -> GrantRequest:
    return AIBillingService.request_grant(wallet, 500, reason="outage", requested_by=asker, idempotency_key="k")


# The limit


def test_grant_up_to_the_limit_takes_one_person(wallet: Wallet, asker: User) -> None:
    assert AIBillingService.grant(wallet, 100, reason="goodwill", granted_by=asker).amount == 100_000_000
    with pytest.raises(ApprovalRequired) as refused:
        AIBillingService.grant(wallet, "0.000001", reason="more", granted_by=asker)
    assert refused.value.details() == {"limit": 100}
    assert_laws(wallet)


def test_many_small_grants_are_no_way_around_it(wallet: Wallet, other_buyer, asker: User, second, time_machine) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    for _ in range(2):
        AIBillingService.grant(wallet, 50, reason="goodwill", granted_by=asker)
    with pytest.raises(ApprovalRequired):
        AIBillingService.grant(wallet, 1, reason="goodwill", granted_by=asker)
    AIBillingService.grant(other_buyer, 100, reason="another wallet", granted_by=asker)
    AIBillingService.grant(wallet, 100, reason="another person", granted_by=second)
    time_machine.shift(timedelta(days=1, seconds=1))
    AIBillingService.grant(wallet, 100, reason="another day", granted_by=asker)


def test_what_a_second_person_approved_does_not_count(asked: GrantRequest, second: User, asker: User) -> None:
    AIBillingService.approve_grant(asked.pk, approved_by=second)
    AIBillingService.grant(asked.wallet, 100, reason="goodwill", granted_by=asker)


def test_without_the_setting_and_for_the_app_itself_there_is_no_limit(wallet: Wallet, asker: User, settings) -> None:
    AIBillingService.grant(wallet, 500, reason="a promotion code, say")
    settings.AI_CREDITS = {}
    AIBillingService.grant(wallet, 500, reason="goodwill", granted_by=asker)


def test_limit_of_zero_lets_nobody_grant_alone(wallet: Wallet, asker: User, settings) -> None:
    settings.AI_CREDITS = {"GRANT_APPROVAL_ABOVE": 0}
    with pytest.raises(ApprovalRequired):
        AIBillingService.grant(wallet, "0.000001", reason="goodwill", granted_by=asker)


# The decision


def test_approved_grant_keeps_who_asked_why_and_who_approved(asked: GrantRequest, second: User, asker: User) -> None:
    assert not LedgerEntry.objects.exists()
    entry = AIBillingService.approve_grant(asked.pk, approved_by=second, note="ticket 4711")
    asked.refresh_from_db()
    assert (entry.amount, entry.reason, entry.actor, entry.grant_request) == (500_000_000, "outage", asker, asked)
    assert (asked.status, asked.decided_by, asked.note) == ("approved", second, "ticket 4711")
    assert_laws(asked.wallet)


def test_who_asked_cannot_decide(asked: GrantRequest, asker: User) -> None:
    with pytest.raises(SecondPersonRequired):
        AIBillingService.approve_grant(asked.pk, approved_by=asker)
    with pytest.raises(SecondPersonRequired):
        AIBillingService.refuse_grant(asked.pk, refused_by=asker, note="no")
    assert not LedgerEntry.objects.exists()


def test_refusal_says_why_and_is_final(asked: GrantRequest, second: User) -> None:
    with pytest.raises(InvalidRequest):
        AIBillingService.refuse_grant(asked.pk, refused_by=second, note="")
    AIBillingService.refuse_grant(asked.pk, refused_by=second, note="no outage known")
    with pytest.raises(GrantDecided) as decided:
        AIBillingService.approve_grant(asked.pk, approved_by=second)
    assert decided.value.details() == {"status": "refused", "decided_by": "yaw"}
    assert not LedgerEntry.objects.exists()


def test_request_that_waited_past_its_expiry_is_not_granted(wallet: Wallet, asker, second, time_machine) -> None:
    soon = timezone.now() + timedelta(hours=1)
    asked = AIBillingService.request_grant(wallet, 500, reason="x", requested_by=asker, expires_at=soon)
    time_machine.move_to(soon + timedelta(seconds=1))
    with pytest.raises(InvalidRequest):
        AIBillingService.approve_grant(asked.pk, approved_by=second)


def test_request_with_a_key_twice_is_one(asked: GrantRequest, asker: User) -> None:
    again = {"reason": "outage", "requested_by": asker, "idempotency_key": "k"}
    assert AIBillingService.request_grant(asked.wallet, 500, **again) == asked
    with pytest.raises(IdempotencyConflict):
        AIBillingService.request_grant(asked.wallet, 600, **again)
    with pytest.raises(IdempotencyConflict):
        AIBillingService.request_grant(asked.wallet, 500, expires_at=timezone.now() + timedelta(days=1), **again)


def test_key_of_an_approved_request_is_that_grant(asked: GrantRequest, asker: User, second: User) -> None:
    entry = AIBillingService.approve_grant(asked.pk, approved_by=second)
    again = AIBillingService.grant(asked.wallet, 500, reason="outage", granted_by=asker, idempotency_key="k")
    assert again == entry


@pytest.mark.parametrize("change", [{"credits": 0}, {"reason": ""}, {"reason": "x" * 201}, {"idempotency_key": ""}])
def test_unusable_request_is_refused(wallet: Wallet, asker: User, change: dict[str, object]) -> None:
    given = {"credits": 500, "reason": "outage", "requested_by": asker, **change}
    with pytest.raises(AICreditsError):
        AIBillingService.request_grant(wallet, **given)


@pytest.mark.django_db
def test_unknown_request_is_not_found(second: User) -> None:
    with pytest.raises(GrantRequestNotFound):
        AIBillingService.approve_grant(10**6, approved_by=second)


@pytest.mark.django_db(transaction=True)
def test_decisions_at_once_give_one_grant(wallet: Wallet) -> None:
    people = [staff(name) for name in ("esi", "yaw", "adwoa", "kwame")]
    asked = AIBillingService.request_grant(wallet, 500, reason="outage", requested_by=people[0])

    def decide(person: User, *, refuses: bool = False) -> str:
        try:
            if refuses:
                AIBillingService.refuse_grant(asked.pk, refused_by=person, note="no")
            else:
                AIBillingService.approve_grant(asked.pk, approved_by=person)
        except GrantDecided:
            return "too late"
        return "decided"

    others = people[1:] * 2
    done = at_once(*[lambda p=p: decide(p) for p in others], lambda: decide(people[1], refuses=True))
    assert sorted(done) == ["decided"] + ["too late"] * 6
    asked.refresh_from_db()
    assert LedgerEntry.objects.count() == (asked.status == "approved")
    assert_laws(wallet)


@pytest.mark.django_db(transaction=True)
def test_small_grants_at_once_stay_within_the_limit(wallet: Wallet) -> None:
    asker = staff("esi")

    def grant() -> bool:
        try:
            return bool(AIBillingService.grant(wallet, 40, reason="goodwill", granted_by=asker))
        except ApprovalRequired:
            return False

    assert sum(at_once(*[grant] * 6)) == 2
    assert_laws(wallet)


# The database itself


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE {} SET credits = 1",
        "UPDATE {} SET reason = 'x'",
        "UPDATE {} SET requested_by_id = decided_by_id",
        "DELETE FROM {}",
        "UPDATE {} SET note = 'x'",
        "UPDATE {} SET status = 'open', decided_by_id = NULL, decided_at = NULL, entry_id = NULL",
    ],
)
def test_what_was_asked_and_decided_cannot_be_rewritten(asked: GrantRequest, second: User, sql: str) -> None:
    AIBillingService.approve_grant(asked.pk, approved_by=second)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.format("ai_features_grantrequest"))


@pytest.mark.parametrize(
    "change",
    [
        "decided_by_id = requested_by_id, status = 'refused', note = 'x', decided_at = requested_at",
        "status = 'approved'",
        "status = 'refused', note = 'x'",
        "decided_by_id = requested_by_id + 1",
    ],
)
def test_database_refuses_a_decision_without_a_second_person(asked: GrantRequest, second: User, change: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE ai_features_grantrequest SET {change}")


# The admin


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def decide(user: User, action: str, asked: GrantRequest, note: str = "") -> str:
    form = {"action": action, "_selected_action": [asked.pk], "note": note}
    return client_of(user).post("/admin/ai_features/grantrequest/", form, follow=True).content.decode()


def test_grant_above_the_limit_in_the_admin_waits_for_another(buyer, asker: User, second: User) -> None:
    form = {"user": buyer.pk, "credits": "500", "reason": "outage", "key": "k1", "expires_at_0": "", "expires_at_1": ""}
    for _ in range(2):
        page = client_of(asker).post("/admin/ai_features/wallet/grant/", form, follow=True).content.decode()
        assert "500.0 credits for ama wait for another member of staff" in page
    asked = GrantRequest.objects.get()
    assert "Another member of staff has to decide it" in decide(asker, "approve", asked)
    assert "approved." in decide(second, "approve", asked, "ticket 4711")
    assert "Somebody has decided this already" in decide(second, "approve", asked)
    assert Wallet.objects.get().balance == 500_000_000


def test_refusal_in_the_admin_needs_a_note(asked: GrantRequest, second: User) -> None:
    assert "Say why." in decide(second, "refuse", asked)
    assert "refused." in decide(second, "refuse", asked, "no outage known")
    asked.refresh_from_db()
    assert (asked.status, asked.note) == ("refused", "no outage known")


def test_staff_without_the_permission_cannot_decide(asked: GrantRequest) -> None:
    decide(staff("abena", "view_grantrequest"), "approve", asked)
    asked.refresh_from_db()
    assert asked.status == "open"


# The command


def test_command_above_the_limit_wants_to_know_who_asks(buyer, asker: User, capsys) -> None:
    with pytest.raises(CommandError, match=r"More than 100\.0 credits need a second person"):
        call_command("grant_credits", "ama", "500", reason="outage")
    call_command("grant_credits", "ama", "500", reason="outage", by="esi", dry_run=True)
    assert not GrantRequest.objects.exists()
    for _ in range(2):
        call_command("grant_credits", "ama", "500", reason="outage", by="esi", key="ticket-4711")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Would be requested for ama: 500.0 credits.")
    assert said[1] == said[2] == "Requested for ama: 500.0 credits. Another member of staff has to approve it."
    assert GrantRequest.objects.get().requested_by == asker
    assert not LedgerEntry.objects.exists()


def test_command_repeated_with_its_key_asks_once_though_time_passes(buyer, asker: User, time_machine) -> None:
    given = {"reason": "outage", "by": "esi", "key": "ticket-4711", "verbosity": 0}
    call_command("grant_credits", "ama", "500", expires_in=90, **given)
    time_machine.move_to(timezone.now() + timedelta(days=2))
    call_command("grant_credits", "ama", "500", expires_in=90, **given)
    assert GrantRequest.objects.count() == 1
    with pytest.raises(CommandError):
        call_command("grant_credits", "ama", "500", expires_in=91, **given)


def test_command_keeps_who_granted(buyer, asker: User) -> None:
    call_command("grant_credits", "ama", "5", reason="goodwill", by="esi", verbosity=0)
    assert LedgerEntry.objects.get().actor == asker
    assert LogEntry.objects.get().change_message == "5.0 credits granted, on the command line: goodwill"


@pytest.mark.parametrize("name", ["ama", "nobody"])
def test_command_takes_only_staff_as_granter(buyer, name: str) -> None:
    with pytest.raises(CommandError, match=f"no member of staff {name}"):
        call_command("grant_credits", "ama", "5", reason="goodwill", by=name)
