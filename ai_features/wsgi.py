"""Django's WSGI handler, with less ado for requests of the short way (`ai_features.lean`).

Django sends a signal before every request and after it, mostly to see to the connections of all databases and caches.
The short way uses one connection, which is seen to here; a request that turns out to need the long way gets both
signals after all. Everything else – middleware, errors, the log – is Django's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, get_path_info
from django.db import DEFAULT_DB_ALIAS, connections
from django.urls import set_script_prefix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MIDDLEWARE = "ai_features.lean.TokenRequestsFirst"


def get_wsgi_application() -> WSGIHandler:
    """For a project's `wsgi.py`, in place of Django's function of that name."""
    django.setup(set_prefix=False)
    return Handler()


class Handler(WSGIHandler):
    def __init__(self) -> None:
        super().__init__()
        # Here, because models load with it, and they need `django.setup`.
        from ai_features import lean  # noqa: PLC0415

        self._is_short = lean.is_short if MIDDLEWARE in settings.MIDDLEWARE else None
        self._signals_are_due = lean.SIGNALS_ARE_DUE

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        if self._is_short is None or not self._is_short(environ, get_path_info(environ)):
            return super().__call__(environ, start_response)
        database = connections[DEFAULT_DB_ALIAS]
        database.close_if_unusable_or_obsolete()
        environ[self._signals_are_due] = True
        request = self.request_class(environ)
        set_script_prefix(request.META["SCRIPT_NAME"])
        response: Any = self.get_response(request)
        cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
        start_response(f"{response.status_code} {response.reason_phrase}", [*response.items(), *cookies])
        if self._signals_are_due not in environ or response.streaming:
            response._handler_class = type(self)
            return response
        database.close_if_unusable_or_obsolete()
        return [response.content]
