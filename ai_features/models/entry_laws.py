"""What a ledger entry must be, on PostgreSQL: whole, and of things that exist.

The models say it with foreign keys and check constraints, and so does SQLite. PostgreSQL looks after each key of each
row, even an empty one, and reads each check anew for each statement: a fifth of what a lone spend took there, and half
of what an entry of a lease did. Here one look serves all entries of a statement.

As foreign keys do, it holds for whoever writes, whatever schema they look in first, and locks what entries refer to.
"""

from __future__ import annotations

from pathlib import Path

REFERRED = {
    "wallet_id": "ai_features_wallet",
    "purchase_id": "ai_features_purchase",
    "lot_id": "ai_features_lot",
    "refund_id": "ai_features_refund",
    "dispute_id": "ai_features_dispute",
}
CONSTRAINTS = frozenset(
    {"ai_entry_purchase_has_a_purchase", "ai_entry_refund_has_a_refund", "ai_entry_dispute_has_a_dispute"}
)
"""Of the model's, those that are held here."""

_FUNCTIONS = Path(__file__).with_suffix(".sql").read_text()
_CHECK = """
CREATE OR REPLACE TRIGGER ai_features_ledgerentry_check AFTER INSERT ON ai_features_ledgerentry
REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION ai_features_check_entries()
"""
_KEEP = """
CREATE OR REPLACE TRIGGER {table}_keep AFTER DELETE OR UPDATE OF id ON {table}
FOR EACH ROW EXECUTE FUNCTION ai_features_keep_referred('{column}')
"""
_NO_TRUNCATE = """
CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION ai_features_keep_referred('{column}')
"""


def create_statements() -> list[str]:
    keeping = [
        statement.format(table=table, column=column)
        for column, table in REFERRED.items()
        for statement in (_KEEP, _NO_TRUNCATE)
    ]
    return [_FUNCTIONS, _CHECK, *keeping]


def drop_statements() -> list[str]:
    return [
        "DROP TRIGGER IF EXISTS ai_features_ledgerentry_check ON ai_features_ledgerentry",
        *(
            f"DROP TRIGGER IF EXISTS {table}_{kind} ON {table}"
            for table in REFERRED.values()
            for kind in ("keep", "no_truncate")
        ),
    ]
