"""The rows of a wallet as they are, without bringing it up to date as looking through the app would."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from tests.ai_features.billing.model import NEVER


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


WALLET = "ai_features_wallet"
ENTRIES = """
SELECT e.kind, e.amount, e.debt_change, e.balance_after, e.feature, e.member_id, p.reference, e.metadata
  FROM ai_features_ledgerentry AS e LEFT JOIN ai_features_purchase AS p ON p.id = e.purchase_id
 WHERE e.wallet_id = %s ORDER BY e.id
"""
RESERVATIONS = "SELECT status, credits, captured, overdue FROM ai_features_reservation WHERE wallet_id = %s ORDER BY id"
LATE = "SELECT count(*) FROM ai_features_reservation WHERE wallet_id = %s AND status = 'open' AND expires_at <= %s"


def left_in_lots(wallet_id: int) -> list[int]:
    """What will be left in each, in the order they came, once what was spent has been charged to them."""
    ((unallocated, next_expiry),) = rows(f"SELECT unallocated, next_expiry_at FROM {WALLET} WHERE id = %s", wallet_id)
    found = rows("SELECT id, remaining, expires_at, source FROM ai_features_lot WHERE wallet_id = %s", wallet_id)
    left = {pk: remaining for pk, remaining, _, _ in found}
    for pk, _, expires_at, _ in sorted(found, key=lambda lot: (read_moment(lot[2]), lot[3] == "purchased", lot[0])):
        if read_moment(expires_at) >= read_moment(next_expiry):
            part = min(unallocated, left[pk])
            left[pk] -= part
            unallocated -= part
    assert unallocated == 0
    return [left[pk] for pk in sorted(left)]


def moment(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)


def read_moment(value: datetime | None) -> datetime:
    """SQLite leaves the zone out, which is UTC."""
    return NEVER if value is None else value.replace(tzinfo=UTC)
