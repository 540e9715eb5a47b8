"""Files that are cut off, mixed up, or made to harm whoever checks them."""

import base64
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ai_features.billing import AIBillingService
from ai_features.billing.sealing import export, exports, forms, seal_entries
from ai_features.evidence import verify_ledger
from ai_features.models import Wallet

Lines = list[dict[str, Any]]


@pytest.fixture
def lines(sealed: Wallet, tmp_path: Path) -> Lines:
    export(tmp_path / "whole.jsonl")
    return [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]


@pytest.fixture
def check(tmp_path: Path, capsys) -> Callable[[Lines], tuple[int, str]]:
    def check(lines: Lines) -> tuple[int, str]:
        file = tmp_path / "ledger.jsonl"
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        status = verify_ledger.main([str(file)])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return check


def place(lines: Lines, kind: str, number: int = 0) -> int:
    return [index for index, line in enumerate(lines) if kind in line][number]


def test_export_is_what_it_says_and_keeps_notes_to_itself(lines: Lines, check) -> None:
    assert [next(iter(line)) for line in lines[:3]] == ["ledger", "seal", "entry"]
    assert lines[-1] == {"end": {"seals": 3, "entries": 10}}
    assert not any("metadata" in line.get("entry", {}) for line in lines)
    assert check(lines)[0] == 0


def test_seal_taken_out_of_the_file_is_named(lines: Lines, check) -> None:
    del lines[place(lines, "seal", 1)]
    status, said = check(lines)
    assert status == 1
    assert "seal 2: is missing\n" in said


def test_reordered_seals_are_named(lines: Lines, check) -> None:
    second, third = place(lines, "seal", 1), place(lines, "seal", 2)
    lines[second], lines[third] = lines[third], lines[second]
    status, said = check(lines)
    assert status == 1
    assert "seal 2: stands after seal 3: out of order\n" in said


def test_reordered_entries_are_named(lines: Lines, check) -> None:
    first = place(lines, "entry")
    lines[first], lines[first + 1] = lines[first + 1], lines[first]
    status, said = check(lines)
    assert status == 1
    assert f"stands after entry {lines[first]['entry']['id']}: out of order" in said


def test_entry_that_is_there_twice_is_named(lines: Lines, check) -> None:
    first = place(lines, "entry")
    lines.insert(first, lines[first])
    status, said = check(lines)
    assert status == 1
    assert f"entry {lines[first]['entry']['id']}" in said.splitlines()[0]


@pytest.mark.parametrize("amount", [1, -1])
def test_balance_that_does_not_follow_is_named_even_where_nothing_is_sealed(lines: Lines, check, amount: int) -> None:
    last = lines[place(lines, "entry", -1)]["entry"]
    last["balance_after"] += amount
    status, said = check(lines)
    assert status == 1
    assert said.startswith(f"entry {last['id']} (wallet {last['wallet_id']}): law 1: says balance")


def test_file_without_its_end_is_unreadable(lines: Lines, check) -> None:
    assert check(lines[:-1]) == (2, check(lines[:-1])[1])
    assert "cut off: the end is missing" in check(lines[:-1])[1]


def test_entries_cut_out_with_their_seal_at_the_end_are_missed(lines: Lines, check) -> None:
    status, said = check([*lines[: place(lines, "seal", 2)], lines[-1]])
    assert status == 1
    assert "ledger: 2 seals are here where 3 were exported" in said


BOMB = base64.b64encode(zlib.compress(b"0" * (verify_ledger.LONGEST_LINE + 1))).decode()
SEAL = {"number": 1, "first_id": 1, "last_id": 1, "count": 1, "hash": "", "previous_hash": "", "entries_hash": ""}
ENTRY = {"id": 1, "wallet_id": 1, "amount": 1, "debt_change": 0, "balance_after": 1}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 2),
        (b"\x00\xff\n", 2),
        (b"[]\n", 2),
        (b"{}\n", 2),
        (b'{"ledger": {"format": 2}}\n', 2),
        (b'{"entry": {"id": "1"}}\n', 2),
        (b'{"entry": {"id": true, "wallet_id": 1, "amount": 1, "debt_change": 0, "balance_after": 1}}\n', 2),
        (b'{"entry": {"id": NaN}}\n', 2),
        (b'{"entry": {"id": ' + b"1" * 5000 + b"}}\n", 2),
        (b"[" * 100_000 + b"\n", 2),
        (b'{"seal": {"entries": "?"}}\n', 2),
        (b'{"seal": {"entries": null, "number": 1}}\n', 2),
        (json.dumps({"seal": {**SEAL, "entries": BOMB}}).encode() + b'\n{"end": {"seals": 1, "entries": 0}}\n', 1),
        (json.dumps({"seal": {**SEAL, "entries": ""}}).encode() + b'\n{"end": {"seals": 1, "entries": 0}}\n', 1),
        (json.dumps({"seal": {**SEAL, "number": 10**15, "entries": ""}}).encode() + b'\n{"end": {}}\n', 1),
        (json.dumps({"entry": {**ENTRY, "reason": "\ud800\u202e"}}).encode() + b'\n{"end": {"seals": 0}}\n', 1),
        (b'{"end": {"seals": 0, "entries": 0}}', 2),
    ],
)
def test_hostile_file_gets_a_line_and_no_traceback(tmp_path: Path, capsys, content: bytes, status: int) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(content)
    assert verify_ledger.main([str(file)]) == status
    assert "".join(capsys.readouterr()).strip()


def test_compressed_file_that_was_cut_off_is_unreadable(sealed: Wallet, tmp_path: Path, capsys) -> None:
    file = tmp_path / "ledger.jsonl.gz"
    export(file)
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == 15
    file.write_bytes(file.read_bytes()[:-20])
    assert verify_ledger.main([str(file)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_file_that_is_not_there_is_said(capsys) -> None:
    assert verify_ledger.main(["/nowhere/ledger.jsonl"]) == 2
    assert "No such file" in capsys.readouterr().err


def test_export_to_where_nothing_can_be_written_is_refused(sealed: Wallet, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("export_ledger", str(tmp_path / "nowhere" / "ledger.jsonl"))


def test_memory_stays_flat(wallet: Wallet, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(forms, "ENTRIES_AT_A_TIME", 50)
    monkeypatch.setattr(exports, "SEALS_AT_A_TIME", 2)
    AIBillingService.grant(wallet, 100, reason="trial")

    def peak(entries: int) -> int:
        for _ in range(entries // 200):
            AIBillingService.spend_many(wallet, [{"credits": "0.001"}] * 200)
        tracemalloc.start()
        seal_entries(at_a_time=10)
        export(tmp_path / "ledger.jsonl.gz")
        assert verify_ledger.main([str(tmp_path / "ledger.jsonl.gz")]) == 0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = peak(400), peak(4000)
    # Bytes for each entry more: held lines or copies of seals take over 110, connections that learn statements 40.
    assert (many - few) / 3600 < 80
