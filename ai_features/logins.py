"""Guessing passwords is slow: at the token, on the log-in page, and in the admin.

Wrong passwords are counted by name and address together (`login`), attempts of any kind by address (`token`). So many
guesses from one place are refused with 429 and `Retry-After`, and a stranger elsewhere cannot lock anybody out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from rest_framework.exceptions import Throttled

from ai_features.conf import ai_credits
from ai_features.throttling import FailedLogins, RateLimit

View = Callable[..., HttpResponseBase]


class TooManyGuesses(Throttled):
    def __init__(self, wait_seconds: int) -> None:
        super().__init__(wait_seconds)
        self.wait_seconds = wait_seconds


def guarded(log_in: View) -> View:
    """For a view whose form posts `username` and `password`, such as Django's `LoginView` and the admin's."""

    @wraps(log_in)
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return log_in(request, *args, **kwargs)
        limit = RateLimit()
        if not limit.allow(request, "token"):
            return _too_often(request, max(1, int(limit.wait() or 1)))
        try:
            with guess(request, request.POST.get("username", "")):
                return log_in(request, *args, **kwargs)
        except TooManyGuesses as refusal:
            return _too_often(request, refusal.wait_seconds)

    return view


@contextmanager
def guess(request: HttpRequest, username: str) -> Iterator[None]:
    """For the block in which a password is looked at. Raises TooManyGuesses if this name must wait at this address."""
    tried = FailedLogins(request, username)
    if not tried.take():
        raise TooManyGuesses(tried.wait_seconds)
    request.ai_credits_guess = tried  # type: ignore[attr-defined]
    yield
    if not tried.was_wrong:
        tried.give_back()


def _too_often(request: HttpRequest, wait: int) -> HttpResponse:
    context = {"rules": ai_credits(), "own_wallet": None, "minutes": -(-wait // 60)}
    page = render(request, "ai_features/too_often.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
    page.headers["Retry-After"] = str(wait)
    return page


@receiver(user_login_failed, dispatch_uid="ai_features.logins")
def _count(sender: object, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    """Also for a log-in of the host's that nothing guards."""
    username = next((credentials[name] for name in ("username", "email") if name in credentials), None)
    if request is None or not isinstance(username, str):
        return
    tried = getattr(request, "ai_credits_guess", None)
    if tried is None:
        FailedLogins(request, username).take()
    else:
        tried.was_wrong = True
