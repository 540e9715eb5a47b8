"""Whoever has the database's password can change the ledger, and it is found and named: by the audit, and offline."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ai_features.billing.audit import audit
from ai_features.billing.sealing import head_hash, seal_entries
from ai_features.evidence import verify_ledger
from ai_features.models import LedgerEntry, LedgerSeal, Wallet
from tests.ai_features.evidence.conftest import Rewrite

Export = Callable[[], Path]
ENTRIES, SEALS = "ai_features_ledgerentry", "ai_features_ledgerseal"


def law_5() -> list[str]:
    return [str(breach) for breach in audit() if breach.law == 5]


def offline(file: Path, *words: str) -> tuple[int, list[str]]:
    """Exit status and lines of the script, run where it can see nothing of the project."""
    script = Path(verify_ledger.__file__)
    command = [sys.executable, "-I", str(script), str(file), *words]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == "" or done.returncode == 2, done.stderr
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_sound_ledger_is_as_it_was_sealed(sealed: Wallet, exported: Export) -> None:
    status, said = offline(exported(), "--head", str(head_hash()))
    assert (status, said) == (
        0,
        ["Seals: 3. Entries: 8 sealed, 2 not yet.", f"Head: {head_hash()}", "Everything is as it was sealed."],
    )
    assert law_5() == []


def test_changed_entry_is_named_with_what_it_was(sealed: Wallet, entry_ids, rewrite: Rewrite, exported: Export) -> None:
    spent = LedgerEntry.objects.filter(id__in=entry_ids[3:6], kind="spend").first()
    rewrite(f"UPDATE {ENTRIES} SET amount = -5, feature = 'image' WHERE id = {spent.pk}")
    changed = 'was changed; amount was -1000000, is -5, feature was "chat", is "image"'
    assert law_5() == [f"law 5, wallet {spent.wallet_id}: seal 2, entry {spent.pk} {changed}"]
    status, said = offline(exported())
    assert (status, said[0]) == (1, f"seal 2, entry {spent.pk} (wallet {spent.wallet_id}): {changed}")
    assert said[1].startswith(f"entry {spent.pk} (wallet {spent.wallet_id}): law 1: says balance")


@pytest.mark.parametrize(
    "column",
    [
        *("amount = 7", "debt_change = 7", "balance_after = 7", "kind = 'grant'", "reason = 'x'", "feature = 'x'"),
        *("created_at = '2020-01-01 00:00:00'", "lot_id = NULL", "actor_id = 1", "member_id = 7", "reservation_id = 7"),
        *("pricing = '{\"units\":1}'", "purchase_id = NULL, kind = 'grant'", "wallet_id = wallet_id + 1"),
    ],
)
def test_no_column_can_be_changed_unseen(sealed: Wallet, entry_ids, rewrite: Rewrite, column: str) -> None:
    if connection.vendor == "postgresql":
        rewrite("SET CONSTRAINTS ALL DEFERRED")
    rewrite(f"UPDATE {ENTRIES} SET {column} WHERE id = {entry_ids[0]}")
    (found,) = law_5()
    assert f"seal 1, entry {entry_ids[0]} was changed; " in found
    assert f"{column.split(maxsplit=1)[0]} was" in found
    rewrite(f"DELETE FROM {ENTRIES} WHERE id = {entry_ids[0]}")


@pytest.mark.parametrize("place", [0, 2, 5, 7])
def test_removed_entry_is_named_and_can_be_read_up(
    sealed: Wallet, entry_ids, rewrite: Rewrite, exported: Export, place: int
) -> None:
    entry = LedgerEntry.objects.get(pk=entry_ids[place])
    rewrite(f"DELETE FROM {ENTRIES} WHERE id = {entry.pk}")
    (found,) = law_5()
    assert found.startswith(f"law 5, wallet {entry.wallet_id}: seal {place // 3 + 1}, entry {entry.pk} was removed;")
    assert f'"amount":{entry.amount},' in found
    status, said = offline(exported())
    assert status == 1
    assert any(line.startswith(f"seal {place // 3 + 1}, entry {entry.pk} (wallet") for line in said)


@pytest.mark.parametrize("number", [0, -(2**63)])
def test_inserted_entry_is_named(sealed: Wallet, entry_ids, rewrite: Rewrite, exported: Export, number: int) -> None:
    columns = "wallet_id, kind, amount, debt_change, balance_after, reason, feature, created_at"
    rewrite(
        f"INSERT INTO {ENTRIES} (id, {columns}) SELECT {number}, {columns} FROM {ENTRIES} WHERE id = {entry_ids[5]}"
    )
    (found,) = law_5()
    assert found.endswith(f"seal 1, entry {number} was inserted after the seal")
    status, said = offline(exported())
    assert (status, said[0].split(" (")[0]) == (1, f"seal 1, entry {number}")


def test_missing_seal_is_named(sealed: Wallet, rewrite: Rewrite, exported: Export) -> None:
    rewrite(f"DELETE FROM {SEALS} WHERE number = 2")
    assert law_5() == ["law 5, database: seal 2 is missing"]
    assert offline(exported())[1][0] == "seal 2: is missing"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("sealed_at = '2020-01-01 00:00:00'", "what it says does not give its hash: it was changed"),
        ("count = 9", "what it says does not give its hash: it was changed"),
        ("entries_hash = hash", "its copy of the entries was changed: what it sealed cannot be compared any more"),
        ("previous_hash = entries_hash", "does not follow from seal 1: one of them was replaced"),
        ("hash = entries_hash", "what it says does not give its hash: it was changed"),
        ("entries = previous_hash", "its copy of the entries was changed: what it sealed cannot be compared any more"),
    ],
)
def test_changed_seal_is_named(sealed: Wallet, rewrite: Rewrite, exported: Export, change: str, found: str) -> None:
    if connection.vendor == "postgresql":
        change = change.replace("entries = previous_hash", "entries = previous_hash::bytea")
    rewrite(f"UPDATE {SEALS} SET {change} WHERE number = 2")
    assert f"law 5, database: seal 2 {found}" in law_5()
    status, said = offline(exported())
    assert status == 1
    assert f"seal 2: {found}" in said


def test_seals_made_anew_are_found_by_the_head_that_was_published(
    sealed: Wallet, entry_ids, rewrite: Rewrite, exported: Export
) -> None:
    """What the chain alone cannot show: somebody rewrote the last spend and every seal, consistently."""
    published = str(head_hash())
    (last,) = LedgerEntry.objects.filter(id=entry_ids[-1])
    rewrite(f"DELETE FROM {SEALS}", f"UPDATE {ENTRIES} SET reason = 'x' WHERE id = {last.pk}")
    seal_entries(at_a_time=3)
    assert law_5() == []
    file = exported()
    assert offline(file)[0] == 0
    status, said = offline(file, "--head", published)
    assert (status, said[0].split(":")[1].strip()) == (1, f"no seal has the hash {published}")


def test_head_that_was_published_earlier_is_still_in_the_chain(sealed: Wallet, exported: Export) -> None:
    published = str(head_hash())
    seal_entries()
    assert offline(exported(), "--head", published, "--head", str(head_hash()))[0] == 0


def test_audit_command_fails_for_what_was_changed(sealed: Wallet, entry_ids, rewrite: Rewrite, capsys) -> None:
    rewrite(f"UPDATE {ENTRIES} SET reason = 'gift' WHERE id = {entry_ids[0]}")
    with pytest.raises(CommandError, match="in 1 places"):
        call_command("audit_ledger")
    assert f'entry {entry_ids[0]} was changed; reason was "", is "gift"' in capsys.readouterr().out


def test_seals_that_were_all_deleted_prove_nothing_without_a_head(sealed: Wallet, rewrite: Rewrite, exported) -> None:
    published = str(head_hash())
    rewrite(f"DELETE FROM {SEALS}")
    assert not LedgerSeal.objects.exists()
    assert offline(exported(), "--head", published)[0] == 1
