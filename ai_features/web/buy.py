from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from ai_features.billing import AIBillingService
from ai_features.billing.packages import CUSTOM
from ai_features.billing.purchases import Order
from ai_features.conf import ai_credits
from ai_features.exceptions import AICreditsError, PurchaseInProgress
from ai_features.models import Purchase, PurchaseStatus
from ai_features.throttling import allow
from ai_features.web.pages import buy_address, page, private

CHOICES = ("package", "custom_amount", "payment_method")
STALE = gettext_lazy("This page was out of date. Please choose again.")


class BuyForm(forms.Form):
    """`key` is new each time the page is drawn, so that two clicks on one page are one purchase."""

    package = forms.CharField(max_length=40, error_messages={"required": gettext_lazy("Choose a package.")})
    custom_amount = forms.DecimalField(required=False, max_digits=20, decimal_places=2)
    payment_method = forms.CharField(required=False, max_length=20)
    key = forms.RegexField(r"^[\w-]{1,64}\Z", error_messages={"required": STALE, "invalid": STALE})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("package") != CUSTOM:
            # What is left in that field says nothing about a package.
            self.errors.pop("custom_amount", None)
            cleaned["custom_amount"] = None
        elif cleaned.get("custom_amount") is None and "custom_amount" not in self.errors:
            self.add_error("custom_amount", _("Enter the amount you want to pay."))
        return cleaned


@private
@require_http_methods(["GET", "HEAD", "POST"])
@transaction.non_atomic_requests
def buy(request: HttpRequest) -> HttpResponse:
    """What is for sale; POST starts a purchase and leads to Paystack's checkout."""
    if request.method != "POST":
        return _shop(request, request.GET.dict())
    filled = request.POST.dict()
    if not request.user.is_authenticated:
        return redirect_to_login(buy_address({name: filled[name][:40] for name in CHOICES if filled.get(name)}))
    if not allow(request, "purchase"):
        problem = _("That was very often. Please wait a minute and try again.")
        return _shop(request, filled, problem=problem, status=HTTPStatus.TOO_MANY_REQUESTS)
    form = BuyForm(request.POST)
    if not form.is_valid():
        problem = str(next(iter(form.errors.values()))[0])
        return _shop(request, filled, problem=problem, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        purchase = _start(request, form.cleaned_data)
    except PurchaseInProgress as error:
        problem = _("Your checkout is still being opened. Wait a few seconds and choose the same again.")
        return _shop(request, filled, problem=problem, status=error.http_status, key=form.cleaned_data["key"])
    except AICreditsError as error:
        return _shop(request, filled, problem=error.message, status=error.http_status)
    except ImproperlyConfigured:
        problem = _("This site cannot take payments yet. Please tell its staff.")
        return _shop(request, filled, problem=problem, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return HttpResponseRedirect(_next_step(purchase))


def _start(request: HttpRequest, wanted: dict[str, Any]) -> Purchase:
    chosen = {name: wanted[name] for name in CHOICES}
    return AIBillingService.purchase_credits(
        request.user,  # type: ignore[arg-type]
        **chosen,
        callback_url=request.build_absolute_uri(reverse("ai_features_web:callback")),
        cancel_url=request.build_absolute_uri(reverse("ai_features_web:buy")),
        # Browsers keep a page for their back button; another choice made on it is another purchase.
        idempotency_key=f"page-{wanted['key']}-{Order(**chosen).fingerprint[:16]}",
    )


def _next_step(purchase: Purchase) -> str:
    """The checkout, unless an earlier click on the same page has brought the purchase to its end."""
    if purchase.status == PurchaseStatus.PENDING:
        return purchase.authorization_url
    return f"{reverse('ai_features_web:callback')}?{urlencode({'reference': purchase.reference})}"


def _shop(
    request: HttpRequest, filled: dict[str, Any], *, problem: str = "", status: int = 200, key: str = ""
) -> HttpResponse:
    context = {
        "packages": AIBillingService.packages(),
        "methods": ai_credits().payment_methods,
        "filled": filled,
        "key": key or uuid.uuid4().hex,
        "problem": problem,
    }
    return page(request, "buy", context, status=status)
