from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from ai_features.billing import AIBillingService
from ai_features.conf import ai_credits
from ai_features.models import Wallet


def page(request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """One of our pages. A reference in its address is nobody else's business, hence the referrer policy."""
    if "own_wallet" not in context:
        context = {"own_wallet": own_wallet(request), **context}
    response = render(request, f"ai_features/{name}.html", {"rules": ai_credits(), **context}, status=status)
    response["Referrer-Policy"] = "same-origin"
    return response


def own_wallet(request: HttpRequest) -> Wallet | None:
    """The visitor's, as it is now: what is past its time is done away with first."""
    if not isinstance(request.user, AbstractBaseUser):
        return None
    wallet = AIBillingService.wallet(request.user)
    may_be_due = wallet.held or (wallet.next_expiry_at is not None and wallet.next_expiry_at <= timezone.now())
    if may_be_due:
        AIBillingService.balance(wallet)
        wallet.refresh_from_db()
    return wallet


def buy_address(chosen: dict[str, str]) -> str:
    """The page with the packages, with this choice made already."""
    return f"{reverse('ai_features_web:buy')}?{urlencode(chosen)}".removesuffix("?")


private = never_cache
