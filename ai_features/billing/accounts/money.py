"""Money at Paystack, by currency and mode: what a day's payments brought, what went back, and what was paid out.

A payment counts in the day of the ledger entry that settled it, so none is late. A refund, a payout and a fee that was
not known at once are booked one by one, each once: in the day they belong to, or, where they become known after that
was closed, in the next one that is closed. So nothing is lost and no closed day changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Left, NullIf
from django.utils import timezone

from ai_features.billing.accounts.replay import Book
from ai_features.models import AccountItem, EntryKind, ItemKind, Payout, Purchase, Refund, RefundStatus

ONE_DAY = timedelta(days=1)
PAID_OUT = "success"
_PAID_IN: Any = Left(Coalesce(NullIf("paid_currency", Value("")), "currency"), 3)
_PAID: Any = Coalesce(NullIf("paid_amount_minor", Value(0)), "amount_minor")


@dataclass(slots=True)
class Money:
    """What moved at Paystack in one book, and what of it was still on its way to payers at the end of the day."""

    received_minor: int = 0
    tax_minor: int = 0
    fees_minor: int = 0
    refunded_minor: int = 0
    lost_in_disputes_minor: int = 0
    others_minor: int = 0
    paid_out_minor: int = 0
    refunds_open_minor: int = 0
    payments: int = 0
    fees_unknown: int = 0

    @property
    def at_paystack_change_minor(self) -> int:
        kept = self.received_minor - self.fees_minor - self.refunded_minor
        return kept + self.others_minor - self.paid_out_minor

    def as_dict(self) -> dict[str, int]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def book(self, item: AccountItem, *, lost_in_dispute: bool) -> None:
        match item.kind:
            case ItemKind.REFUND:
                self.refunded_minor += item.amount_minor
                self.lost_in_disputes_minor += item.amount_minor if lost_in_dispute else 0
            case ItemKind.PAYOUT:
                self.paid_out_minor += item.amount_minor
                self.others_minor += item.others_minor
            case ItemKind.FEE:
                self.fees_minor += item.amount_minor
                self.fees_unknown -= 1
            case ItemKind.FEE_UNKNOWN:
                self.fees_unknown += 1


def midnight(day: date) -> datetime:
    """The moment at which a day begins, in the project's time zone."""
    return timezone.make_aware(datetime.combine(day, time()))


def money_of(day: date, after: int, last: int) -> tuple[dict[Book, Money], list[AccountItem]]:
    """What a day moved, whose entries are those after one and up to another, and the items that it is the first to
    book; nothing is written."""
    money: defaultdict[Book, Money] = defaultdict(Money)
    settled = Purchase.objects.filter(entries__kind=EntryKind.PURCHASE, entries__id__gt=after, entries__id__lte=last)
    _count_payments(settled, money)
    new = [*_fees_unknown(settled, day), *unbooked(day, day)]
    booked = AccountItem.objects.filter(day=day).select_related("refund__purchase", "payout", "purchase")
    for item in [*booked.iterator(2000), *new]:
        is_lost = item.refund is not None and item.refund.dispute_id is not None
        money[Book(item.currency, item.mode)].book(item, lost_in_dispute=is_lost)
    for currency, mode, open_minor in _on_their_way(midnight(day + ONE_DAY)):
        money[Book(currency, mode)].refunds_open_minor = open_minor
    return dict(money), new


def unbooked(day: date, until: date) -> Iterator[AccountItem]:
    """Refunds, payouts and fees of the days up to one that none has booked yet, for `day` to book."""
    end = midnight(until + ONE_DAY)
    yield from _refunds(day, end)
    yield from _payouts(day, end)
    yield from _fees(day)


def _count_payments(settled: QuerySet[Purchase], money: defaultdict[Book, Money]) -> None:
    settled = settled.order_by()
    told = ~Exists(AccountItem.objects.filter(purchase=OuterRef("pk"), kind=ItemKind.FEE_UNKNOWN))
    sums = (
        settled.annotate(paid_in=_PAID_IN, fee_was_told=told)
        .values("paid_in", "mode")
        .annotate(received=Sum(_PAID), count=Count("pk"), fees=Sum("fees_minor", filter=Q(fee_was_told=True)))
    )
    row: Any  # the plugin knows of no sums in it
    for row in sums:
        of_book = money[Book(row["paid_in"], row["mode"])]
        of_book.received_minor, of_book.payments = row["received"], row["count"]
        of_book.fees_minor = row["fees"] or 0
    taxes = settled.values_list("currency", "mode").annotate(tax=Sum(F("amount_minor") - F("price_minor")))
    for currency, mode, tax_minor in taxes:
        money[Book(currency, mode)].tax_minor = tax_minor


def _fees_unknown(settled: QuerySet[Purchase], day: date) -> Iterator[AccountItem]:
    noted = AccountItem.objects.filter(purchase=OuterRef("pk"), kind=ItemKind.FEE_UNKNOWN)
    for purchase in settled.filter(~Exists(noted), fees_minor__isnull=True):
        currency = purchase.payment_currency[:3]
        yield AccountItem(day=day, of_day=day, kind=ItemKind.FEE_UNKNOWN, currency=currency, purchase=purchase)


def _fees(day: date) -> Iterator[AccountItem]:
    told = AccountItem.objects.filter(purchase=OuterRef("purchase"), kind=ItemKind.FEE)
    waiting = AccountItem.objects.filter(~Exists(told), kind=ItemKind.FEE_UNKNOWN, purchase__fees_minor__isnull=False)
    for item in waiting.filter(day__lt=day).select_related("purchase"):
        assert item.purchase is not None
        yield AccountItem(
            day=day,
            of_day=item.day,
            kind=ItemKind.FEE,
            currency=item.currency,
            amount_minor=item.purchase.fees_minor or 0,
            purchase=item.purchase,
        )


def _refunds(day: date, end: datetime) -> Iterator[AccountItem]:
    """Of settled purchases: what was paid and never settled was not counted as received either."""
    processed = Refund.objects.filter(status=RefundStatus.PROCESSED, ended_at__lt=end, account_item__isnull=True)
    for refund in processed.filter(purchase__completed_at__lt=end).select_related("purchase").order_by("ended_at"):
        assert refund.purchase is not None
        assert refund.purchase.completed_at is not None
        assert refund.ended_at is not None
        since = timezone.localdate(max(refund.ended_at, refund.purchase.completed_at))
        yield AccountItem(
            day=day,
            of_day=since,
            kind=ItemKind.REFUND,
            currency=refund.currency,
            amount_minor=refund.amount_minor,
            refund=refund,
        )


def _payouts(day: date, end: datetime) -> Iterator[AccountItem]:
    """Also those of which another amount was booked before: with the difference."""
    dated = Payout.objects.annotate(at=Coalesce("settled_at", "tied_at")).filter(at__lt=end)
    dated = dated.annotate(booked=Sum("account_items__amount_minor"), booked_others=Sum("account_items__others_minor"))
    for payout in dated.order_by("at"):
        is_paid = payout.status == PAID_OUT
        amount_minor = (payout.effective_minor if is_paid else 0) - (payout.booked or 0)
        others_minor = (payout.others_minor if is_paid else 0) - (payout.booked_others or 0)
        if amount_minor or others_minor:
            yield AccountItem(
                day=day,
                of_day=timezone.localdate(payout.at),
                kind=ItemKind.PAYOUT,
                currency=payout.currency,
                amount_minor=amount_minor,
                others_minor=others_minor,
                payout=payout,
            )


def _on_their_way(end: datetime) -> Iterable[tuple[str, str, int]]:
    """Refunds asked for and not ended at that moment: Paystack has set the money aside already."""
    asked = Refund.objects.filter(asked_at__lt=end, purchase__completed_at__lt=end).order_by()
    still_open = asked.filter(Q(ended_at__isnull=True) | Q(ended_at__gte=end))
    return still_open.values_list("currency", "purchase__mode").annotate(minor=Sum("amount_minor"))
