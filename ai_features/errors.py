"""The one error shape: `{"error": "<stable code>", "message": "<what to do>", …}`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as rest_framework_handler

from ai_features import discretion
from ai_features.exceptions import AICreditsError, InvalidRequest, PaystackError, SpendingCapReached
from ai_features.rendering import json_response

log = discretion.logger(__name__)

# REST framework's codes are stable too, but not all say what they mean to a stranger.
_CODES = {
    "parse_error": "malformed_body",
    "throttled": "rate_limited",
    "authentication_failed": "invalid_token",
    "error": "invalid_request",
}
RETRY_AFTER_SECONDS = 5

DATABASE_DOWN = (OperationalError, InterfaceError)
DATABASE_UNAVAILABLE = {
    "error": "database_unavailable",
    "message": "The database is busy or away. Try again shortly; what has an Idempotency-Key is then done once.",
}

AnyResponse = TypeVar("AnyResponse", Response, HttpResponse)


def body_of(error: AICreditsError) -> dict[str, Any]:
    return {"error": error.code, "message": error.message, **error.details()}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every refusal and every expected failure in the one shape; what is left over is a bug, and a 500."""
    match error:
        case AICreditsError():
            return _ours(error)
        case exceptions.ValidationError():
            return _ours(InvalidRequest(fields=error.detail))
        case OperationalError() | InterfaceError():
            log.error("the database did not answer", exc_info=error)
            return _retry_later(Response(DATABASE_UNAVAILABLE, status=HTTPStatus.SERVICE_UNAVAILABLE))
        case ImproperlyConfigured():
            log.error("the configuration is not usable", exc_info=error)
            return Response(
                {"error": "not_configured", "message": "This site cannot take payments yet; please tell its staff."},
                status=HTTPStatus.SERVICE_UNAVAILABLE,
            )
    response = rest_framework_handler(error, context)
    if response is not None:
        detail = response.data["detail"]
        response.data = {"error": _CODES.get(detail.code, detail.code), "message": str(detail)}
    return response


def response_to(error: AICreditsError) -> HttpResponse:
    """For views outside REST framework."""
    return _with_retry(json_response(body_of(error), status=error.http_status), error)


def _ours(error: AICreditsError) -> Response:
    return _with_retry(Response(body_of(error), status=error.http_status), error)


def _with_retry(response: AnyResponse, error: AICreditsError) -> AnyResponse:
    match error:
        case SpendingCapReached():
            response["Retry-After"] = str(error.values["retry_after_seconds"])
        case PaystackError() if error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
            response["Retry-After"] = str(error.retry_after_seconds or RETRY_AFTER_SECONDS)
    return response


def database_unavailable() -> HttpResponse:
    """For views outside REST framework, inside `except DATABASE_DOWN`."""
    log.error("the database did not answer", exc_info=sys.exception())
    return _retry_later(json_response(DATABASE_UNAVAILABLE, status=HTTPStatus.SERVICE_UNAVAILABLE))


def _retry_later(response: AnyResponse) -> AnyResponse:
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def method_not_allowed(allowed: Sequence[str]) -> HttpResponse:
    """For views outside REST framework."""
    methods = ", ".join(allowed)
    response = json_response({"error": "method_not_allowed", "message": f"Send {methods} here."}, status=405)
    response["Allow"] = methods
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For the project's `handler400`: a foreign `Host`, or what Django itself finds suspicious."""
    if request.path.startswith("/ai/"):
        message = "This request cannot be read, or its Host header names another site."
        return json_response({"error": "bad_request", "message": message}, status=400)
    return defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For the project's `handler404`: JSON below `/ai/`, Django's page elsewhere."""
    if request.path.startswith("/ai/"):
        message = "There is nothing at this address. Addresses end with a slash; see /ai/api/docs/."
        return json_response({"error": "not_found", "message": message}, status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """For the project's `handler500`; a 503 where it is the database that is away."""
    is_database_down = isinstance(sys.exception(), DATABASE_DOWN)
    if not request.path.startswith("/ai/"):
        response: HttpResponse = defaults.server_error(request)
    elif is_database_down:
        response = json_response(DATABASE_UNAVAILABLE)
    else:
        message = "Something broke on our side; it was logged. A payment you made is not lost."
        response = json_response({"error": "server_error", "message": message}, status=500)
    if is_database_down:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        _retry_later(response)
    return response
