"""What comes with a request: its idempotency key and the app's own note, checked before anything is done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from ai_features.exceptions import IdempotencyConflict, IdempotencyKeyUnusable, InvalidRequest
from ai_features.models import IdempotencyKey

METADATA_MAX_BYTES = 4096


def checked_key(key: str | None) -> str | None:
    """Raises IdempotencyKeyUnusable unless 1 to 100 printable ASCII characters; None is no key."""
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= 100 and key.isascii() and key.isprintable()):
        raise IdempotencyKeyUnusable
    return key


def is_plain_text(value: object, longest: int) -> bool:
    """Whether any database keeps it as it is: text of at most so many printable characters."""
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def checked_metadata(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Raises InvalidRequest unless an object of at most 4096 bytes of JSON that a database can keep."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise _unusable("this is no object")
    try:
        text = orjson.dumps(metadata, default=_number)
    except orjson.JSONEncodeError as error:
        raise _unusable(str(error.__cause__ or error)) from error
    if len(text) > METADATA_MAX_BYTES:
        raise _unusable(f"these are {len(text)}")
    if rb"\u0000" in text:
        raise _unusable("no database keeps the character U+0000")
    try:
        kept: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _unusable(_TOO_LARGE) from error
    return kept


def _number(value: object) -> Any:
    # 1e999999999 is a short text and a long number.
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= METADATA_MAX_BYTES:
        return orjson.Fragment(format(value, "f"))
    raise TypeError(_TOO_LARGE if isinstance(value, Decimal) else f"a {type(value).__name__} is no JSON")


_TOO_LARGE = "a number in it is more than a float holds"


def _unusable(problem: str) -> InvalidRequest:
    return InvalidRequest(fields={"metadata": [f"A JSON object of at most {METADATA_MAX_BYTES} bytes: {problem}."]})


def earlier_answer(wallet_id: int, key: str | None, request: dict[str, Any]) -> dict[str, Any] | None:
    """What this key was answered before; None for a new one. Raises IdempotencyConflict for another request."""
    earlier = None if key is None else IdempotencyKey.objects.filter(wallet_id=wallet_id, key=key).first()
    if earlier is None:
        return None
    if earlier.request != request:
        raise IdempotencyConflict(first_request=earlier.request, this_request=request)
    answer: dict[str, Any] = earlier.answer
    return answer
