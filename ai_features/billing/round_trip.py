"""One statement, there and back, for the few that are sent by the thousand.

On PostgreSQL in autocommit it is handed to libpq as it is: Django's cursor and psycopg's above it take three times
as long as the statement itself (benchmarks/README.md). Everywhere else – SQLite, inside a transaction, while queries
are logged, counted or instrumented – it goes through Django's cursor like any other. The answer is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Row = tuple[Any, ...]


def fetch_all(sql: str, parameters: Sequence[Any]) -> list[Row]:
    """The rows. Parameters (`%s`) are text, whole numbers, bytes, booleans, moments or None. Raises Django's errors."""
    database = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()
    database.ensure_connection()
    if _goes_straight(database):
        with database.wrap_database_errors:
            return _straight(database.connection, sql, parameters)
    with database.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[Row] = cursor.fetchall()
        return rows


def _goes_straight(database: BaseDatabaseWrapper) -> bool:
    return (
        database.vendor == "postgresql"
        and not database.in_atomic_block
        and database.autocommit
        and not database.queries_logged
        and not database.execute_wrappers
        and hasattr(database.connection, "pgconn")
    )


def _straight(connection: Any, sql: str, parameters: Sequence[Any]) -> list[Row]:
    # Here and not above: a host on SQLite has no psycopg.
    from psycopg import adapt, errors, pq  # noqa: PLC0415

    result = connection.pgconn.exec_params(_numbered(sql), [_as_text(value) for value in parameters])
    if result.status != pq.ExecStatus.TUPLES_OK:
        if connection.pgconn.status != pq.ConnStatus.OK:
            raise errors.OperationalError(result.error_message.decode(errors="replace"))
        raise errors.error_from_result(result)
    loader = adapt.Transformer(connection)
    loader.set_pgresult(result)
    return loader.load_rows(0, result.ntuples, tuple)


@cache
def _numbered(sql: str) -> bytes:
    """`%s` as libpq counts them: $1, $2."""
    first, *rest = sql.split("%s")
    return (first + "".join(f"${number}{text}" for number, text in enumerate(rest, start=1))).encode()


def _as_text(value: Any) -> bytes | None:
    match value:
        case None:
            return None
        case bytes():
            return b"\\x" + value.hex().encode()
        case datetime():
            return value.isoformat().encode()
        case _:
            return str(value).encode()
