from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from ai_features.admin.showing import ReadOnlyAdmin
from ai_features.billing.accounts import reports
from ai_features.models import AccountDay

# Each line of the page, in the words of the report's columns; None is a rule between two parts.
LINES = (
    *("payments", "received", "tax", "fees", "refunded", "paid_out", None),
    *("opening_at_paystack", "closing_at_paystack", None),
    *("opening_deferred", "sold", "used", "breakage", "returned", "closing_deferred", None),
    *("opening_credits", "credits_sold", "credits_bonus", "credits_granted"),
    *("credits_spent", "credits_expired", "credits_taken_back", "closing_credits", None),
    *("opening_debt", "debt_change", "closing_debt", "fees_unknown"),
)


@admin.register(AccountDay)
class AccountDayAdmin(ReadOnlyAdmin):
    """Not a list of days but the statement of a period: `?month=2026-11`, `?day=2026-11-24`, and `&csv=1`."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        asked = request.GET.get("day") or request.GET.get("month") or f"{timezone.localdate():%Y-%m}"
        try:
            first, last = _period(asked)
            problem = ""
        except (ValueError, OverflowError):
            first = last = date.min
            problem = _("A month is as 2026-11, a day as 2026-11-24.")
        told = reports.statements(first, last)
        if request.GET.get("csv") and not problem:
            return _as_csv(told, asked)
        columns = [statement.columns() for statement in told]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Accounts"),
            "opts": self.opts,
            "asked": asked,
            "problem": problem,
            "currencies": [column["currency"] for column in columns],
            "lines": [
                (name and name.replace("_", " "), [column.get(name or "", "") for column in columns]) for name in LINES
            ],
            "closed_until": reports.closed_until(),
        }
        return render(request, "admin/ai_features/accounts.html", context, status=400 if problem else 200)


def _period(asked: str) -> tuple[date, date]:
    if len(asked) == len("2026-11"):
        return reports.month_of(asked)
    return date.fromisoformat(asked), date.fromisoformat(asked)


def _as_csv(told: list[reports.Statement], asked: str) -> HttpResponse:
    response = HttpResponse(
        content_type="text/csv", headers={"Content-Disposition": f'attachment; filename="accounts-{asked}.csv"'}
    )
    reports.write_csv(told, response)
    return response
