"""Row locks, the same on both engines. The order in which to take them stands in the package's docstring."""

from __future__ import annotations

from typing import TypeVar

from django.db import connections
from django.db.models import F, Model, QuerySet

from ai_features.billing.requests import is_plain_text
from ai_features.exceptions import PurchaseNotFound
from ai_features.models import Purchase, Refund, Wallet
from ai_features.paystack.answers import MAX_REFERENCE_LENGTH

Row = TypeVar("Row", bound=Model)


def lock_purchase(reference: str) -> Purchase:
    """The purchase, its row locked until the transaction ends. Raises PurchaseNotFound."""
    if not is_plain_text(reference, MAX_REFERENCE_LENGTH):
        raise PurchaseNotFound
    try:
        return _lock(Purchase.objects.filter(reference=reference), "reference")
    except Purchase.DoesNotExist:
        raise PurchaseNotFound from None


def lock_wallet(wallet_id: int) -> Wallet:
    """The wallet, its row locked until the transaction ends."""
    return _lock(Wallet.objects.filter(pk=wallet_id), "balance")


def lock_refunds(reference: str) -> None:
    """Those of a payment that belongs to no purchase, until the transaction ends."""
    rows = Refund.objects.filter(reference=reference)
    if connections[rows.db].features.has_select_for_update:
        list(rows.order_by("pk").select_for_update(no_key=True))
    else:
        rows.update(status=F("status"))


def _lock(rows: QuerySet[Row], any_column: str) -> Row:
    if connections[rows.db].features.has_select_for_update:
        return rows.select_for_update(no_key=True).get()
    # SQLite locks the whole file, but only for a transaction whose first statement writes; one that reads
    # first is refused, not queued, when it comes to write. So write first: the row onto itself.
    rows.update(**{any_column: F(any_column)})
    return rows.get()
