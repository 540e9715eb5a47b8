#!/usr/bin/env python3
"""Check an exported ledger on any machine: python verify_ledger.py FILE [--head HASH]

One file that needs Python 3.11 or later and nothing else: copy it to where the export is read. It finds and names each
entry that was changed, removed or inserted since it was sealed, each seal that is missing or out of place, and each
entry whose balance does not follow from the one before it in the same wallet. Exit status: 0 everything is as it was
sealed, 1 something is not, 2 the file cannot be read to its end.

What is hashed, always SHA-256 of canonical JSON (keys sorted, no spaces, ASCII) and written in hexadecimal:

    an entry     its columns but for `metadata`, those that are null left out; credits are whole micro-credits
    its seal     `entries_hash` is the hash of its entries' JSON, one a line, in the order of their ids; `hash` is that
                 of all the seal says besides, with `previous_hash`, the hash of the seal before (the first has zeros)
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

FORMAT = 1
NO_HASH = "0" * 64
BEFORE_ALL = -(1 << 63) - 1
"""Less than any number that an entry can have."""
LONGEST_LINE = 64 * 1024 * 1024
SEAL_FIELDS = ("number", "first_id", "last_id", "count", "entries_hash", "previous_hash", "sealed_at")
ENTRY_NUMBERS = ("id", "wallet_id", "amount", "debt_change", "balance_after")

Record = dict[str, Any]
"""One line of an export: the only key says what it is – ledger, seal, entry, end."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class UnreadableError(Exception):
    """This is no export of a ledger, or not all of one."""


@dataclass(frozen=True)
class Breach:
    """What is not as it was sealed. `wallet_id` is known where an entry is named."""

    found: str
    seal: int | None = None
    entry: int | None = None
    wallet_id: int | None = None

    def __str__(self) -> str:
        wallet = "" if self.wallet_id is None else f" (wallet {self.wallet_id})"
        return f"{self.where}{wallet}: {self.found}"

    @property
    def where(self) -> str:
        named = {"seal": self.seal, "entry": self.entry}
        return ", ".join(f"{what} {number}" for what, number in named.items() if number is not None) or "ledger"


def canonical(values: Record) -> str:
    return _ENCODER.encode(values)


def parse(text: str | bytes) -> Record:
    """One JSON object. Raises ValueError for anything else."""
    try:
        found = json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004  one error for whatever a file may hold
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def entries_hash(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def seal_hash(seal: Record) -> str:
    """Of what it says besides `hash` itself and the copy of its entries, for which `entries_hash` stands."""
    return hashlib.sha256(canonical({name: seal.get(name) for name in SEAL_FIELDS}).encode()).hexdigest()


def pack(lines: Iterable[str]) -> bytes:
    return zlib.compress("\n".join(lines).encode())


def unpack(copy: bytes) -> list[str]:
    """The entries' lines. Raises ValueError for what `pack` did not make."""
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(copy, LONGEST_LINE)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof:
        raise ValueError("too long, or cut off")
    return text.decode().split("\n")


class Verifier:
    """Takes the records of an export in order, and says what is wrong with each.

    Memory grows with the number of wallets, for their balances, and not with that of entries or seals.
    """

    def __init__(self, heads: Iterable[str] = (), *, check_balances: bool = True) -> None:
        self.entries = self.sealed = self.seals = 0
        self.head: Record = {"number": 0, "last_id": BEFORE_ALL, "hash": NO_HASH}
        self.is_complete = False
        self._check_balances = check_balances
        self._published = dict.fromkeys(heads, False)
        self._balances: dict[int, int] = {}
        self._left: dict[int, str] = {}  # of the seal at hand, what has not come by yet
        self._vouched = True  # for its copy of them
        self._excused_below = BEFORE_ALL  # entries of a seal that is missing, which was said once
        self._last_id = BEFORE_ALL

    def take(self, record: Record) -> Iterator[Breach]:
        """Raises UnreadableError for what is no record."""
        match record:
            case {"seal": dict(seal)}:
                yield from self._seal(seal)
            case {"entry": dict(entry)}:
                yield from self._entry(entry)
            case {"end": dict(end)}:
                yield from self._end(end)
            case {"ledger": {"format": 1}}:
                return
            case _:
                raise UnreadableError(f"no record of an exported ledger, format {FORMAT}")

    def _seal(self, seal: Record) -> Iterator[Breach]:
        _require(seal, ("number", "first_id", "last_id", "count"), ("hash", "previous_hash", "entries_hash"))
        yield from self._removed()
        number, before = seal["number"], self.head
        yield from self._place(seal, before)
        if seal_hash(seal) != seal["hash"]:
            yield Breach("what it says does not give its hash: it was changed", number)
        yield from self._open(seal)
        self.seals += 1
        self.head = seal
        if seal["hash"] in self._published:
            self._published[seal["hash"]] = True

    def _place(self, seal: Record, before: Record) -> Iterator[Breach]:
        number, expected = seal["number"], before["number"] + 1
        self._excused_below = BEFORE_ALL
        if number < expected:
            yield Breach(f"stands after seal {before['number']}: out of order", number)
        for missing in range(expected, min(number, expected + 100)):
            yield Breach("is missing", missing)
            self._excused_below = seal["first_id"]
        if number == expected and seal["previous_hash"] != before["hash"]:
            yield Breach(f"does not follow from seal {before['number']}: one of them was replaced", number)
        if seal["first_id"] <= before["last_id"] and number >= expected:
            yield Breach(f"begins with entry {seal['first_id']}, which seal {before['number']} has passed", number)

    def _open(self, seal: Record) -> Iterator[Breach]:
        """The seal's own copy of its entries, in which what is missing or changed can be read up."""
        number = seal["number"]
        try:
            lines = unpack(seal["entries"])
            self._left = {_id_of(line): line for line in lines}
        except ValueError:
            lines, self._left = [], {}
        self._vouched = bool(lines) and entries_hash(lines) == seal["entries_hash"]
        if not self._vouched:
            self._left = {}
            yield Breach("its copy of the entries was changed: what it sealed cannot be compared any more", number)
        elif (len(lines), min(self._left), max(self._left)) != (seal["count"], seal["first_id"], seal["last_id"]):
            yield Breach("its entries are others than it says", number)

    def _entry(self, entry: Record) -> Iterator[Breach]:
        _require(entry, ENTRY_NUMBERS)
        number, wallet_id = entry["id"], entry["wallet_id"]
        self.entries += 1
        if number <= self._last_id:
            yield Breach(f"stands after entry {self._last_id}: out of order", None, number, wallet_id)
        self._last_id = max(number, self._last_id)
        if number <= self.head["last_id"]:
            self.sealed += 1
            yield from self._compare(entry)
        if self._check_balances:
            yield from self._follow(entry)

    def _compare(self, entry: Record) -> Iterator[Breach]:
        number = entry["id"]
        sealed = self._left.pop(number, None)
        if sealed is None:
            if self._vouched and number >= self._excused_below:
                yield Breach("was inserted after the seal", self.head["number"], number, entry["wallet_id"])
        elif sealed != canonical(entry):
            yield Breach(_differences(parse(sealed), entry), self.head["number"], number, entry["wallet_id"])

    def _follow(self, entry: Record) -> Iterator[Breach]:
        """Law 1: a wallet's balance is what its entries add up to. After a break it goes on from what is said."""
        wallet_id, says = entry["wallet_id"], entry["balance_after"]
        follows = self._balances.get(wallet_id, 0) + entry["amount"] + entry["debt_change"]
        self._balances[wallet_id] = says
        if says != follows:
            yield Breach(f"law 1: says balance {says} where {follows} follows", None, entry["id"], wallet_id)

    def _removed(self) -> Iterator[Breach]:
        for number, line in sorted(self._left.items()):
            sealed = parse(line)
            found = f"was removed; it was {canonical(sealed)}"
            yield Breach(found, self.head["number"], number, sealed.get("wallet_id"))
        self._left = {}

    def _end(self, end: Record) -> Iterator[Breach]:
        yield from self._removed()
        self.is_complete = True
        for name, count in (("seals", self.seals), ("entries", self.entries)):
            if end.get(name) != count:
                yield Breach(f"{count} {name} are here where {end.get(name)} were exported")
        for published in (hash_ for hash_, is_found in self._published.items() if not is_found):
            yield Breach(f"no seal has the hash {published}: the seals were made anew, or this is another ledger")


def verify(records: Iterable[Record], verifier: Verifier) -> Iterator[Breach]:
    for record in records:
        yield from verifier.take(record)
    if not verifier.is_complete:
        raise UnreadableError("cut off: the end is missing")


def _differences(sealed: Record, now: Record) -> str:
    names = [name for name in sorted({*sealed, *now}) if sealed.get(name) != now.get(name)]
    return "was changed; " + ", ".join(f"{name} was {_shown(sealed, name)}, is {_shown(now, name)}" for name in names)


def _id_of(line: str) -> int:
    number = parse(line).get("id")
    if type(number) is not int:
        raise ValueError("an entry without its number")
    return number


def _shown(values: Record, name: str) -> str:
    return json.dumps(values.get(name))


def _require(record: Record, numbers: tuple[str, ...], hashes: tuple[str, ...] = ()) -> None:
    for name in numbers:
        if type(record.get(name)) is not int:
            raise UnreadableError(f"{name} is no whole number")
    for name in hashes:
        if not isinstance(record.get(name), str):
            raise UnreadableError(f"{name} is no hash")


# Reading the file


def read(lines: IO[bytes]) -> Iterator[Record]:
    """The records of a file, a line at a time. Raises UnreadableError with the line's number."""
    number = 0
    while line := _line(lines, number + 1):
        number += 1
        try:
            record = parse(line)
            if isinstance(seal := record.get("seal"), dict):
                seal["entries"] = base64.b64decode(str(seal.get("entries")), validate=True)
        except ValueError as error:
            raise UnreadableError(f"line {number} is no record: {error}") from error
        yield record
    if not number:
        raise UnreadableError("empty")


def _line(lines: IO[bytes], number: int) -> bytes:
    try:
        line = lines.readline(LONGEST_LINE)
    except (EOFError, OSError, zlib.error) as error:
        raise UnreadableError(f"line {number} cannot be read: {error}") from error
    if line and not line.endswith(b"\n"):
        raise UnreadableError(f"line {number} is cut off, or too long")
    return line


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check an exported ledger. Exit status 0: as sealed, 1: not, 2: unreadable."
    )
    parser.add_argument("file", metavar="FILE", help="As `manage.py export_ledger` wrote it; gzip if it ends in .gz.")
    parser.add_argument(
        "--head", action="append", default=[], metavar="HASH", help="A hash that was published: a seal must have it."
    )
    given = parser.parse_args(words)
    verifier = Verifier(given.head)
    breaches = 0
    try:
        with open(given.file, "rb") as raw, _unzipped(raw, given.file) as lines:  # noqa: PTH123
            for breach in verify(_with_progress(read(lines), raw), verifier):
                print(breach)
                breaches += 1
    except (OSError, RecursionError, UnreadableError) as error:
        print(f"{given.file}: {error}", file=sys.stderr)
        return 2
    rest = verifier.entries - verifier.sealed
    print(f"Seals: {verifier.seals}. Entries: {verifier.sealed} sealed, {rest} not yet.")
    print(f"Head: {verifier.head['hash']}")
    if breaches:
        print(f"Not as it was sealed, in {breaches} places.")
        return 1
    print("Everything is as it was sealed." + ("" if given.head else " Compare the head with one that was published."))
    return 0


def _unzipped(raw: IO[bytes], name: str) -> IO[bytes]:
    return gzip.open(raw, "rb") if name.endswith(".gz") else raw  # type: ignore[return-value]


def _with_progress(records: Iterator[Record], raw: IO[bytes]) -> Iterator[Record]:
    size = os.fstat(raw.fileno()).st_size
    shows = sys.stderr.isatty()
    for number, record in enumerate(records):
        if shows and number % 10_000 == 0:
            print(f"\r{raw.tell() / max(size, 1):4.0%}", end="\r", file=sys.stderr, flush=True)
        yield record


if __name__ == "__main__":
    sys.exit(main())
