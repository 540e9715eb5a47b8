from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ai_features.models import LedgerEntry
from ai_features.web.pages import own_wallet, page, private

ENTRIES_A_PAGE = 25
PURCHASES_SHOWN = 10


@private
@require_safe
@login_required
def wallet(request: HttpRequest) -> HttpResponse:
    """Balance, what expires, and the history by keyset: page 1,000 costs what page 1 costs."""
    mine = own_wallet(request)
    assert mine is not None
    before = request.GET.get("before", "")
    entries = _entries(mine.entries.select_related("purchase"), before)
    context = {
        "wallet": mine,
        "lots": mine.lots.filter(remaining__gt=0, expires_at__gt=timezone.now()).order_by("expires_at", "id")[:10],
        "entries": entries[:ENTRIES_A_PAGE],
        "older": entries[ENTRIES_A_PAGE - 1].pk if len(entries) > ENTRIES_A_PAGE else None,
        "purchases": None if before else mine.purchases.order_by("-id")[:PURCHASES_SHOWN],
    }
    return page(request, "wallet", context)


def _entries(entries: QuerySet[LedgerEntry], before: str) -> list[LedgerEntry]:
    if before.isascii() and before.isdigit() and len(before) < 19:
        entries = entries.filter(pk__lt=int(before))
    return list(entries.order_by("-pk")[: ENTRIES_A_PAGE + 1])
