"""Guessing passwords is slow: at the token, on the log-in page, and in the admin.

Wrong passwords are counted by name and address together (`login`), attempts of any kind by address (`token`). So many
guesses from one place are refused with 429 and `Retry-After`, and a stranger elsewhere cannot lock anybody out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from rest_framework.request import Request

from ai_features.conf import ai_credits
from ai_features.throttling import FailedLogins, RateLimit

View = Callable[..., HttpResponseBase]


def guarded(log_in: View) -> View:
    """For a view whose form posts `username` and `password`, such as Django's `LoginView` and the admin's."""

    @wraps(log_in)
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        wait = _wait_seconds(request) if request.method == "POST" else 0
        return _too_often(request, wait) if wait else log_in(request, *args, **kwargs)

    return view


def wait_seconds(request: Request | HttpRequest, username: str) -> int:
    """How long this name must wait at this address; 0: not at all."""
    return FailedLogins(request, username).wait_seconds


def _wait_seconds(request: HttpRequest) -> int:
    limit = RateLimit()
    if not limit.allow(request, "token"):
        return max(1, int(limit.wait() or 1))
    return wait_seconds(request, request.POST.get("username", ""))


def _too_often(request: HttpRequest, wait: int) -> HttpResponse:
    context = {"rules": ai_credits(), "own_wallet": None, "minutes": -(-wait // 60)}
    page = render(request, "ai_features/too_often.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
    page.headers["Retry-After"] = str(wait)
    return page


@receiver(user_login_failed, dispatch_uid="ai_features.logins")
def _count(sender: object, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    username = next((credentials[name] for name in ("username", "email") if name in credentials), None)
    if request is not None and isinstance(username, str):
        FailedLogins(request, username).count()
