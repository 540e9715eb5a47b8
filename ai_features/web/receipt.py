from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ai_features.billing.packages import package_name
from ai_features.models import Purchase
from ai_features.web.pages import own_wallet, page, private


@private
@require_safe
@login_required
def receipt(request: HttpRequest, reference: str) -> HttpResponse:
    """What was sold, for whom and how it was paid; the owner's only."""
    wallet = own_wallet(request)
    if not reference.isprintable():
        raise Http404
    purchase = Purchase.objects.filter(wallet=wallet, reference=reference).first()
    if purchase is None:
        raise Http404
    context = {
        "own_wallet": wallet,
        "purchase": purchase,
        "package_name": package_name(purchase.package_code),
        "refunds": purchase.refunds.order_by("id"),
        "frozen": purchase.lots.aggregate(Sum("frozen"))["frozen__sum"],
    }
    return page(request, "receipt", context)
