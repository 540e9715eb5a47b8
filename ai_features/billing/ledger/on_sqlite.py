"""A spend on SQLite: two statements in one transaction."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from ai_features.billing.ledger.accounts import UserKey
from ai_features.billing.ledger.operations import Applied, Operation, json_text

_PAY = """
UPDATE ai_features_wallet SET balance = balance - %s, unallocated = unallocated + %s
 WHERE id = %s AND balance - held >= %s AND debt = 0 AND overdue = 0 AND NOT is_capped
   AND (next_expiry_at IS NULL OR next_expiry_at > %s)
RETURNING balance, balance - held, low_balance
"""
_ENTER = """
INSERT INTO ai_features_ledgerentry
  (wallet_id, kind, amount, balance_after, feature, pricing, metadata, member_id, created_at)
VALUES (%s, 'spend', %s, %s, %s, %s, %s, %s, %s)
RETURNING id
"""
_KEY_IS_KNOWN = "SELECT 1 FROM ai_features_idempotencykey WHERE wallet_id = %s AND key = %s"
_REMEMBER = (
    "INSERT INTO ai_features_idempotencykey (wallet_id, key, request, answer, created_at) VALUES (%s, %s, %s, %s, %s)"
)


def spend(operation: Operation) -> Applied | None:
    """None is for the exact path, and nothing has changed then. Commits, unless a transaction is open."""
    wallet_id, credits_, key = operation.wallet_id, operation.credits, operation.key
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        if key is not None and cursor.execute(_KEY_IS_KNOWN, [wallet_id, key]).fetchone():
            return None
        paid = cursor.execute(_PAY, [credits_, credits_, wallet_id, credits_, now]).fetchone()
        if paid is None:
            return None
        balance, available, low_balance = paid
        running, ids = balance + credits_, []
        for charge in operation.charges:
            running -= charge.amount
            about = [json_text(charge.pricing), json_text(charge.metadata), _user_key(charge.member_id), now]
            entry = [wallet_id, -charge.amount, running, charge.feature, *about]
            ids.append(cursor.execute(_ENTER, entry).fetchone()[0])
        if key is not None:
            answer = {"ids": ids, "balance": balance}
            cursor.execute(_REMEMBER, [wallet_id, key, json_text(operation.request), json_text(answer), now])
    return Applied(ids, balance, available, low_balance)


def _user_key(key: UserKey | None) -> Any:
    return get_user_model()._meta.pk.get_db_prep_value(key, connection)
