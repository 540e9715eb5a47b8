from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ai_features.billing import AIBillingService
from ai_features.billing.balances import ExpiringCredits
from ai_features.web.pages import own_wallet, page, private

ENTRIES_A_PAGE = 25
PURCHASES_A_PAGE = 10
DAYS_SHOWN = 10

Row = TypeVar("Row", bound=Model)


@private
@require_safe
@login_required
def wallet(request: HttpRequest) -> HttpResponse:
    """Balance, what expires, and two histories by keyset: page 1,000 costs what page 1 costs."""
    mine = own_wallet(request)
    assert mine is not None
    before, purchases_before = (_key(request, name) for name in ("before", "purchases_before"))
    is_first = before is None and purchases_before is None
    context: dict[str, Any] = {"own_wallet": mine, "is_first": is_first}
    if is_first:
        context["frozen"] = mine.lots.filter(frozen__gt=0).aggregate(Sum("frozen"))["frozen__sum"]
        context["expiring"] = _by_day(AIBillingService.balance(mine).expiring)[:DAYS_SHOWN]
    if before is None:
        purchases, older = _newest(mine.purchases.all(), purchases_before, PURCHASES_A_PAGE)
        context |= {"purchases": purchases, "older_purchases": older}
    if purchases_before is None:
        entries, older = _newest(mine.entries.select_related("purchase"), before, ENTRIES_A_PAGE)
        context |= {"entries": entries, "older_entries": older}
    return page(request, "wallet", context)


def _by_day(expiring: Iterable[ExpiringCredits]) -> list[tuple[date, Decimal]]:
    """Credits by the day they expire on: a day's purchases differ by hours that nobody needs to know."""
    days = groupby(expiring, key=lambda one: timezone.localdate(one.expires_at))
    return [(day, sum((one.credits for one in same), Decimal())) for day, same in days]


def _key(request: HttpRequest, name: str) -> int | None:
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and 0 < len(value) < 19 else None


def _newest(rows: QuerySet[Row], before: int | None, count: int) -> tuple[list[Row], int | None]:
    """The next `count` rows, and the key that the page after them starts from."""
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: count + 1])
    return found[:count], found[count - 1].pk if len(found) > count else None
