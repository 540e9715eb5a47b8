"""What is sealed, in which form, and when it is final."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from ai_features.billing import AIBillingService
from ai_features.billing.sealing import EntriesNotFinalError, broken_seals, finality, head_hash, seal_entries, seals
from ai_features.billing.sealing.forms import COLUMNS, entries_page, moment, seal_record
from ai_features.evidence import verify_ledger
from ai_features.models import LedgerEntry, LedgerSeal, Wallet
from tests.ai_features.billing.test_races import at_once

ON_POSTGRESQL = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")


def breaches() -> list[str]:
    return [str(breach) for breach in broken_seals()]


# The form


@pytest.mark.django_db
def test_form_of_an_entry_is_the_same_on_both_engines_for_ever(buyer, wallet: Wallet) -> None:
    entry = LedgerEntry(
        id=8,
        wallet=wallet,
        kind="spend",
        amount=-1_500_000,
        balance_after=2_000_000,
        reason='é "quoted" \\ \n😀',
        feature="chat",
        pricing={"units": 3, "per_unit": "0.5"},
        metadata={"private": True},
        created_at=datetime(2026, 11, 24, 18, 0, 0, 120, UTC),
    )
    entry.save(force_insert=True)
    (values,) = entries_page(0, 8, 10)
    assert values.pop("wallet_id") == wallet.pk
    assert verify_ledger.canonical(values) == (
        '{"amount":-1500000,"balance_after":2000000,"created_at":"2026-11-24T18:00:00.000120Z","debt_change":0,'
        '"feature":"chat","id":8,"kind":"spend","pricing":{"per_unit":"0.5","units":3},'
        r'"reason":"\u00e9 \"quoted\" \\ \n\ud83d\ude00"}'
    )


@pytest.mark.django_db
def test_entry_that_the_engine_made_has_the_form_of_the_one_it_reads(wallet: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    spent = AIBillingService.spend(wallet, 1, feature="chat", metadata={"private": True})
    read = LedgerEntry.objects.get(pk=spent.entry)
    expected = {"id": read.pk, "wallet_id": wallet.pk, "kind": "spend", "amount": -1_000_000, "debt_change": 0}
    expected |= {"balance_after": 9_000_000, "reason": "", "feature": "chat", "created_at": moment(read.created_at)}
    assert entries_page(spent.entry - 1, spent.entry, 10) == [expected]


def test_only_columns_that_may_be_null_can_come_later() -> None:
    """One that cannot be null would change the form of entries that are sealed already."""
    always = {"id", "wallet_id", "kind", "amount", "debt_change", "balance_after", "reason", "feature", "created_at"}
    assert {name for name in COLUMNS if not LedgerEntry._meta.get_field(name).null} == always
    assert "metadata" not in COLUMNS


def test_moment_has_one_form_in_any_zone() -> None:
    assert moment(datetime.fromisoformat("2026-11-24T18:00:00+01:00")) == "2026-11-24T17:00:00.000000Z"


# The chain


def test_every_entry_is_in_one_seal_and_the_next_seal_follows(sealed: Wallet) -> None:
    first, second, third = LedgerSeal.objects.order_by("number")
    assert [seal.count for seal in (first, second, third)] == [3, 3, 2]
    assert (first.previous_hash, second.previous_hash, third.previous_hash) == ("0" * 64, first.hash, second.hash)
    assert third.hash == verify_ledger.seal_hash(seal_record(third)) == head_hash()
    assert breaches() == []


def test_sealing_again_seals_what_came_since(sealed: Wallet) -> None:
    assert seal_entries().entries == 2
    assert seal_entries().entries == 0
    assert sum(LedgerSeal.objects.values_list("count", flat=True)) == LedgerEntry.objects.count()
    assert breaches() == []


def test_dry_run_counts_and_seals_nothing(sealed: Wallet) -> None:
    assert seal_entries(dry_run=True, at_a_time=1) == seals.Sealed(2, 2)
    assert LedgerSeal.objects.count() == 3


def test_numbers_that_a_rollback_left_out_are_no_breach(sealed: Wallet) -> None:
    with transaction.atomic():
        AIBillingService.spend(sealed, 1)
        transaction.set_rollback(True)
    AIBillingService.spend(sealed, 1)
    seal_entries()
    assert breaches() == []


def test_emptied_notes_leave_the_seals_as_they_are(sealed: Wallet, capsys) -> None:
    call_command("redact_metadata", days=0)
    assert capsys.readouterr().out == "Notes emptied: 5.\n"
    assert breaches() == []


def test_queries_do_not_grow_with_the_entries_of_a_seal(sealed: Wallet, django_assert_num_queries) -> None:
    with CaptureQueriesContext(connection) as of_two:
        seal_entries()
    AIBillingService.spend_many(sealed, [{"credits": "0.001"}] * 500)
    with django_assert_num_queries(len(of_two)):
        assert seal_entries() == seals.Sealed(1, 500)


# Law 5


@pytest.mark.parametrize("sql", ["UPDATE {} SET hash = ''", "UPDATE {} SET entries = ''", "DELETE FROM {}"])
def test_seals_refuse_to_change(sealed: Wallet, sql: str) -> None:
    with pytest.raises(Exception, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.format("ai_features_ledgerseal"))


# Everybody at once


@pytest.mark.django_db(transaction=True)
def test_sealers_at_once_make_one_chain_beside_live_traffic(buyer, other_buyer) -> None:
    owners = (buyer, other_buyer)
    for owner in owners:
        AIBillingService.grant(owner, 1000, reason="trial")

    def spend(number: int) -> Callable[[], None]:
        return lambda: [AIBillingService.spend(owners[number % 2], "0.5") for _ in range(40)] and None

    def seal() -> int:
        return sum(seal_entries(at_a_time=7).entries for _ in range(6))

    done = at_once(spend(0), seal, spend(1), seal, spend(0), seal)
    rest = seal_entries(at_a_time=7).entries
    assert sum(count for count in done if count) + rest == LedgerEntry.objects.count() == 122
    assert sum(LedgerSeal.objects.values_list("count", flat=True)) == 122
    assert breaches() == []


class OpenTransaction:
    """Another connection that has taken an entry's number and has not committed."""

    def __init__(self, wallet: Wallet, statement: str) -> None:
        self._wallet, self._statement = wallet, statement
        self._taken, self._may_end = Event(), Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> "OpenTransaction":
        self._thread.start()
        self._taken.wait(10)
        return self

    def end(self) -> None:
        self._may_end.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.end()

    def _run(self) -> None:
        with transaction.atomic():
            if self._statement == "spend":
                AIBillingService.spend(self._wallet, 1)
            else:
                Wallet.objects.select_for_update().get(pk=self._wallet.pk)
                with connection.cursor() as cursor:
                    cursor.execute(self._statement)
            self._taken.set()
            self._may_end.wait(20)
        connection.close()


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["spend", "SELECT nextval('ai_features_ledgerentry_id_seq')"])
def test_entry_that_may_still_come_keeps_later_ones_unsealed(wallet: Wallet, other_buyer, statement: str) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    with OpenTransaction(wallet, statement) as slow:
        AIBillingService.grant(other_buyer, 10, reason="a later number, committed first")
        with pytest.raises(EntriesNotFinalError, match="pid"):
            seal_entries(wait_seconds=0.2)
        assert not LedgerSeal.objects.exists()
        slow.end()
    assert seal_entries().entries == LedgerEntry.objects.count()
    assert breaches() == []


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_sealing_waits_for_who_was_before_it_and_for_nobody_else(wallet: Wallet, other_buyer, monkeypatch) -> None:
    waiting = Event()
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: waiting.set() or time.sleep(seconds))
    monkeypatch.setattr(finality, "time", clock)
    AIBillingService.grant(wallet, 10, reason="trial")
    later = AIBillingService.wallet(other_buyer)
    with ThreadPoolExecutor(1) as pool, OpenTransaction(wallet, "spend") as before:
        AIBillingService.grant(later, 10, reason="a later number, committed first")
        sealing = pool.submit(lambda: (seal_entries(wait_seconds=10).entries, connection.close())[0])
        assert waiting.wait(10)
        with OpenTransaction(later, "spend"):
            before.end()
            assert sealing.result(timeout=15) == 3


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_open_transaction_is_named_by_the_command(wallet: Wallet, monkeypatch) -> None:
    monkeypatch.setattr(seal_entries, "__kwdefaults__", {**seal_entries.__kwdefaults__, "wait_seconds": 0.1})
    AIBillingService.grant(wallet, 10, reason="trial")
    with OpenTransaction(wallet, "spend"), pytest.raises(CommandError, match="stays open"):
        call_command("seal_ledger")


# The command


def test_command_seals_and_prints_the_head(sealed: Wallet, capsys) -> None:
    call_command("seal_ledger", dry_run=True)
    assert capsys.readouterr().out.startswith("Would be sealed: 2 entries, in seals: 1.\n")
    call_command("seal_ledger")
    assert capsys.readouterr().out == f"Sealed: 2 entries, in seals: 1.\nHead: {head_hash()}\n"
    call_command("seal_ledger", head=True)
    assert capsys.readouterr().out == f"{head_hash()}\n"


@pytest.mark.django_db
def test_head_of_nothing_is_refused() -> None:
    with pytest.raises(CommandError, match="Nothing is sealed"):
        call_command("seal_ledger", head=True)
