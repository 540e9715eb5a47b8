from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer


def to_json(data: Any) -> bytes:
    """JSON in which a Decimal is a number with its own digits, never a float's: 80.00, 145.5."""
    return orjson.dumps(data, default=_default, option=orjson.OPT_UTC_Z)


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else to_json(data)


def json_response(data: Any, status: int = 200) -> HttpResponse:
    """For views outside REST framework."""
    return HttpResponse(to_json(data), content_type="application/json", status=status)


def _default(value: object) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    # Lazy translations, and error details of REST framework, are strings in disguise.
    return str(value)
