"""Paystack's list of payments beside as many purchases, in sets; and row by row, as one would write it first.

Row by row is `settle` for each listed payment, which is right too: it finds nearly all of them settled. Both get the
same parsed payments. Not counted is what takes as long either way: Paystack's pages of a hundred, and parsing them.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from ai_features.billing import settlement
from ai_features.billing.reconcile import comparing, listing
from ai_features.models import Reconciliation, SettledBy, Wallet
from ai_features.paystack import Transaction
from benchmarks.compare import Measure, Row, Yardstick

TIMES_MIN = 100.0
MISSED_EVERY = 50_000

_STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def rows(payments: int, wallets: list[Wallet]) -> Iterator[Row]:
    _make_settled(payments, wallets[0])
    yield Row(
        f"reconcile: a list of {payments:,}",
        _in_sets(payments),
        [Yardstick("row by row", _row_by_row(payments), goal=TIMES_MIN)],
    )


def _in_sets(payments: int) -> Measure:
    """All of them, however long it takes; also says what memory it took."""

    def measure(_seconds: float) -> float:
        before, took = _peak_mib(), 0.0
        row = Reconciliation.objects.create(
            mode="test", window_from=_STARTED, window_to=_STARTED + timedelta(days=400), is_up_to_now=True
        )
        found = 0
        for chunk in _chunks(payments):
            started = time.perf_counter()
            found += _compare(row, chunk)
            took += time.perf_counter() - started
        started = time.perf_counter()
        found += len(comparing.not_listed(row, row.window_from, row.window_to, listing.LOOKED_AT_MAX))
        comparing.forget(row)
        took += time.perf_counter() - started
        _expect(found, payments)
        print(f"  {payments:,} in {took:.1f} s; peak memory {before:.0f} → {_peak_mib():.0f} MiB", file=sys.stderr)
        return payments / took

    return measure


def _compare(row: Reconciliation, chunk: list[Transaction]) -> int:
    with transaction.atomic():
        comparing.stage(row, chunk)
        row.save(update_fields=["cursor", "listed"])
    last = comparing.newest_staged(row)
    found = comparing.disagreements(row, row.compared_id, last)
    row.compared_id = last
    row.save(update_fields=["compared_id"])
    return len(found)


def _row_by_row(payments: int) -> Measure:
    """As many as there is time for."""

    def measure(seconds: float) -> float:
        done, took = 0, 0.0
        for chunk in _chunks(payments):
            started = time.perf_counter()
            for payment in chunk:
                settlement.settle(payment.reference, payment, settled_by=SettledBy.RECONCILE)
            took += time.perf_counter() - started
            done += len(chunk)
            if took > seconds:
                break
        return done / took

    return measure


def _chunks(payments: int) -> Iterator[list[Transaction]]:
    """As they are read from Paystack's pages, which takes as long either way and is not counted."""
    for first in range(0, payments, listing.PAYMENTS_AT_A_TIME):
        yield [_payment(number) for number in range(first, min(payments, first + listing.PAYMENTS_AT_A_TIME))]


def _expect(found: int, payments: int) -> None:
    expected = -(-payments // MISSED_EVERY)
    # The yardstick beside it may have settled the first of them.
    if found not in (expected, expected - 1):
        raise RuntimeError(f"{expected} payments were missed, {found} were found.")


def _payment(number: int) -> Transaction:
    return Transaction(
        id=4_000_000_000 + number,
        reference=f"AI-CREDIT-R-{number}",
        status="success",
        amount_minor=8000,
        requested_amount_minor=8000,
        currency="GHS",
        mode="test",
        channel="card",
        paid_at=_STARTED,
        created_at=_STARTED,
        fees_minor=156,
        gateway_response="Successful",
        message="",
        customer_email="",
        authorization={},
        metadata={},
        raw={},
    )


def _make_settled(payments: int, wallet: Wallet) -> None:
    """Purchases as they are after a year, a few of which missed their payment. Without their entries: nobody looks."""
    values = {
        "wallet": wallet.pk,
        "buyer": wallet.user_id,
        "payments": payments,
        "missed_every": MISSED_EVERY,
        "first": _STARTED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED, values)
        cursor.execute("VACUUM (ANALYZE) ai_features_purchase")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_SETTLED = """
INSERT INTO ai_features_purchase
  (reference, wallet_id, buyer_id, email, mode, status, status_reason, package_code, currency, price_minor, tax_lines,
   amount_minor, credits, bonus_credits, payment_method, fingerprint, authorization_url, access_code, paystack_id,
   paid_amount_minor, paid_currency, fees_minor, channel, gateway_response, paid_at, settled_by, created_at,
   completed_at)
SELECT 'AI-CREDIT-R-' || n, %(wallet)s, %(buyer)s, 'ama@example.com', 'test',
       CASE WHEN n %% %(missed_every)s = 0 THEN 'pending' ELSE 'completed' END, '', 'value', 'GHS', 8000, '[]',
       8000, 80000000, 20000000, '', '', 'http://127.0.0.1:9/checkout/abcdefghijklmno', '', 4000000000 + n,
       8000, 'GHS', 156, 'card', 'Successful', started, 'webhook', started, started
  FROM generate_series(0, %(payments)s - 1) AS n,
       LATERAL (SELECT %(first)s::timestamptz + n * interval '20 seconds' AS started) AS at
"""
