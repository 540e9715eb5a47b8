"""The sandbox's state: one SQLite database, in memory or in a file, behind one lock.

Every call is an index lookup or a short transaction. With a file, committed work survives a killed process;
it need not survive a power cut, so SQLite does not wait for the disk.
"""

import contextlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, ClassVar, TypeVar

SCHEMA_VERSION = 2
# Above 2^32, so that clients which keep ids in 32 bits fail here and not in production.
FIRST_ID = 5_000_000_000
FIRST_SMALL_ID = 3_000_000
_LARGE_IDS = ("transactions", "customers")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
# Those that others refer to come last.
_BUSINESS_TABLES = (
    *("webhook_attempts", "webhooks", "timers", "files", "ledger_entries", "invoices", "refunds", "disputes"),
    *("transactions", "subscriptions", "plans", "settlements", "authorizations", "customers"),
    *("transaction_totals", "customer_totals", "meta"),
)


class DuplicateReference(Exception):
    """The integration already has a transaction with this reference."""


class UnusableDataFile(Exception):
    """The data file is not a database of this version of the sandbox."""


@dataclass(frozen=True, slots=True)
class Integration:
    """A Paystack account in one mode, known by its secret key."""

    id: int
    secret_key: str
    currencies: tuple[str, ...]
    webhook_url: str | None

    @property
    def domain(self) -> str:
        return "live" if self.secret_key.startswith("sk_live_") else "test"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A row of `transactions` with the customer's columns beside it."""

    id: int
    integration_id: int
    customer_id: int
    reference: str
    reference_key: str
    access_code: str
    status: str
    currency: str
    amount: int
    requested_amount: int
    channel: str | None
    channels: str | None
    callback_url: str | None
    label: str | None
    metadata: str
    message: str | None
    gateway_response: str
    fees: int | None
    ip_address: str | None
    authorization: str
    log: str | None
    pending: str | None
    created_at: int
    paid_at: int | None
    origin: str
    plan_id: int | None
    invoice_limit: int | None
    subscription_id: int | None
    settlement_id: int | None
    customer_code: str
    email: str
    first_name: str | None
    last_name: str | None
    phone: str | None
    customer_metadata: str | None
    risk_action: str

    @property
    def is_paid(self) -> bool:
        return self.status in PAID_STATUSES


PAID_STATUSES = frozenset({"success", "reversal-pending", "reversed"})


@dataclass(frozen=True, slots=True)
class Webhook:
    id: int
    integration_id: int
    event: str
    reference: str | None
    url: str | None
    body: bytes
    created_at: int
    first_attempt_at: int
    next_attempt_at: int | None
    delivered: int
    retries: int
    row_id: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    at: int
    status: int | None
    error: str | None
    response: str | None
    fault: str | None


class Record:
    """A row of `table`: a dataclass whose fields are its columns, in their order."""

    table: ClassVar[str]
    id: int


AnyRecord = TypeVar("AnyRecord", bound=Record)

_SELECT_TRANSACTION = (
    "SELECT t.*, c.code, c.email, c.first_name, c.last_name, c.phone, c.metadata, c.risk_action "
    "FROM transactions t JOIN customers c ON c.id = t.customer_id "
)


def random_code(length: int) -> str:
    """Lower-case letters and digits, as in Paystack's references, access codes and customer codes."""
    return "".join([_ALPHABET[byte % 36] for byte in secrets.token_bytes(length)])


class State:
    """All the sandbox remembers. Safe to call from any thread."""

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        try:
            self._prepare(path)
        except (sqlite3.DatabaseError, UnusableDataFile) as error:
            self._connection.close()
            raise UnusableDataFile(f"{path}: {error}") from error

    def _prepare(self, path: str) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = OFF")
        run("PRAGMA foreign_keys = ON")
        version = run("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        if version != 0 or run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise UnusableDataFile("not a data file of this version of the sandbox")
        schema = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
        # One transaction, so that a process killed here leaves an empty file and not half a schema.
        self._connection.executescript(f"BEGIN;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; may be nested. Holds the lock, so nothing slow belongs inside."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
            return row

    def _write(self, sql: str, *values: Any) -> int:
        with self._lock:
            return self._connection.execute(sql, values).lastrowid or 0

    # Any table

    def next_id(self, table: str) -> int:
        last = self._one(f"SELECT max(id) FROM {table}")  # noqa: S608
        assert last is not None
        return max(last[0] or 0, FIRST_ID if table in _LARGE_IDS else FIRST_SMALL_ID) + 1

    def insert(self, table: str, **columns: Any) -> int:
        """Add a row under the next free id, and answer the id."""
        row_id = self.next_id(table)
        names = ", ".join(columns)
        marks = ", ".join("?" * (len(columns) + 1))
        return self._write(f"INSERT INTO {table} (id, {names}) VALUES ({marks})", row_id, *columns.values())  # noqa: S608

    def update(self, table: str, row_id: int, **columns: Any) -> None:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._write(f"UPDATE {table} SET {assignments} WHERE id = ?", *columns.values(), row_id)  # noqa: S608

    def find(self, kind: type[AnyRecord], where: str, *values: Any) -> AnyRecord | None:
        row = self._one(f"SELECT * FROM {kind.table} WHERE {where} LIMIT 1", *values)  # noqa: S608
        return None if row is None else kind(*row)

    def get(self, kind: type[AnyRecord], row_id: int) -> AnyRecord:
        found = self.find(kind, "id = ?", row_id)
        assert found is not None
        return found

    def select(
        self,
        kind: type[AnyRecord],
        where: str,
        values: Sequence[Any],
        *,
        order: str = "id DESC",
        limit: int = -1,
        offset: int = 0,
    ) -> list[AnyRecord]:
        sql = f"SELECT * FROM {kind.table} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        return [kind(*row) for row in self._all(sql, *values, limit, offset)]

    def count(self, table: str, where: str, values: Sequence[Any]) -> int:
        row = self._one(f"SELECT count(*) FROM {table} WHERE {where}", *values)  # noqa: S608
        assert row is not None
        return int(row[0])

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """A statement of the caller's own."""
        return self._all(sql, *values)

    # Settings that outlive a restart

    def load(self, key: str) -> Any:
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else json.loads(row[0])

    def save(self, key: str, value: Any) -> None:
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))

    def clear(self) -> None:
        """Forget everything but the integrations."""
        with self.transaction():
            for table in _BUSINESS_TABLES:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608

    # Integrations

    def put_integration(self, secret_key: str, currencies: Sequence[str], webhook_url: str | None) -> int:
        """Add the integration, or set what the caller configures on the one with this key."""
        with self.transaction():
            self._write(
                "INSERT INTO integrations (secret_key, currencies, webhook_url) VALUES (?, ?, ?) "
                "ON CONFLICT (secret_key) DO UPDATE SET currencies = excluded.currencies, "
                "webhook_url = excluded.webhook_url",
                secret_key,
                ",".join(currencies),
                webhook_url,
            )
            row = self._one("SELECT id FROM integrations WHERE secret_key = ?", secret_key)
            assert row is not None
            return int(row[0])

    def integration(self, integration_id: int) -> Integration:
        row = self._one("SELECT * FROM integrations WHERE id = ?", integration_id)
        assert row is not None
        return Integration(row[0], row[1], tuple(row[2].split(",")), row[3])

    # Customers and transactions

    def customer_id(self, integration_id: int, email: str, now_ms: int) -> int:
        """The customer with this email; new if there is none."""
        row = self._one("SELECT id FROM customers WHERE integration_id = ? AND email = ?", integration_id, email)
        if row is not None:
            return int(row[0])
        code = f"CUS_{random_code(15)}"
        return self.insert("customers", integration_id=integration_id, code=code, email=email, created_at=now_ms)

    def add_transaction(self, **columns: Any) -> Transaction:
        """Raises DuplicateReference. The id is the next free one."""
        try:
            transaction_id = self.insert("transactions", **columns)
        except sqlite3.IntegrityError as error:
            raise DuplicateReference from error
        return self.transaction_by_id(transaction_id)

    def update_transaction(self, transaction_id: int, **columns: Any) -> Transaction:
        self.update("transactions", transaction_id, **columns)
        return self.transaction_by_id(transaction_id)

    def transaction_by_id(self, transaction_id: int) -> Transaction:
        found = self.find_transaction("t.id = ?", transaction_id)
        assert found is not None
        return found

    def find_transaction(self, where: str, *values: Any) -> Transaction | None:
        row = self._one(f"{_SELECT_TRANSACTION} WHERE {where}", *values)
        return None if row is None else Transaction(*row)

    def transactions(self, where: str, values: Sequence[Any], order: str, limit: int) -> list[Transaction]:
        sql = f"{_SELECT_TRANSACTION} WHERE {where} ORDER BY {order} LIMIT ?"
        return [Transaction(*row) for row in self._all(sql, *values, limit)]

    def transactions_page(self, where: str, values: Sequence[Any], limit: int, offset: int) -> list[Transaction]:
        sql = f"{_SELECT_TRANSACTION} WHERE {where} ORDER BY t.id DESC LIMIT ? OFFSET ?"
        return [Transaction(*row) for row in self._all(sql, *values, limit, offset)]

    def transaction_sums(
        self, where: str, values: Sequence[Any], *, from_totals: bool = False
    ) -> list[tuple[str, int, int]]:
        """(currency, number of transactions, volume paid) of each currency.

        `from_totals` reads the kept totals, which know integration, status, currency and channel, and nothing else.
        """
        if from_totals:
            return self._sums_from_totals(where, values)
        sql = (
            "SELECT t.currency, count(*), sum(CASE WHEN t.status = 'success' THEN t.amount ELSE 0 END) "  # noqa: S608
            f"FROM transactions t WHERE {where} GROUP BY t.currency ORDER BY t.currency"
        )
        return [(row[0], row[1], row[2]) for row in self._all(sql, *values)]

    def _sums_from_totals(self, where: str, values: Sequence[Any]) -> list[tuple[str, int, int]]:
        sql = (
            "SELECT t.currency, sum(t.transactions), sum(CASE WHEN t.status = 'success' THEN t.volume ELSE 0 END) "  # noqa: S608
            f"FROM transaction_totals t WHERE {where} AND t.transactions > 0 GROUP BY t.currency ORDER BY t.currency"
        )
        return [(row[0], row[1], row[2]) for row in self._all(sql, *values)]

    # Timers: what happens by itself when the clock gets there

    def set_timer(self, kind: str, subject_id: int, due_at: int) -> None:
        self._write(
            "INSERT OR REPLACE INTO timers (due_at, kind, subject_id) VALUES (?, ?, ?)",
            due_at,
            kind,
            subject_id,
        )

    def clear_timer(self, kind: str, subject_id: int) -> None:
        self._write("DELETE FROM timers WHERE kind = ? AND subject_id = ?", kind, subject_id)

    def start_timer(self, kind: str, subject_id: int, due_at: int) -> None:
        """As `set_timer`, but one that runs already is left alone."""
        self._write(
            "INSERT OR IGNORE INTO timers (due_at, kind, subject_id) VALUES (?, ?, ?)", due_at, kind, subject_id
        )

    def take_due_timer(self, now_ms: int) -> tuple[int, str, int] | None:
        """Remove the timer that fell due first: (due at, kind, subject)."""
        with self.transaction():
            row = self._one(
                "SELECT id, due_at, kind, subject_id FROM timers WHERE due_at <= ? ORDER BY due_at, id LIMIT 1", now_ms
            )
            if row is None:
                return None
            self._write("DELETE FROM timers WHERE id = ?", row[0])
            return row[1], row[2], row[3]

    def next_due_ms(self) -> int | None:
        """When the next timer or webhook attempt is due; None if nothing waits."""
        row = self._one(
            "SELECT min(due) FROM (SELECT min(due_at) AS due FROM timers UNION ALL "
            "SELECT min(next_attempt_at) FROM webhooks WHERE next_attempt_at IS NOT NULL)"
        )
        assert row is not None
        return row[0] if row[0] is None else int(row[0])

    # Webhooks

    def add_webhook(self, **columns: Any) -> int:
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        return self._write(
            f"INSERT INTO webhooks ({names}) VALUES ({marks})",  # noqa: S608
            *columns.values(),
        )

    def update_webhook(self, webhook_id: int, **columns: Any) -> None:
        self.update("webhooks", webhook_id, **columns)

    def webhook(self, webhook_id: int) -> Webhook | None:
        row = self._one("SELECT * FROM webhooks WHERE id = ?", webhook_id)
        return None if row is None else Webhook(*row)

    def select_webhooks(self, where: str, values: Sequence[Any], order: str, limit: int) -> list[Webhook]:
        sql = f"SELECT * FROM webhooks WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
        return [Webhook(*row) for row in self._all(sql, *values, limit)]

    def due_webhooks(self, now_ms: int) -> list[Webhook]:
        rows = self._all(
            "SELECT * FROM webhooks WHERE next_attempt_at <= ? ORDER BY next_attempt_at, id LIMIT 500", now_ms
        )
        return [Webhook(*row) for row in rows]

    def add_attempt(self, webhook_id: int, attempt: Attempt) -> None:
        self._write(
            "INSERT INTO webhook_attempts (webhook_id, at, status, error, response, fault) VALUES (?, ?, ?, ?, ?, ?)",
            webhook_id,
            attempt.at,
            attempt.status,
            attempt.error,
            attempt.response,
            attempt.fault,
        )

    def attempts(self, webhook_id: int) -> list[Attempt]:
        rows = self._all(
            "SELECT at, status, error, response, fault FROM webhook_attempts WHERE webhook_id = ? ORDER BY id",
            webhook_id,
        )
        return [Attempt(*row) for row in rows]

    def has_undelivered_first_attempt(self, now_ms: int) -> bool:
        """Whether a delivery is due, or was never tried and will be."""
        sql = (
            "SELECT 1 FROM webhooks WHERE next_attempt_at IS NOT NULL AND (next_attempt_at <= ? OR retries = 0) LIMIT 1"
        )
        return self._one(sql, now_ms) is not None
