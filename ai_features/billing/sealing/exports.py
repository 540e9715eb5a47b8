"""The ledger as the records that `evidence/verify_ledger.py` reads: each seal before its entries, and at the end those
that are not sealed yet. The audit gives the same records to the same verifier."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from django.utils import timezone

from ai_features.billing.sealing.finality import final_entry_id
from ai_features.billing.sealing.forms import entries, moment, seal_record
from ai_features.evidence.verify_ledger import BEFORE_ALL, FORMAT, Breach, UnreadableError, Verifier, verify
from ai_features.models import LedgerEntry, LedgerSeal

Progress = Callable[[int, int], None]
Record = dict[str, Any]

SEALS_AT_A_TIME = 20


def export(path: Path, progress: Progress | None = None) -> Verifier:
    """Write everything to a file, in JSON lines, compressed where its name ends in .gz. The file is there when it is
    whole. Returns the verifier that read along: how much it is, the head, and not what was found.

    Raises OSError, and EntriesNotFinalError.
    """
    final = final_entry_id()
    part = path.with_name(f"{path.name}.part")
    verifier = Verifier()
    try:
        with _open(part, is_zipped=path.suffix == ".gz") as file:
            for record in records(final, progress):
                list(verifier.take(record))
                file.write(_line(record))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return verifier


def broken_seals(progress: Progress | None = None) -> Iterator[Breach]:
    """What is not as it was sealed. Entries that no seal has are not looked at, nor balances: the audit has both."""
    try:
        yield from verify(records(BEFORE_ALL, progress), Verifier(check_balances=False))
    # SQLite keeps whatever somebody puts into a column.
    except UnreadableError as error:
        yield Breach(f"a row cannot be read: {error}")


def records(final: int, progress: Progress | None = None) -> Iterator[Record]:
    """All seals there are now with the entries of their ranges, then the entries up to `final`."""
    last, last_id = LedgerSeal.objects.order_by("-number").values_list("number", "last_id").first() or (0, BEFORE_ALL)
    total, done, seals = LedgerEntry.objects.filter(id__lte=max(final, last_id)).count(), 0, 0
    after = BEFORE_ALL
    yield {"ledger": {"format": FORMAT, "exported_at": moment(timezone.now())}}
    for seal in _seals(last):
        seals += 1
        yield {"seal": seal_record(seal)}
        for entry in entries(after=after, up_to=seal.last_id):
            done += 1
            yield {"entry": entry}
        after = max(after, seal.last_id)
        if progress is not None:
            progress(done, max(done, total))
    for entry in entries(after=after, up_to=final):
        done += 1
        yield {"entry": entry}
    yield {"end": {"seals": seals, "entries": done}}


def _seals(last: int) -> Iterator[LedgerSeal]:
    after = 0
    while page := list(
        LedgerSeal.objects.filter(number__gt=after, number__lte=last).order_by("number")[:SEALS_AT_A_TIME]
    ):
        yield from page
        after = page[-1].number


def _line(record: Record) -> bytes:
    if "seal" in record:
        record = {"seal": {**record["seal"], "entries": base64.b64encode(record["seal"]["entries"]).decode()}}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _open(path: Path, *, is_zipped: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "wb")) if is_zipped else path.open("wb")
