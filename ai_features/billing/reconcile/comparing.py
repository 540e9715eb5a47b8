"""The statements that compare Paystack's list with our purchases, in sets; the same on both engines.

What agrees never leaves the database: a million payments that are all in order are a million rows copied in and some
thousand short answers, and memory holds a thousand rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Max

from ai_features.models import FindingKind, ListedPayment, Reconciliation
from ai_features.paystack import Transaction

_COLUMNS = "reconciliation_id, reference, amount_minor, currency, mode, fees_minor"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A listed payment that does not simply agree with a settled purchase."""

    kind: FindingKind
    reference: str
    currency: str
    amount_minor: int
    status: str
    """Of the purchase; empty where there is none."""


def stage(reconciliation: Reconciliation, payments: Sequence[Transaction]) -> None:
    """Copy listed payments in, after those before."""
    pk = reconciliation.pk
    rows = [(pk, p.reference, p.amount_minor, p.currency, p.mode[:10], p.fees_minor) for p in payments]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY ai_features_listedpayment ({_COLUMNS}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany(
                f"INSERT INTO ai_features_listedpayment ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)",  # noqa: S608
                rows,
            )


def newest_staged(reconciliation: Reconciliation) -> int:
    """The id of the newest listed payment; ids grow in the order of the list."""
    newer = ListedPayment.objects.filter(reconciliation=reconciliation, pk__gt=reconciliation.compared_id)
    newest: int | None = newer.aggregate(newest=Max("pk"))["newest"]
    return reconciliation.compared_id if newest is None else newest


def disagreements(reconciliation: Reconciliation, after: int, last: int) -> Iterator[Disagreement]:
    """Of the payments listed after one and up to another, those that do not simply agree with our purchases."""
    for kind, *about in _rows(_DISAGREEMENTS, _range(reconciliation, after, last)):
        yield Disagreement(FindingKind(kind), *about)


def learn_fees(reconciliation: Reconciliation, after: int, last: int) -> None:
    """Note Paystack's fee on settled purchases whose confirmation did not say it."""
    with connection.cursor() as cursor:
        cursor.execute(_FEES, _range(reconciliation, after, last))


def not_listed(reconciliation: Reconciliation, created_from: datetime, created_to: datetime, at_most: int) -> list[str]:
    """References of purchases settled before this began that Paystack's list of payments does not have."""
    adapt = connection.ops.adapt_datetimefield_value
    values = {
        "reconciliation": reconciliation.pk,
        "mode": reconciliation.mode,
        "created_from": adapt(created_from),
        "created_to": adapt(created_to),
        "started": adapt(reconciliation.started_at),
        "at_most": at_most,
    }
    return [reference for (reference,) in _rows(_NOT_LISTED, values)]


def forget(reconciliation: Reconciliation) -> None:
    """The listed payments have served."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ai_features_listedpayment WHERE reconciliation_id = %s", [reconciliation.pk])


def _range(reconciliation: Reconciliation, after: int, last: int) -> dict[str, Any]:
    return {"reconciliation": reconciliation.pk, "after": after, "last": last}


def _rows(sql: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        yield from cursor.fetchall()


# A fee on top of the price makes both amounts larger alike; where nothing was noted there is nothing to compare.
_DISAGREEMENTS = """
SELECT CASE WHEN p.id IS NULL THEN 'unknown'
            WHEN p.status IN ('pending', 'failed', 'abandoned') THEN 'missed' ELSE 'different' END,
       l.reference, l.currency, l.amount_minor, coalesce(p.status, '')
  FROM ai_features_listedpayment AS l
  LEFT JOIN ai_features_purchase AS p ON p.reference = l.reference
 WHERE l.reconciliation_id = %(reconciliation)s AND l.id > %(after)s AND l.id <= %(last)s
   AND (p.id IS NULL OR p.status IN ('pending', 'failed', 'abandoned')
        OR p.status <> 'review' AND (p.paid_amount_minor <> l.amount_minor OR p.currency <> l.currency
                                     OR p.mode <> l.mode))
 ORDER BY l.id
"""

_FEES = """
UPDATE ai_features_purchase
   SET fees_minor = (SELECT max(l.fees_minor) FROM ai_features_listedpayment AS l
                      WHERE l.reconciliation_id = %(reconciliation)s AND l.id > %(after)s AND l.id <= %(last)s
                        AND l.reference = ai_features_purchase.reference)
 WHERE fees_minor IS NULL AND paid_amount_minor IS NOT NULL
   AND reference IN (SELECT l.reference FROM ai_features_listedpayment AS l
                      WHERE l.reconciliation_id = %(reconciliation)s AND l.id > %(after)s AND l.id <= %(last)s
                        AND l.fees_minor IS NOT NULL)
"""

_NOT_LISTED = """
SELECT p.reference
  FROM ai_features_purchase AS p
  LEFT JOIN (SELECT reference FROM ai_features_listedpayment WHERE reconciliation_id = %(reconciliation)s) AS l
         ON l.reference = p.reference
 WHERE p.created_at >= %(created_from)s AND p.created_at < %(created_to)s AND p.mode = %(mode)s
   AND p.status IN ('completed', 'partially_refunded') AND p.completed_at < %(started)s AND l.reference IS NULL
 ORDER BY p.id LIMIT %(at_most)s
"""
