"""The note that an app left with a spend is emptied after a time. Amounts, features and prices stay."""

from __future__ import annotations

from datetime import datetime

from ai_features.models import LedgerEntry

ENTRIES_AT_A_TIME = 1000


def redact_metadata(before: datetime, *, dry_run: bool = False) -> int:
    """Empty the notes of entries made before that moment; returns how many. Safe to repeat, and to stop in between."""
    noted = LedgerEntry.objects.filter(created_at__lt=before, metadata__isnull=False)
    if dry_run:
        return noted.count()
    done = 0
    while ids := list(noted.order_by("created_at").values_list("pk", flat=True)[:ENTRIES_AT_A_TIME]):
        done += LedgerEntry.objects.filter(pk__in=ids, metadata__isnull=False).update(metadata=None)
    return done
