from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from ai_features.billing import AIBillingService
from ai_features.conf import ai_credits
from ai_features.models import Wallet


def page(request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """One of our pages. A reference in its address is nobody else's business, hence the referrer policy."""
    shared = {"rules": ai_credits(), "own_wallet": own_wallet(request)}
    response = render(request, f"ai_features/{name}.html", shared | context, status=status)
    response["Referrer-Policy"] = "same-origin"
    return response


def own_wallet(request: HttpRequest) -> Wallet | None:
    user = request.user
    return AIBillingService.wallet(user) if isinstance(user, AbstractBaseUser) else None


private = never_cache
