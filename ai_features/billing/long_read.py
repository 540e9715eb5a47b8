"""For reading more rows than one wants in memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from django.db import connection, transaction


def long_read() -> AbstractContextManager[None]:
    """What `iterator` needs around it: a cursor on the server lives in a transaction, so that a pooler may stand
    between. On SQLite a transaction would lock all others out, and nothing needs one."""
    return transaction.atomic() if connection.vendor == "postgresql" else nullcontext()
