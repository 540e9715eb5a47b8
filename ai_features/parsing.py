"""Request bodies: JSON or a form, never longer than a request of ours can be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any, NoReturn

from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BODY_BYTES = 64 * 1024
LONGEST_NUMBER = 4000
"""Digits; reading one takes time by their square, and Python's own refusal of more speaks to programmers."""


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = f"A request body here has at most {MAX_BODY_BYTES} bytes."
    default_code = "body_too_large"


def from_json(body: bytes) -> Any:
    """A number with a point is a Decimal with the digits that were sent. Raises ParseError, for NaN too."""
    try:
        return json.loads(body, parse_float=Decimal, parse_int=_integer, parse_constant=_refuse)
    except ArithmeticError as error:
        raise ParseError("The body is not JSON: a number in it is too large.") from error
    except (ValueError, RecursionError) as error:
        raise ParseError(f"The body is not JSON: {error}.") from error


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        return from_json(_read(stream))


class FormParser(BaseParser):
    media_type = "application/x-www-form-urlencoded"

    def parse(self, stream: IO[bytes], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        try:
            return QueryDict(_read(stream))
        except SuspiciousOperation as error:
            raise ParseError("The form has too many fields.") from error


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number in it has {len(digits)} digits")
    return int(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _read(stream: IO[bytes]) -> bytes:
    body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge
    return body
