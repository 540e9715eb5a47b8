from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.core.validators import RegexValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from ai_features.billing import AIBillingService
from ai_features.conf import ai_credits
from ai_features.exceptions import AICreditsError
from ai_features.models import Purchase
from ai_features.web.pages import page, private

METHOD_NAMES = {
    "mobile_money": gettext_lazy("Mobile money"),
    "card": gettext_lazy("Card"),
    "bank_transfer": gettext_lazy("Bank transfer"),
    "ussd": gettext_lazy("USSD"),
    "bank": gettext_lazy("Bank account"),
}


class BuyForm(forms.Form):
    """`key` is new each time the page is drawn, so that two clicks on one page are one purchase."""

    package = forms.CharField(max_length=40)
    custom_amount = forms.DecimalField(required=False, max_digits=20, decimal_places=2)
    payment_method = forms.CharField(required=False, max_length=20)
    key = forms.CharField(max_length=64, validators=[RegexValidator(r"^[\w-]+\Z")])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("package") == "custom" and cleaned.get("custom_amount") is None:
            self.add_error("custom_amount", _("Enter the amount you want to pay."))
        return cleaned


@private
@require_http_methods(["GET", "HEAD", "POST"])
@transaction.non_atomic_requests
def buy(request: HttpRequest) -> HttpResponse:
    """What is for sale; POST starts a purchase and leads to Paystack's checkout."""
    if request.method != "POST":
        return _shop(request, {"package": request.GET.get("package", "")})
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("ai_features_web:buy"))
    form = BuyForm(request.POST)
    if not form.is_valid():
        return _shop(request, request.POST.dict(), problem=_first_error(form), status=422)
    try:
        purchase = _start(request, form.cleaned_data)
    except AICreditsError as error:
        return _shop(request, request.POST.dict(), problem=error.message, status=error.http_status)
    except ImproperlyConfigured:
        problem = _("This site cannot take payments yet. Please tell its staff.")
        return _shop(request, request.POST.dict(), problem=problem, status=503)
    if purchase.is_decided:
        return HttpResponseRedirect(
            f"{reverse('ai_features_web:callback')}?{urlencode({'reference': purchase.reference})}"
        )
    return HttpResponseRedirect(purchase.authorization_url)


def _start(request: HttpRequest, wanted: dict[str, Any]) -> Purchase:
    return AIBillingService.purchase_credits(
        request.user,  # type: ignore[arg-type]
        wanted["package"],
        custom_amount=wanted["custom_amount"] if wanted["package"] == "custom" else None,
        payment_method=wanted["payment_method"],
        callback_url=request.build_absolute_uri(reverse("ai_features_web:callback")),
        cancel_url=request.build_absolute_uri(reverse("ai_features_web:buy")),
        idempotency_key=f"page-{wanted['key']}",
    )


def _shop(request: HttpRequest, filled: dict[str, Any], *, problem: str = "", status: int = 200) -> HttpResponse:
    methods = [(code, METHOD_NAMES[code]) for code in ai_credits().payment_methods]
    context = {
        "packages": AIBillingService.packages(),
        "methods": methods,
        "filled": filled,
        "key": uuid.uuid4().hex,
        "problem": problem,
    }
    return page(request, "buy", context, status=status)


def _first_error(form: BuyForm) -> str:
    return str(next(iter(form.errors.values()))[0])
