from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ai_features.models import Purchase
from ai_features.web.pages import own_wallet, page, private


@private
@require_safe
@login_required
def receipt(request: HttpRequest, reference: str) -> HttpResponse:
    """What was sold, for whom and how it was paid; the owner's only."""
    if not reference.isprintable():
        raise Http404
    purchase = Purchase.objects.filter(wallet=own_wallet(request), reference=reference).first()
    if purchase is None:
        raise Http404
    return page(request, "receipt", {"purchase": purchase})
