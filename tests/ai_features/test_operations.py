"""The commands that operators run, by hand and by the clock."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.models import FeaturePrice, LedgerEntry, Notice, Package, Reservation, UsageDay, Wallet
from ai_features.signals import credits_expiring
from tests.laws import assert_laws

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(capsys):
    """The command's last line."""

    def run(name: str, *args: object, **options: object) -> str:
        call_command(name, *args, **options)
        return capsys.readouterr().out.splitlines()[-1]

    return run


@pytest.fixture
def clock(time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine


def lot(wallet: Wallet, credits_: int, **life: int) -> None:
    AIBillingService.grant(wallet, credits_, reason="trial", expires_at=timezone.now() + timedelta(**life))


# expire_credits


def test_expiry_reaches_a_wallet_at_rest_once(run, wallet: Wallet, clock) -> None:
    lot(wallet, 10, days=10)
    AIBillingService.spend(wallet, 4)
    clock.shift(timedelta(days=10))
    assert run("expire_credits") == "Credits expired: 6.0, in wallets: 1. Owners told: 0."
    assert run("expire_credits") == "Credits expired: 0.0, in wallets: 0. Owners told: 0."
    assert_laws(wallet)
    assert wallet.balance == 0


def test_dry_run_of_expiry_says_the_same_and_changes_nothing(run, wallet: Wallet, clock) -> None:
    lot(wallet, 10, days=10)
    AIBillingService.spend(wallet, 4)
    clock.shift(timedelta(days=10))
    assert run("expire_credits", dry_run=True) == "Credits expired: 6.0, in wallets: 1. Owners told: 0."
    wallet.refresh_from_db()
    assert (wallet.balance, wallet.unallocated) == (6_000_000, 4_000_000)


def test_owner_is_told_once_of_what_is_really_left(run, wallet: Wallet) -> None:
    told: list[object] = []
    credits_expiring.connect(receiver := lambda **about: told.append(about["credits"]))
    lot(wallet, 10, days=3)
    AIBillingService.spend(wallet, 4)
    assert run("expire_credits", dry_run=True).endswith("Owners told: 1.")
    assert not Notice.objects.exists()
    assert [run("expire_credits").endswith(f"Owners told: {n}.") for n in (1, 0)] == [True, True]
    credits_expiring.disconnect(receiver)
    assert told == [6]


def test_nobody_is_told_of_credits_that_are_spent(run, wallet: Wallet) -> None:
    lot(wallet, 10, days=3)
    AIBillingService.spend(wallet, 10)
    assert run("expire_credits").endswith("Owners told: 0.")


# release_reservations, roll_up_usage, redact_metadata


def test_reservations_past_their_time_are_ended(run, wallet: Wallet, clock) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    for seconds in (60, 3600):
        AIBillingService.reserve(wallet, 2, ttl_seconds=seconds)
    clock.shift(timedelta(seconds=61))
    assert run("release_reservations", dry_run=True) == "Reservations ended: 1."
    assert Reservation.objects.filter(status="open").count() == 2
    assert run("release_reservations") == "Reservations ended: 1."
    assert Reservation.objects.filter(status="open").count() == 1
    assert_laws(wallet)


def test_usage_is_rolled_up_where_it_is_behind(run, wallet: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    AIBillingService.spend(wallet, 1, feature="chat")
    assert run("roll_up_usage", dry_run=True) == "Wallets rolled up: 1."
    assert not UsageDay.objects.exists()
    assert [run("roll_up_usage") for _ in range(2)] == ["Wallets rolled up: 1.", "Wallets rolled up: 0."]
    assert UsageDay.objects.get().credits == 1_000_000


def test_old_notes_are_emptied_and_amounts_stay(run, wallet: Wallet, clock, monkeypatch) -> None:
    monkeypatch.setattr("ai_features.billing.redaction.ENTRIES_AT_A_TIME", 2)
    AIBillingService.grant(wallet, 10, reason="trial")
    for _ in range(5):
        AIBillingService.spend(wallet, 1, metadata={"prompt": "secret"})
    clock.shift(timedelta(days=31))
    AIBillingService.spend(wallet, 1, metadata={"prompt": "new"})
    assert run("redact_metadata", days=30, dry_run=True) == "Notes emptied: 5."
    assert run("redact_metadata", days=30) == "Notes emptied: 5."
    assert [entry.metadata for entry in LedgerEntry.objects.exclude(metadata=None)] == [{"prompt": "new"}]
    assert_laws(wallet)


def test_age_of_notes_is_the_settings_unless_given(run, settings) -> None:
    with pytest.raises(CommandError, match="Give --days"):
        run("redact_metadata")
    settings.AI_CREDITS = {"METADATA_DAYS": 30}
    assert run("redact_metadata") == "Notes emptied: 0."


@pytest.mark.parametrize("days", [-1, 10**9])
def test_impossible_age_is_refused(run, days: int) -> None:
    with pytest.raises(CommandError, match="0 to 36500"):
        run("redact_metadata", days=days)


# grant_credits


def test_grant_with_a_key_twice_is_one_grant(run, buyer: User) -> None:
    for _ in range(2):
        answer = run("grant_credits", "ama", "12.5", reason="goodwill", key="ticket-4711")
    assert answer == "Granted to ama: 12.5 credits. Balance: 12.5."
    assert LedgerEntry.objects.get().reason == "goodwill"


def test_dry_run_of_a_grant_grants_nothing(run, buyer: User) -> None:
    answer = run("grant_credits", "ama", "12.5", reason="goodwill", dry_run=True)
    assert answer == "Would be granted to ama: 12.5 credits. Balance: 12.5."
    assert not Wallet.objects.exists()


def test_granted_credits_expire_in_so_many_days(run, buyer: User, clock) -> None:
    run("grant_credits", "ama", "5", reason="promotion", expires_in=30)
    assert Wallet.objects.get().next_expiry_at == timezone.now() + timedelta(days=30)


def test_grant_repeated_with_its_key_keeps_its_first_expiry(run, buyer: User, clock) -> None:
    given = {"reason": "promotion", "key": "ticket-4711"}
    first = run("grant_credits", "ama", "5", expires_in=30, **given)
    clock.shift(timedelta(days=2))
    assert run("grant_credits", "ama", "5", expires_in=30, **given) == first
    with pytest.raises(CommandError):
        run("grant_credits", "ama", "5", expires_in=31, **given)


def test_team_gets_its_wallet_with_its_first_grant(run, db: None) -> None:
    run("grant_credits", "research", "5", reason="trial", team=True)
    assert run("grant_credits", "research", "5", reason="trial").endswith("Balance: 10.0.")


def test_name_of_a_user_and_a_team_is_not_guessed(run, buyer: User) -> None:
    AIBillingService.wallet("ama")
    with pytest.raises(CommandError, match="is a user and a team"):
        run("grant_credits", "ama", "5", reason="trial")


@pytest.mark.parametrize(
    ("owner", "credits_", "more", "words"),
    [
        ("nobody", "5", {}, "There is no user nobody"),
        ("ama", "0", {}, "more than zero"),
        ("ama", "x", {}, "must be a number"),
        ("ama", "0.1234567", {}, "6 decimal places"),
        ("ama", "5", {"expires_in": 0}, "1 to 36500"),
        ("ama", "5", {"key": "x" * 101}, "1 to 100"),
        ("ama", "5", {"reason": "x" * 201}, "reason: At most 200"),
    ],
)
def test_unusable_grant_is_refused_in_words(run, buyer: User, owner: str, credits_: str, more, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("grant_credits", owner, credits_, **{"reason": "trial", **more})
    assert not LedgerEntry.objects.exists()


# setup_ai_credits


def test_setup_can_be_repeated(capsys, buyer: User) -> None:
    Package.objects.all().delete()
    for _ in range(2):
        call_command("setup_ai_credits", grant=["ama=50"], feature=["chat=0.5"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[:6] == printed[6:]
    assert printed[:6] == [
        "Package starter: 30.0 credits for GHS 30.00",
        "Package value: 100.0 credits for GHS 80.00",
        "Package premium: 250.0 credits for GHS 180.00",
        "Feature chat: 0.5 credits a call",
        "Grant ama: 50 credits",
        "Wallets: 1 with balance 50.0, held 0.0, debt 0.0",
    ]


def test_setup_changes_one_part_of_a_price(buyer: User) -> None:
    FeaturePrice.objects.create(code="chat", name="Chat", per_unit=7)
    call_command("setup_ai_credits", feature=["chat=2"])
    price = FeaturePrice.objects.get()
    assert (price.name, price.per_call, price.per_unit) == ("Chat", 2_000_000, 7)


def test_dry_run_of_setup_keeps_nothing(run, buyer: User) -> None:
    Package.objects.all().delete()
    assert run("setup_ai_credits", grant=["ama=50"], feature=["a=1"], dry_run=True) == "Nothing of this was kept."
    assert (Package.objects.count(), FeaturePrice.objects.count(), Wallet.objects.count()) == (0, 0, 0)


def test_live_key_grants_only_on_demand(run, buyer: User, settings) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_live_0123456789"
    with pytest.raises(CommandError, match="live one"):
        run("setup_ai_credits", grant=["ama=50"])
    assert run("setup_ai_credits", grant=["ama=50"], live=True).startswith("Wallets: 1 with balance 50.0")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"grant": ["ama"]}, "should be a name"),
        ({"grant": ["nobody=5"]}, "There is no user"),
        ({"grant": ["ama=-5"]}, "positive"),
        ({"feature": ["=5"]}, "should be a name"),
        ({"feature": ["a b=5"]}, "code: "),
        ({"feature": ["a=0"]}, "more than zero"),
    ],
)
def test_unusable_setup_is_refused_in_words(run, buyer: User, words: dict[str, list[str]], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        run("setup_ai_credits", **words)


def test_other_test_grant_than_before_is_refused(run, buyer: User) -> None:
    run("setup_ai_credits", grant=["ama=50"])
    with pytest.raises(CommandError, match="ama has had its test grant"):
        run("setup_ai_credits", grant=["ama=60"])
