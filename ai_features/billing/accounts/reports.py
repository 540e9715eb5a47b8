"""Closed days added up for a period: each figure by currency and mode, with opening and closing."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

from django.db.models import Max, QuerySet

from ai_features.billing.long_read import long_read
from ai_features.models import AccountDay, AccountItem
from ai_features.money import to_credits, to_major

MONEY = (
    *("received_minor", "tax_minor", "fees_minor", "refunded_minor", "lost_in_disputes_minor", "others_minor"),
    "paid_out_minor",
    *("sold_minor", "used_minor", "breakage_minor", "returned_minor"),
)
CREDITS = (
    *("credits_sold", "credits_bonus", "credits_granted", "credits_spent", "credits_expired", "credits_taken_back"),
    "debt_change",
)
COUNTS = ("payments", "fees_unknown")
GRANTED = "(granted)"
STANDS = ("refunds_open_minor",)
"""As it stood at the end of the last day; there is no movement to it."""
CLOSINGS = ("at_paystack_closing_minor", "deferred_closing_minor", "credits_closing", "debt_closing")


class Written(Protocol):
    """A file, an answer over HTTP, a command's output."""

    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Statement:
    """One currency of one mode in one period, in the subunit and in micro-credits, without days that are not closed."""

    currency: str
    mode: str
    first: date
    last: date
    figures: dict[str, int]
    openings: dict[str, int]
    closings: dict[str, int]
    stands: dict[str, int]

    def columns(self) -> dict[str, str | Decimal | int]:
        """As a person reads them, in major units and credits."""
        told: dict[str, str | Decimal | int] = {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "currency": self.currency or GRANTED,
            "mode": self.mode,
        }
        told |= {f"opening_{_name(name)}": _shown(name, value) for name, value in self.openings.items()}
        told |= {_name(name): _shown(name, value) for name, value in self.figures.items()}
        told |= {f"closing_{_name(name)}": _shown(name, value) for name, value in self.closings.items()}
        return told | {_name(name): _shown(name, value) for name, value in self.stands.items()}


def statements(first: date, last: date) -> list[Statement]:
    """A statement for each currency that has any history by then, of real money first; granted credits, which have
    none, come last."""
    rows = AccountDay.objects.filter(day__gte=first, day__lte=last).order_by("day")
    by_book: dict[tuple[bool, str, str], list[AccountDay]] = {}
    for row in rows:
        by_book.setdefault((not row.currency, row.mode, row.currency), []).append(row)
    return [_statement(by_book[book]) for book in sorted(by_book)]


def items(first: date, last: date) -> QuerySet[AccountItem]:
    """What the days of a period booked one by one: refunds, payouts and fees that were not known at once."""
    booked = AccountItem.objects.filter(day__gte=first, day__lte=last).order_by("day", "id")
    return booked.select_related("refund__dispute", "refund__purchase", "payout", "purchase")


def late_items(first: date, last: date) -> QuerySet[AccountItem]:
    """Those of them that belong to days before the period, which were closed when they became known."""
    return items(first, last).filter(of_day__lt=first)


def closed_until() -> date | None:
    last: date | None = AccountDay.objects.aggregate(last=Max("day"))["last"]
    return last


def month_of(text: str) -> tuple[date, date]:
    """First and last day of 2026-11. Raises ValueError."""
    first = date.fromisoformat(f"{text}-01")
    return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def write_csv(told: Iterable[Statement], file: Written) -> None:
    rows = [statement.columns() for statement in told]
    writer = csv.DictWriter(file, list(rows[0]) if rows else ["from", "to", "currency", "mode"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def write_items_csv(booked: QuerySet[AccountItem], file: Written) -> None:
    writer = csv.writer(file, lineterminator="\n")
    money = ("currency", "mode", "amount", "of_it_of_others")
    writer.writerow(["booked_on", "of", "what", *money, "reference", "paystack_id"])
    with long_read():
        for item in booked.iterator(2000):
            of_it = (item.currency, item.mode, to_major(item.amount_minor), to_major(item.others_minor))
            reference = _as_text(item.source) if item.payout is None else ""
            writer.writerow([item.day, item.of_day, what(item), *of_it, reference, _paystack_id(item)])


def _as_text(value: str) -> str:
    """A payment that another system of the shop started has whatever reference that gave it; a spreadsheet would
    calculate `=1+1`."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@")) else value


def what(item: AccountItem) -> str:
    is_lost = item.refund is not None and item.refund.dispute_id is not None
    return "lost in a dispute" if is_lost else item.get_kind_display()


def _paystack_id(item: AccountItem) -> str:
    source = item.refund or item.payout or item.purchase
    return "" if source is None or source.paystack_id is None else source.paystack_id


def _statement(days: Sequence[AccountDay]) -> Statement:
    figures = {name: sum(getattr(day, name) for day in days) for name in (*COUNTS, *MONEY, *CREDITS)}
    closings = {name.replace("_closing", ""): getattr(days[-1], name) for name in CLOSINGS}
    changes = {
        "at_paystack_minor": figures["received_minor"]
        - figures["fees_minor"]
        - figures["refunded_minor"]
        + figures["others_minor"]
        - figures["paid_out_minor"],
        "deferred_minor": figures["sold_minor"]
        - figures["used_minor"]
        - figures["breakage_minor"]
        - figures["returned_minor"],
        "credits": figures["credits_sold"]
        + figures["credits_bonus"]
        + figures["credits_granted"]
        - figures["credits_spent"]
        - figures["credits_expired"]
        - figures["credits_taken_back"],
        "debt": figures["debt_change"],
    }
    openings = {name: closings[name] - change for name, change in changes.items()}
    stands = {name: getattr(days[-1], name) for name in STANDS}
    return Statement(days[0].currency, days[0].mode, days[0].day, days[-1].day, figures, openings, closings, stands)


def _name(name: str) -> str:
    return name.removesuffix("_minor")


def _shown(name: str, value: int) -> Decimal | int:
    if name in COUNTS:
        return value
    return to_major(value) if name.endswith("_minor") else to_credits(value)
