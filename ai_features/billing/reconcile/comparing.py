"""The statements that compare Paystack's list with our purchases, in sets; the same on both engines.

What agrees never leaves the database: a million payments that are all in order are a million rows copied in and some
thousand short answers, and memory holds a thousand rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from ai_features.models import FindingKind, ListedPayment, Reconciliation
from ai_features.paystack import Transaction

NULL = r"\N"
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
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            block = "".join(
                f"{pk}\t{_escaped(p.reference)}\t{p.amount_minor}\t{p.currency}\t{_escaped(p.mode[:10])}\t"
                f"{NULL if p.fees_minor is None else p.fees_minor}\n"
                for p in payments
            )
            with cursor.copy(f"COPY ai_features_listedpayment ({_COLUMNS}) FROM STDIN") as copy:
                copy.write(block)
        else:
            cursor.executemany(
                f"INSERT INTO ai_features_listedpayment ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)",  # noqa: S608
                [(pk, p.reference, p.amount_minor, p.currency, p.mode[:10], p.fees_minor) for p in payments],
            )


def newest_staged(reconciliation: Reconciliation) -> int:
    """The id of the newest listed payment; ids grow in the order of the list."""
    newer = ListedPayment.objects.filter(reconciliation=reconciliation, pk__gt=reconciliation.compared_id)
    newest: int | None = newer.aggregate(newest=Max("pk"))["newest"]
    return reconciliation.compared_id if newest is None else newest


def disagreements(reconciliation: Reconciliation, after: int, last: int) -> list[Disagreement]:
    """Of the payments listed after one and up to another, those that do not simply agree with our purchases.

    Where Paystack's fee is all that a settled purchase lacks, it is filled in.
    """
    values = {"reconciliation": reconciliation.pk, "after": after, "last": last}
    found = list(_rows(_DISAGREEMENTS, values))
    fees = [(fees_minor, reference) for kind, reference, *_, fees_minor in found if kind == _FEE]
    if fees:
        with connection.cursor() as cursor:
            cursor.executemany(_LEARN_FEE, fees)
    return [Disagreement(FindingKind(kind), *about) for kind, *about, _fees in found if kind != _FEE]


def not_listed(reconciliation: Reconciliation, created_from: datetime, created_to: datetime, at_most: int) -> list[str]:
    """References of purchases settled before this began that Paystack's list of payments does not have, and no
    refund of ours explains: Paystack lists what went back in part as reversed."""
    adapt = connection.ops.adapt_datetimefield_value
    values = {
        "reconciliation": reconciliation.pk,
        "mode": reconciliation.mode,
        "created_from": adapt(created_from),
        "created_to": adapt(created_to),
        "started": adapt(reconciliation.started_at),
        "at_most": at_most,
    }
    with transaction.atomic():
        if connection.vendor == "postgresql":
            # Nobody has counted the rows that were just copied in, and for a handful this would be the better plan.
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_nestloop = off")
        return [reference for (reference,) in _rows(_NOT_LISTED, values)]


def forget(reconciliation: Reconciliation) -> None:
    """The listed payments have served."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ai_features_listedpayment WHERE reconciliation_id = %s", [reconciliation.pk])


def _escaped(text: str) -> str:
    """For COPY; what was read from Paystack is printable, so only the escape itself is left to escape."""
    return text.replace("\\", "\\\\")


def _rows(sql: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        yield from cursor.fetchall()


# A fee on top of the price makes both amounts larger alike; where nothing was noted there is nothing to compare.
_DISAGREEMENTS = """
SELECT CASE WHEN p.id IS NULL THEN 'unknown'
            WHEN p.status IN ('pending', 'failed', 'abandoned') THEN 'missed'
            WHEN p.paid_amount_minor <> l.amount_minor OR p.currency <> l.currency OR p.mode <> l.mode THEN 'different'
            ELSE 'fee' END,
       l.reference, l.currency, l.amount_minor, coalesce(p.status, ''), l.fees_minor
  FROM ai_features_listedpayment AS l
  LEFT JOIN ai_features_purchase AS p ON p.reference = l.reference
 WHERE l.reconciliation_id = %(reconciliation)s AND l.id > %(after)s AND l.id <= %(last)s
   AND (p.id IS NULL OR p.status IN ('pending', 'failed', 'abandoned')
        OR p.status <> 'review' AND (p.paid_amount_minor <> l.amount_minor OR p.currency <> l.currency
                                     OR p.mode <> l.mode OR p.fees_minor IS NULL AND l.fees_minor IS NOT NULL))
 ORDER BY l.id
"""

_FEE = "fee"
_LEARN_FEE = "UPDATE ai_features_purchase SET fees_minor = %s WHERE reference = %s AND fees_minor IS NULL"

_NOT_LISTED = """
SELECT p.reference
  FROM ai_features_purchase AS p
  LEFT JOIN (SELECT reference FROM ai_features_listedpayment WHERE reconciliation_id = %(reconciliation)s) AS l
         ON l.reference = p.reference
 WHERE p.created_at >= %(created_from)s AND p.created_at < %(created_to)s AND p.mode = %(mode)s
   AND p.status IN ('completed', 'partially_refunded') AND p.completed_at < %(started)s AND l.reference IS NULL
   AND NOT EXISTS (SELECT 1 FROM ai_features_refund AS r WHERE r.reference = p.reference AND r.status <> 'failed')
 ORDER BY p.id LIMIT %(at_most)s
"""
