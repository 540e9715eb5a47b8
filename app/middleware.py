from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from django.core.exceptions import BadRequest
from django.core.signals import request_finished
from django.db import DataError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from app.logs import request_id

Answer = Callable[[HttpRequest], HttpResponse]

_UNUSED = ("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "microphone", "payment", "usb")
HEADERS = {
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED),
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RequestId:
    """Names the request in the log and in the answer, by the name a proxy gave it if that is one."""

    _NAME = re.compile(r"[\w-]{8,64}", re.ASCII)

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        name = given if self._NAME.fullmatch(given) else uuid.uuid4().hex
        # Until `request_finished`, since Django writes its own line after the last middleware is done.
        request_id.set(name)
        response = self.get_response(request)
        response.headers["X-Request-Id"] = name
        return response


@receiver(request_finished, dispatch_uid="app.middleware.RequestId")
def _forget_request_id(sender: object, **_: Any) -> None:
    request_id.set("")


class NulRefused:
    """Django's own admin gives what an address says to the database untried, and text in PostgreSQL holds no NUL."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, DataError) and "\0" in unquote(request.get_full_path()):
            raise BadRequest("The address has a NUL in it.") from exception


class BrowserHeaders:
    """What Django and django-csp do not say to browsers by themselves."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
