"""Request bodies: JSON or a form, never longer than a request of ours can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BODY_BYTES = 64 * 1024


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = f"A request body here has at most {MAX_BODY_BYTES} bytes."
    default_code = "body_too_large"


class JSONParser(BaseParser):
    """Unlike the standard library's, orjson refuses NaN and deep nesting instead of passing on or overflowing."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        try:
            return orjson.loads(_read(stream))
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not JSON: {error}.") from error


class FormParser(BaseParser):
    media_type = "application/x-www-form-urlencoded"

    def parse(self, stream: IO[bytes], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        try:
            return QueryDict(_read(stream))
        except SuspiciousOperation as error:
            raise ParseError("The form has too many fields.") from error


def _read(stream: IO[bytes]) -> bytes:
    body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge
    return body
