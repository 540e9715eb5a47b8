"""One statement, there and back, for the few that are sent by the thousand.

On PostgreSQL in autocommit it is handed to libpq as it is: Django's cursor and psycopg's above it take three times
as long as the statement itself (benchmarks/README.md). Everywhere else – SQLite, inside a transaction, while queries
are logged, counted or instrumented – it goes through Django's cursor like any other. The answer is the same.

Where connections prepare statements (`OPTIONS: {"prepare_threshold": 5}`, psycopg's own switch, which Django leaves off
for the sake of poolers), PostgreSQL parses and plans each of them once a session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. To make `rows` of it takes a while, for which nobody need wait: any thread may, at any time, and
    again. While another uses the connection, only of numbers, truth values and arrays of them, since psycopg looks at
    the connection for how it has text and moments."""

    rows: Callable[[], list[Row]]
    begins_with_null: bool
    """So a procedure, which always answers with one row, says that it has nothing to say."""


def fetch_all(sql: str, parameters: Sequence[Any]) -> list[Row]:
    """The rows; all else as `ask`."""
    return ask(sql, parameters).rows()


def ask(sql: str, parameters: Sequence[Any]) -> Answer:
    """Parameters (`%s`) are text, whole numbers, bytes, booleans, moments or None. Raises Django's errors."""
    database = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()
    database.ensure_connection()
    if _goes_straight(database):
        with database.wrap_database_errors:
            return _straight(database.connection, sql, parameters)
    with database.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[Row] = cursor.fetchall()
        return Answer(lambda: rows, bool(rows) and rows[0][0] is None)


def _goes_straight(database: BaseDatabaseWrapper) -> bool:
    return (
        database.vendor == "postgresql"
        and not database.in_atomic_block
        and database.autocommit
        and not database.queries_logged
        and not database.execute_wrappers
        and hasattr(database.connection, "pgconn")
    )


def _straight(connection: Any, sql: str, parameters: Sequence[Any]) -> Answer:
    # Here and not above: a host on SQLite has no psycopg.
    from psycopg import errors, pq  # noqa: PLC0415

    result = _ask(connection, _numbered(sql), [_as_text(value) for value in parameters])
    if result.status != pq.ExecStatus.TUPLES_OK:
        # What has no SQLSTATE is libpq's own: it lost the server, though it may not say so yet – as where all it reads
        # after a restart is the server's last warning.
        if _state(result) is None or connection.pgconn.status != pq.ConnStatus.OK:
            raise errors.OperationalError(result.error_message.decode(errors="replace"))
        raise errors.error_from_result(result)
    begins_with_null = bool(result.ntuples) and result.get_value(0, 0) is None
    return Answer(partial(_rows, connection, result), begins_with_null)


def _rows(connection: Any, result: Any) -> list[Row]:
    from psycopg import adapt  # noqa: PLC0415

    loader = adapt.Transformer(connection)
    loader.set_pgresult(result)
    return loader.load_rows(0, result.ntuples, tuple)


@dataclass(slots=True)
class _Session:
    """What a connection has sent so far, by name: how often a statement came as text, what is prepared, and what will
    not be again."""

    sent: Counter[bytes] = field(default_factory=Counter)
    prepared: set[bytes] = field(default_factory=set)
    only_text: set[bytes] = field(default_factory=set)


_SESSIONS: WeakKeyDictionary[Any, _Session] = WeakKeyDictionary()


def _ask(connection: Any, sql: bytes, values: Sequence[bytes | None]) -> Any:
    threshold = connection.prepare_threshold
    if threshold is None:
        return connection.pgconn.exec_params(sql, values)
    session, name = _SESSIONS.get(connection), _name(sql)
    if session is None:
        session = _SESSIONS[connection] = _Session()
    if name not in session.prepared and session.sent[name] < threshold:
        session.sent[name] += 1
        return connection.pgconn.exec_params(sql, values)
    return _ask_prepared(connection.pgconn, session, name, sql, values)


_DUPLICATE = b"42P05"
_GONE, _CHANGED = b"26000", b"0A000"
"""SQLSTATE of a statement that the session does not have (somebody discarded it, or a pooler gave us another session),
or whose answer has another form by now (a migration). Both are told before anything is done."""


def _ask_prepared(pgconn: Any, session: _Session, name: bytes, sql: bytes, values: Sequence[bytes | None]) -> Any:
    """As text where that fails, and then for as long as the connection lives: behind PgBouncer a name that was prepared
    cannot be given to another form."""
    for _ in range(0 if name in session.only_text else 2):
        if name not in session.prepared:
            state = _state(pgconn.prepare(name, sql))
            if state not in (None, _DUPLICATE):
                # What it is will be told without preparing it, too.
                return pgconn.exec_params(sql, values)
            session.prepared.add(name)
        result = pgconn.exec_prepared(name, values)
        state = _state(result)
        if state not in (_GONE, _CHANGED):
            return result
        session.prepared.discard(name)
        if state == _CHANGED:
            break
    session.only_text.add(name)
    return pgconn.exec_params(sql, values)


def _state(result: Any) -> bytes | None:
    """The SQLSTATE of an error that the server told; None of a success, and of an error of libpq's own."""
    from psycopg import pq  # noqa: PLC0415

    state: bytes | None = result.error_field(pq.DiagnosticField.SQLSTATE)
    return state


@cache
def _name(sql: bytes) -> bytes:
    """The same for the same text in each process, for sessions that a pooler hands round."""
    return b"ai_features_" + sha256(sql).hexdigest()[:32].encode()


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
