"""Up to which entry the ledger is final: no transaction can still bring one with a smaller id.

On PostgreSQL ids come from a sequence before the commit, so entry 8 may be there while entry 7 is not yet. But whoever
has taken an id holds a lock on the table of wallets or of entries, since before it took the id and until it ends. So:
read the newest id, see who holds such a lock, and wait until each of those has ended. All ids up to the one that was
read are there then, or never will be. A spend can be seen a moment before the disk has it (`spend_from_one.sql`), so
all that was written is flushed last. Nobody is kept waiting: the locks are looked at, not taken, and who comes later
gets a later id. SQLite has one writer at a time; what can be seen there is final.
"""

from __future__ import annotations

import time

from django.db import connection
from django.db.models import Max

from ai_features.billing.ledger.functions import MAY_FLUSH
from ai_features.models import LedgerEntry

WAITS_SECONDS = 10.0
LOOKS_EVERY_SECONDS = 0.02

# Row locks and writes take these on the table, and a commit lets go of them only after all can see it.
_WRITERS = """
SELECT DISTINCT virtualtransaction, pid FROM pg_locks
 WHERE locktype = 'relation' AND granted AND mode IN ('RowShareLock', 'RowExclusiveLock')
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND relation IN ('ai_features_wallet'::regclass, 'ai_features_ledgerentry'::regclass)
   AND pid IS DISTINCT FROM pg_backend_pid()
"""

# Not on a standby, which sees only what has been flushed.
_FLUSH = f"""
DO $$ BEGIN
  IF {MAY_FLUSH} AND NOT pg_is_in_recovery() THEN
    PERFORM pg_logical_emit_message(true, 'ai_features', '');
  END IF;
END $$
"""

Writers = set[tuple[str, int | None]]


class EntriesNotFinalError(Exception):
    """A transaction has been open for so long that it cannot be said what the ledger holds. Nothing is lost: wait."""

    def __init__(self, writers: Writers) -> None:
        pids = ", ".join(str(pid) for _, pid in sorted(writers, key=str))
        super().__init__(
            f"A transaction that may still bring entries stays open (pid {pids} in pg_stat_activity). Try again later."
        )


def final_entry_id(*, wait_seconds: float = WAITS_SECONDS) -> int:
    """The newest id such that all before it are there too; 0 for none. Raises EntriesNotFinalError."""
    newest = LedgerEntry.objects.aggregate(newest=Max("id"))["newest"] or 0
    if newest and connection.vendor == "postgresql":
        _wait_for(_writers(), time.monotonic() + wait_seconds)
        with connection.cursor() as cursor:
            cursor.execute(_FLUSH)
    return newest


def _wait_for(earlier: Writers, deadline: float) -> None:
    while earlier := earlier & _writers():
        if time.monotonic() > deadline:
            raise EntriesNotFinalError(earlier)
        time.sleep(LOOKS_EVERY_SECONDS)


def _writers() -> Writers:
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS)
        return set(cursor.fetchall())
