"""The audit finds each breach, and is silent about everything the engine does."""

import io
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.audit import FUNCTIONS, audit
from ai_features.billing.settlement import settle
from ai_features.models import LedgerEntry, Lot, Purchase, Reservation, Wallet, triggers
from tests.paystack_facts import facts


@pytest.fixture
def busy(purchase: Purchase, time_machine) -> Wallet:
    """A wallet to which everything has happened: it holds overdue credits, and owes some lots their share."""
    time_machine.move_to(timezone.now(), tick=False)
    wallet = purchase.wallet
    AIBillingService.reserve(wallet_with(wallet, 10), 5).capture(12)
    settle(purchase.reference, facts(purchase), settled_by="webhook")
    AIBillingService.grant(wallet, 10, reason="a", expires_at=timezone.now() + timedelta(hours=1))
    AIBillingService.reserve(wallet, 7, ttl_seconds=7200)
    time_machine.shift(timedelta(hours=1, minutes=1))
    AIBillingService.spend_many(wallet, [{"credits": 2}, {"credits": 3, "feature": "chat"}])
    AIBillingService.spend(wallet, "0.5")
    wallet.refresh_from_db()
    assert wallet.overdue
    assert wallet.unallocated
    return wallet


def wallet_with(wallet: Wallet, credits_: int) -> Wallet:
    AIBillingService.grant(wallet, credits_, reason="trial")
    return wallet


def breaches() -> list[str]:
    return [str(breach) for breach in audit()]


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def without_laws(*statements: str) -> None:
    """As somebody would who has the database's password."""
    execute(*triggers.drop_statements(connection.vendor), *statements, *triggers.create_statements(connection.vendor))


def test_busy_wallet_keeps_every_law(busy: Wallet) -> None:
    assert breaches() == []


@pytest.mark.parametrize("balance", [1_000_000, 20_000_000])
def test_balance_that_nobody_entered_breaks_laws_1_and_2(busy: Wallet, balance: int) -> None:
    before = busy.balance
    Wallet.objects.update(balance=before + balance)
    found = breaches()
    assert [line[:5] for line in found] == ["law 1", "law 1", "law 2"]
    assert f"wallet {busy.pk}: balance less debt is" in found[0]


def test_debt_that_nobody_entered_breaks_law_1(busy: Wallet) -> None:
    Wallet.objects.update(debt=1_500_000, balance=busy.balance + 1_500_000, unallocated=busy.unallocated - 1_500_000)
    assert f"law 1, wallet {busy.pk}: debt is 1.5, its entries add up to 0.0" in breaches()


def test_lot_of_another_size_breaks_law_2(busy: Wallet) -> None:
    Lot.objects.filter(source="purchased").update(remaining=1_000_000)
    (found,) = breaches()
    assert found.startswith(f"law 2, wallet {busy.pk}: balance is")


def test_forgotten_hold_breaks_law_3(busy: Wallet) -> None:
    Reservation.objects.filter(status="open").update(status="released")
    assert f"law 3, wallet {busy.pk}: held is 7.0, its open reservations hold 0.0" in breaches()


@pytest.mark.parametrize("late", [timedelta(days=400), None])
def test_expiry_noted_too_late_breaks_law_3(busy: Wallet, late: timedelta | None) -> None:
    Wallet.objects.update(next_expiry_at=late and timezone.now() + late)
    (found,) = breaches()
    assert "lots before the next expiry hold" in found


def test_expiry_noted_too_early_is_no_breach(busy: Wallet) -> None:
    Wallet.objects.update(next_expiry_at=timezone.now() + timedelta(minutes=1))
    assert breaches() == []


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ("UPDATE ai_features_ledgerentry SET amount = amount + 1 WHERE kind = 'grant'", "law 1"),
        ("UPDATE ai_features_ledgerentry SET balance_after = balance_after + 1 WHERE kind = 'bonus'", "law 1"),
        ("DELETE FROM ai_features_ledgerentry WHERE kind = 'spend'", "law 1"),
        ("DELETE FROM ai_features_ledgerentry WHERE kind = 'purchase'", "law 4"),
        ("UPDATE ai_features_purchase SET status = 'pending', completed_at = NULL", "law 4"),
    ],
)
def test_rewritten_history_is_found(busy: Wallet, change: str, law: str) -> None:
    without_laws(change)
    assert any(line.startswith(f"{law}, wallet {busy.pk}:") for line in breaches())


def test_chain_names_the_entry_that_breaks_it(busy: Wallet) -> None:
    bonus = LedgerEntry.objects.get(kind="bonus")
    without_laws("UPDATE ai_features_ledgerentry SET balance_after = balance_after + 1 WHERE kind = 'bonus'")
    assert f"wallet {busy.pk}: entry {bonus.pk} says balance" in breaches()[0]


def test_purchase_credited_to_another_is_found(busy: Wallet, other_buyer) -> None:
    other = AIBillingService.wallet(other_buyer)
    without_laws(f"UPDATE ai_features_ledgerentry SET wallet_id = {other.pk} WHERE kind = 'purchase'")
    assert any("1 of them in another wallet" in line for line in breaches())


@pytest.mark.parametrize("name", sorted(triggers.names(connection.vendor)))
def test_missing_trigger_breaks_law_5(wallet: Wallet, name: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = %s", [name])
            ((table,),) = cursor.fetchall()
        execute(f"DROP TRIGGER {name} ON {table}")
    else:
        execute(f"DROP TRIGGER {name}")
    assert breaches() == [f"law 5, database: the trigger {name} is missing; `manage.py migrate` installs it"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has neither")
def test_disabled_trigger_and_missing_function_break_law_5(wallet: Wallet) -> None:
    execute(
        "ALTER TABLE ai_features_ledgerentry DISABLE TRIGGER ai_features_ledgerentry_no_update",
        "DROP FUNCTION ai_features_apply",
    )
    assert [line.split(";")[0] for line in breaches()] == [
        "law 5, database: the trigger ai_features_ledgerentry_no_update is missing",
        "law 5, database: the function ai_features_apply is missing",
    ]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no functions of ours")
def test_audit_asks_for_every_function_that_migrate_installs(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE starts_with(proname::text, 'ai_features_')")
        installed = {name for (name,) in cursor.fetchall()}
    assert installed == set(FUNCTIONS)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite cannot drop a constraint")
def test_dropped_constraint_and_the_row_it_would_have_refused_are_found(busy: Wallet) -> None:
    execute("SET CONSTRAINTS ALL IMMEDIATE", "ALTER TABLE ai_features_lot DROP CONSTRAINT ai_lot_remaining_in_range")
    lot = Lot.objects.filter(source="bonus").get()
    Lot.objects.filter(pk=lot.pk).update(remaining=-1)
    found = breaches()
    assert "law 3, database: the constraint ai_lot_remaining_in_range is missing" in found
    assert f"law 3, wallet {busy.pk}: lot {lot.pk} is against the constraint ai_lot_remaining_in_range" in found


def test_every_wallet_is_looked_at_in_any_ranges(db: None) -> None:
    wallets = [AIBillingService.wallet(f"team {n}") for n in range(7)]
    Wallet.objects.update(held=0, debt=1)
    seen: list[tuple[int, int]] = []
    for at_a_time in (1, 3, 7, 1000):
        found = {breach.wallet_id for breach in audit(lambda *step: seen.append(step), at_a_time=at_a_time)}
        assert found == {wallet.pk for wallet in wallets}
        assert seen[-1] == (7, 7)


def test_queries_do_not_grow_with_the_wallets(busy: Wallet, django_assert_num_queries) -> None:
    with CaptureQueriesContext(connection) as alone:
        breaches()
    for number in range(50):
        wallet_with(AIBillingService.wallet(f"team {number}"), 5)
    with django_assert_num_queries(len(alone)):
        assert breaches() == []


def test_command_is_silent_about_a_sound_ledger(busy: Wallet, capsys) -> None:
    call_command("audit_ledger")
    assert capsys.readouterr() == ("Every law is kept. Wallets: 1.\n", "")


def test_command_prints_breaches_and_fails(busy: Wallet, capsys) -> None:
    Wallet.objects.update(debt=1)
    with pytest.raises(CommandError, match="in 2 places") as failed:
        call_command("audit_ledger")
    assert failed.value.returncode == 1
    assert f"law 1, wallet {busy.pk}:" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_sees_a_progress_bar(busy: Wallet) -> None:
    terminal = Terminal()
    call_command("audit_ledger", stderr=terminal)
    assert "100%  1 of 1 wallets" in terminal.getvalue()


@pytest.mark.django_db(transaction=True)
def test_live_traffic_raises_no_false_alarm(buyer) -> None:
    wallet = wallet_with(AIBillingService.wallet(buyer), 1000)
    stop = threading.Event()

    def spend() -> None:
        while not stop.is_set():
            AIBillingService.spend(wallet, 1)
            AIBillingService.reserve(wallet, 2).capture(1)
            AIBillingService.grant(wallet, 2, reason="more")
        connection.close()

    spenders = [threading.Thread(target=spend) for _ in range(2)]
    for spender in spenders:
        spender.start()
    found = [line for _ in range(20) for line in breaches()]
    stop.set()
    for spender in spenders:
        spender.join()
    assert found == []
    assert LedgerEntry.objects.count() > 1
