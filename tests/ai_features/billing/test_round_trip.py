"""Statements of the credit engine that a PostgreSQL connection has prepared, and what may have become of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from ai_features.billing import AIBillingService, round_trip
from ai_features.billing.round_trip import fetch_all
from ai_features.models import LedgerEntry, Wallet
from tests.laws import assert_laws

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's statements are prepared by its module"),
]


@contextmanager
def connected(threshold: int | None) -> Iterator[None]:
    """A connection that has sent nothing yet."""
    options = connection.settings_dict["OPTIONS"]
    before = options["prepare_threshold"]
    connection.close()
    options["prepare_threshold"] = threshold
    yield
    options["prepare_threshold"] = before
    connection.close()


def prepared() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        return {name for (name,) in cursor.fetchall()}


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 100, reason="trial")
    return wallet


def test_statement_is_prepared_once_it_was_sent_that_often(rich: Wallet) -> None:
    with connected(2):
        known = []
        for _ in range(4):
            AIBillingService.spend(rich, 1)
            known.append(len(prepared()))
    assert known == [0, 0, 1, 1]


def test_nothing_is_prepared_without_a_threshold(rich: Wallet) -> None:
    with connected(None):
        for _ in range(7):
            AIBillingService.spend(rich, 1)
        assert prepared() == set()


def test_new_connection_prepares_anew(rich: Wallet) -> None:
    for _ in range(2):
        with connected(0):
            AIBillingService.spend(rich, 1)
            assert len(prepared()) == 1


def test_session_that_lost_its_statements_spends_once(rich: Wallet) -> None:
    with connected(0):
        AIBillingService.spend(rich, 1)
        execute("DEALLOCATE ALL")
        AIBillingService.spend(rich, 1)
        assert len(prepared()) == 1
    assert LedgerEntry.objects.filter(kind="spend").count() == 2
    assert_laws(rich)


def test_statement_that_another_prepared_in_the_session_is_used(rich: Wallet) -> None:
    with connected(0):
        fetch_all("SELECT %s::int", [1])
        (name,) = prepared()
    with connected(0):
        execute(f"PREPARE {name} (int) AS SELECT $1")
        assert fetch_all("SELECT %s::int", [7]) == [(7,)]


def test_answer_that_changed_its_form_is_read_anew(db: None) -> None:
    with connected(0):
        execute("CREATE TEMPORARY TABLE form AS SELECT 1 AS one")
        assert fetch_all("SELECT * FROM form WHERE one = %s", [1]) == [(1,)]
        execute("ALTER TABLE form ADD two int DEFAULT 2")
        assert fetch_all("SELECT * FROM form WHERE one = %s", [1]) == [(1, 2)]


class Pooler:
    """Gives each call another session than the one before, and keeps no account of what they have prepared: as
    PgBouncer in transaction mode up to 1.20, and later without `max_prepared_statements`."""

    def __init__(self, *sessions: Any) -> None:
        self._sessions = cycle(sessions)
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(next(self._sessions), name)


@contextmanager
def pooler_of(count: int) -> Iterator[Pooler]:
    others = [connection.copy() for _ in range(count)]
    try:
        for other in others:
            other.ensure_connection()
        yield Pooler(*(other.connection.pgconn for other in others))
    finally:
        for other in others:
            other.close()


def test_pooler_that_loses_statements_has_them_as_text(db: None) -> None:
    from psycopg import pq  # noqa: PLC0415

    session = round_trip._Session()
    with pooler_of(5) as pooler:
        for _ in range(3):
            result = round_trip._ask_prepared(pooler, session, b"one", b"SELECT $1::int", [b"7"])
            assert (result.status, result.get_value(0, 0)) == (pq.ExecStatus.TUPLES_OK, b"7")
    assert pooler.calls == ["prepare", "exec_prepared"] * 2 + ["exec_params"] * 3


def test_answer_that_changed_its_form_is_never_prepared_again(db: None) -> None:
    """PgBouncer would close the connection: to it the name stands for the old form."""
    session, columns = round_trip._Session(), []
    with pooler_of(1) as pooler:
        pooler.exec_(b"CREATE TEMPORARY TABLE form AS SELECT 1 AS one")
        for _ in range(3):
            result = round_trip._ask_prepared(pooler, session, b"all", b"SELECT * FROM form WHERE one = $1", [b"1"])
            columns.append(result.nfields)
            pooler.exec_(b"ALTER TABLE form ADD IF NOT EXISTS two int DEFAULT 2")
    assert columns == [1, 2, 2]
    asked = [call for call in pooler.calls if call != "exec_"]
    assert asked == ["prepare", "exec_prepared", "exec_prepared", "exec_params", "exec_params"]


def test_server_that_restarted_is_away_and_not_refusing(rich: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg import pq  # noqa: PLC0415

    # As libpq has it where the query could not be sent and a warning was still there to be read.
    lost = connection.connection.pgconn.make_empty_result(pq.ExecStatus.FATAL_ERROR)
    monkeypatch.setattr(round_trip, "_ask", lambda *_: lost)
    with pytest.raises(OperationalError):
        AIBillingService.spend(rich, 1)
    assert LedgerEntry.objects.filter(kind="spend").count() == 0


def test_errors_are_those_of_django(db: None) -> None:
    with connected(0):
        execute("CREATE TEMPORARY TABLE form (one int CHECK (one > 0))")
        for _ in range(2):
            with pytest.raises(IntegrityError, match="form_one_check"):
                fetch_all("INSERT INTO form VALUES (%s) RETURNING one", [0])
        assert fetch_all("INSERT INTO form VALUES (%s) RETURNING one", [1]) == [(1,)]
