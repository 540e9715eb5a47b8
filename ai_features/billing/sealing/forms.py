"""Entries and seals as the values that are hashed: whole numbers, texts, and moments in one form.

A column that is null is left out, so that one added later changes nothing about the entries from before it. `metadata`
is left out too: it may be emptied, by law, and a seal must outlive that.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ai_features.models import LedgerEntry, LedgerSeal

UNSEALED = frozenset({"metadata"})
COLUMNS = tuple(sorted(f.attname for f in LedgerEntry._meta.concrete_fields if f.attname not in UNSEALED))
ENTRIES_AT_A_TIME = 1000


def entries(*, after: int, up_to: int) -> Iterator[dict[str, Any]]:
    """In the order of ids, read a thousand at a time: memory stays flat, and no statement runs for long."""
    while page := entries_page(after, up_to, ENTRIES_AT_A_TIME):
        yield from page
        after = page[-1]["id"]


def entries_page(after: int, up_to: int, at_most: int) -> list[dict[str, Any]]:
    rows = LedgerEntry.objects.filter(id__gt=after, id__lte=up_to).order_by("id").values_list(*COLUMNS)[:at_most]
    return [
        {name: in_form(value) for name, value in zip(COLUMNS, row, strict=True) if value is not None} for row in rows
    ]


def in_form(value: Any) -> Any:
    match value:
        case datetime():
            return moment(value)
        case UUID():  # a host's users may have such ids
            return str(value)
        case _:
            return value


def moment(value: datetime) -> str:
    """2026-11-24T18:00:00.000000Z, always with six places."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seal_record(seal: LedgerSeal) -> dict[str, Any]:
    return {
        "number": seal.number,
        "first_id": seal.first_id,
        "last_id": seal.last_id,
        "count": seal.count,
        "entries": _bytes(seal.entries),
        "entries_hash": seal.entries_hash,
        "previous_hash": seal.previous_hash,
        "hash": seal.hash,
        "sealed_at": in_form(seal.sealed_at),
    }


def _bytes(value: Any) -> bytes:
    """SQLite holds a text where somebody has put one."""
    return value.encode() if isinstance(value, str) else bytes(value)
