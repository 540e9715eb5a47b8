from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.showing import ReadOnlyAdmin
from ai_features.billing.accounts import reports
from ai_features.models import AccountDay, AccountItem, Mode
from ai_features.money import to_major

# The statement as it is added up: what each part is about, then sign, words and column of the report for each line.
PARTS = (
    (
        gettext_lazy("Money at Paystack"),
        (
            ("", gettext_lazy("Held by Paystack at the beginning"), "opening_at_paystack"),
            ("+", gettext_lazy("Received"), "received"),
            ("", gettext_lazy("of it tax"), "tax"),
            ("−", gettext_lazy("Paystack's fees"), "fees"),
            ("−", gettext_lazy("Refunded"), "refunded"),
            ("", gettext_lazy("of it lost in disputes"), "lost_in_disputes"),
            ("+", gettext_lazy("Of others, in the payouts"), "others"),
            ("−", gettext_lazy("Paid out by Paystack"), "paid_out"),
            ("=", gettext_lazy("Held by Paystack at the end"), "closing_at_paystack"),
            ("", gettext_lazy("of it on its way to payers"), "refunds_open"),
        ),
    ),
    (
        gettext_lazy("Deferred revenue: credits still owed, at their price"),
        (
            ("", gettext_lazy("At the beginning"), "opening_deferred"),
            ("+", gettext_lazy("Sold, without tax"), "sold"),
            ("−", gettext_lazy("Revenue from use"), "used"),
            ("−", gettext_lazy("Revenue from expiry"), "breakage"),
            ("−", gettext_lazy("Taken back"), "returned"),
            ("=", gettext_lazy("At the end"), "closing_deferred"),
        ),
    ),
    (
        gettext_lazy("Credits"),
        (
            ("", gettext_lazy("At the beginning"), "opening_credits"),
            ("+", gettext_lazy("Sold"), "credits_sold"),
            ("+", gettext_lazy("Bonus"), "credits_bonus"),
            ("+", gettext_lazy("Granted"), "credits_granted"),
            ("−", gettext_lazy("Spent"), "credits_spent"),
            ("−", gettext_lazy("Expired"), "credits_expired"),
            ("−", gettext_lazy("Taken back"), "credits_taken_back"),
            ("=", gettext_lazy("Still owed at the end"), "closing_credits"),
        ),
    ),
    (
        gettext_lazy("Debt, in credits"),
        (
            ("", gettext_lazy("At the beginning"), "opening_debt"),
            ("+", gettext_lazy("Made, less paid"), "debt_change"),
            ("=", gettext_lazy("At the end"), "closing_debt"),
        ),
    ),
    (
        gettext_lazy("Counted"),
        (
            ("", gettext_lazy("Payments"), "payments"),
            ("", gettext_lazy("Payments whose fee is not known, less those told since"), "fees_unknown"),
        ),
    ),
)
LATE_MAX = 50


@admin.register(AccountDay)
class AccountDayAdmin(ReadOnlyAdmin):
    """Not a list of days but the statement of a period: `?month=2026-11`, `?day=2026-11-24`, and `&csv=1` for it or
    `&csv=items` for what it booked one by one."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        asked = request.GET.get("day") or request.GET.get("month") or f"{timezone.localdate():%Y-%m}"
        try:
            first, last = _period(asked)
        except (ValueError, OverflowError):
            problem = _("A month is as 2026-11, a day as 2026-11-24.")
            return self._page(request, asked, {"problem": problem}, status=400)
        told = reports.statements(first, last)
        match request.GET.get("csv"):
            case None | "":
                return self._page(request, asked, _shown(told, first, last))
            case "items":
                response = _csv(f"items-{asked}")
                reports.write_items_csv(reports.items(first, last), response)
            case _:
                response = _csv(f"accounts-{asked}")
                reports.write_csv(told, response)
        return response

    def _page(self, request: HttpRequest, asked: str, about: dict[str, Any], status: int = 200) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Accounts"),
            "opts": self.opts,
            "asked": asked,
            "closed_until": reports.closed_until(),
            **about,
        }
        return render(request, "admin/ai_features/accounts.html", context, status=status)


def _shown(told: Sequence[reports.Statement], first: date, last: date) -> dict[str, Any]:
    columns = [statement.columns() for statement in told]
    late = reports.late_items(first, last)
    return {
        "currencies": [_of(one.currency, one.mode) for one in told],
        "days": (told[0].first, told[0].last) if told else None,
        "parts": [
            (heading, [(sign, label, [_figure(column, name) for column in columns]) for sign, label, name in lines])
            for heading, lines in PARTS
        ],
        "late": [(item.of_day, item.day, reports.what(item), *_amount(item), item.source) for item in late[:LATE_MAX]],
        "late_more": max(0, late.count() - LATE_MAX),
        "before": _neighbour(first, last, first - timedelta(days=1)) if first > date.min else "",
        "after": _neighbour(first, last, last + timedelta(days=1)) if last < date.max else "",
    }


def _of(currency: str, mode: str) -> str:
    if not currency:
        return _("granted, and all debt")
    return _("%(currency)s, test mode") % {"currency": currency} if mode == Mode.TEST else currency


def _amount(item: AccountItem) -> tuple[str, Decimal]:
    return _of(item.currency, item.mode), to_major(item.amount_minor)


def _figure(column: dict[str, Any], name: str) -> str:
    """Grouped by thousands; granted credits have no money."""
    is_of_credits = "credits" in name or "debt" in name
    return f"{column[name]:,}" if is_of_credits or column["currency"] != reports.GRANTED else "–"


def _neighbour(first: date, last: date, day: date) -> str:
    return day.isoformat() if first == last else f"{day:%Y-%m}"


def _period(asked: str) -> tuple[date, date]:
    if len(asked) == len("2026-11"):
        return reports.month_of(asked)
    return date.fromisoformat(asked), date.fromisoformat(asked)


def _csv(name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return HttpResponse(content_type="text/csv", headers=headers)
