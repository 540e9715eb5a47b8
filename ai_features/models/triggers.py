"""Law 5 in the database: ledger entries, their seals, received webhook bodies and items of the accounts never change
and are never deleted. On PostgreSQL also what every entry must be (`entry_laws.py`).

Installed after every `migrate`, not by one migration: SQLite drops a table's triggers whenever Django rebuilds the
table for a later change of its columns.
"""

from __future__ import annotations

import re
from typing import Any

from django.db import connections

from ai_features.models import entry_laws

FROZEN_COLUMNS = {
    "ai_features_ledgerentry": (
        "id, wallet_id, kind, amount, debt_change, balance_after, purchase_id, lot_id, reason, actor_id, feature,"
        " pricing, member_id, reservation_id, refund_id, dispute_id, created_at"
    ),
    "ai_features_webhookevent": "body, body_sha256, received_at, source_ip",
    "ai_features_idempotencykey": "wallet_id, key, request, answer, created_at",
    "ai_features_grantrequest": ("id, wallet_id, credits, reason, expires_at, key, requested_by_id, requested_at"),
    "ai_features_accountitem": (
        "id, day, of_day, kind, currency, amount_minor, others_minor, refund_id, payout_id, purchase_id"
    ),
    "ai_features_ledgerseal": (
        "number, first_id, last_id, count, entries, entries_hash, previous_hash, hash, sealed_at"
    ),
}
# May be emptied, and never written otherwise.
ERASABLE_COLUMNS = {"ai_features_ledgerentry": "metadata"}
# Where this is so, nothing may change any more.
DECIDED_ROWS = {"ai_features_grantrequest": "OLD.status <> 'open'"}

_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION ai_features_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$
"""


def install(*, using: str = "default", **_: Any) -> None:
    """Create what is missing; safe to repeat. Needs PostgreSQL 14 or later, or SQLite."""
    with connections[using].cursor() as cursor:
        present = set(connections[using].introspection.table_names(cursor))
        statements = create_statements(connections[using].vendor) if set(FROZEN_COLUMNS) <= present else []
        for statement in statements:
            cursor.execute(statement)


def create_statements(vendor: str) -> list[str]:
    match vendor:
        case "sqlite":
            return [statement for table in FROZEN_COLUMNS for statement in _sqlite(table)]
        case "postgresql":
            frozen = (statement for table in FROZEN_COLUMNS for statement in _postgresql(table))
            return [_POSTGRESQL_FUNCTION, *frozen, *entry_laws.create_statements()]
        case _:
            raise NotImplementedError(f"AI credits need PostgreSQL or SQLite, not {vendor}.")


def names(vendor: str) -> set[str]:
    """Of all triggers that should be there."""
    return {
        name for statement in create_statements(vendor) for name in re.findall(r"(\w+) (?:BEFORE|AFTER) ", statement)
    }


def drop_statements(vendor: str) -> list[str]:
    """For tests that empty the tables; nothing else has a reason to."""
    on = {"sqlite": "", "postgresql": " ON {table}"}[vendor]
    kinds = ["update", "delete", "rewrite", "revision", *(["truncate"] if vendor == "postgresql" else [])]
    frozen = (
        f"DROP TRIGGER IF EXISTS {table}_no_{kind}" + on.format(table=table)
        for table in FROZEN_COLUMNS
        for kind in kinds
    )
    return [*frozen, *(entry_laws.drop_statements() if vendor == "postgresql" else ())]


def _sqlite(table: str) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    statements = [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE OF {FROZEN_COLUMNS[table]} ON {table} {refuse}",
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table} {refuse}",
    ]
    if column := ERASABLE_COLUMNS.get(table):
        rewriting = f"BEFORE UPDATE OF {column} ON {table} WHEN NEW.{column} IS NOT NULL"
        statements.append(f"CREATE TRIGGER IF NOT EXISTS {table}_no_rewrite {rewriting} {refuse}")
    if is_decided := DECIDED_ROWS.get(table):
        statements.append(
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_revision BEFORE UPDATE ON {table} WHEN {is_decided} {refuse}"
        )
    return statements


def _postgresql(table: str) -> list[str]:
    events = {
        "update": f"UPDATE OF {FROZEN_COLUMNS[table]} ON {table} FOR EACH ROW",
        "delete": f"DELETE ON {table} FOR EACH ROW",
        "truncate": f"TRUNCATE ON {table} FOR EACH STATEMENT",
    }
    if column := ERASABLE_COLUMNS.get(table):
        events["rewrite"] = f"UPDATE OF {column} ON {table} FOR EACH ROW WHEN (NEW.{column} IS NOT NULL)"
    if is_decided := DECIDED_ROWS.get(table):
        events["revision"] = f"UPDATE ON {table} FOR EACH ROW WHEN ({is_decided})"
    return [
        f"CREATE OR REPLACE TRIGGER {table}_no_{name} BEFORE {event} EXECUTE FUNCTION ai_features_refuse()"
        for name, event in events.items()
    ]
