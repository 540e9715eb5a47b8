"""The next seals. Safe to repeat, to stop in between and to run twice at once: who comes second goes on from there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from ai_features.billing.sealing.finality import WAITS_SECONDS, EntriesNotFinalError, final_entry_id
from ai_features.billing.sealing.forms import ENTRIES_AT_A_TIME, entries_page, seal_record
from ai_features.evidence import verify_ledger as form
from ai_features.models import LedgerEntry, LedgerSeal

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Sealed:
    seals: int = 0
    entries: int = 0


def seal_entries(
    progress: Progress | None = None,
    *,
    dry_run: bool = False,
    at_a_time: int = ENTRIES_AT_A_TIME,
    wait_seconds: float = WAITS_SECONDS,
) -> Sealed:
    """Seal what is final and not sealed yet, `at_a_time` entries in a seal; a dry run only counts.

    Raises EntriesNotFinalError where a transaction keeps it from knowing for `wait_seconds`.
    """
    up_to = final_entry_id(wait_seconds=wait_seconds)
    head = _head()
    total = LedgerEntry.objects.filter(id__gt=_last_id(head), id__lte=up_to).count()
    if dry_run:
        return Sealed(-(-total // at_a_time), total)
    seals = entries = 0
    while page := entries_page(_last_id(head), up_to, at_a_time):
        made = _next(head, page)
        if _add(made):
            head = made
            seals, entries = seals + 1, entries + len(page)
        else:
            head = _head()
        if progress is not None:
            progress(min(entries, total), total)
    return Sealed(seals, entries)


def seal_by_the_clock() -> None:
    """As `seal_entries`, with the head in the log: where logs are kept elsewhere, that publishes it."""
    try:
        sealed = seal_entries()
    except EntriesNotFinalError as error:
        log.warning("ledger not sealed: %s", error)
        return
    if sealed.seals:
        log.info("ledger sealed: %s entries, head %s", sealed.entries, head_hash())


def head_hash() -> str | None:
    """The hash that vouches for everything sealed so far; None where nothing is."""
    head = _head()
    return None if head is None else head.hash


def _head() -> LedgerSeal | None:
    return LedgerSeal.objects.defer("entries").order_by("-number").first()


def _last_id(head: LedgerSeal | None) -> int:
    return form.BEFORE_ALL if head is None else head.last_id


def _next(head: LedgerSeal | None, page: list[dict[str, Any]]) -> LedgerSeal:
    lines = [form.canonical(entry) for entry in page]
    seal = LedgerSeal(
        number=1 if head is None else head.number + 1,
        first_id=page[0]["id"],
        last_id=page[-1]["id"],
        count=len(page),
        entries=form.pack(lines),
        entries_hash=form.entries_hash(lines),
        previous_hash=form.NO_HASH if head is None else head.hash,
        sealed_at=timezone.now(),
    )
    seal.hash = form.seal_hash(seal_record(seal))
    return seal


def _add(seal: LedgerSeal) -> bool:
    """False where another process has made the seal of this number meanwhile."""
    try:
        with transaction.atomic():
            seal.save(force_insert=True)
    except IntegrityError:
        if not LedgerSeal.objects.filter(number=seal.number).exists():
            raise
        return False
    return True
