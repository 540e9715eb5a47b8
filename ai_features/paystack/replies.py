"""One HTTP reply becomes an envelope or one of our errors.

The HTTP status says little at Paystack (an unknown reference is a 400) and the outer `status` says only that the
call was accepted, so the error's code and words are looked at too (Paystack docs, Errors).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ai_features.exceptions import (
    DuplicateReference,
    PaystackBadResponse,
    PaystackError,
    PaystackKeyRefused,
    PaystackRateLimited,
    PaystackRefused,
    PaystackTimeout,
    PaystackUnavailable,
    TransactionNotFound,
)
from ai_features.paystack.answers import plain_text

MAX_WORDS = 300

# Code, then what the message starts with where the code is missing, as it is on older endpoints.
_MEANINGS: tuple[tuple[str, tuple[str, ...], type[PaystackRefused]], ...] = (
    ("transaction_not_found", ("transaction reference not found", "transaction not found"), TransactionNotFound),
    ("duplicate_reference", ("duplicate transaction reference",), DuplicateReference),
)


@dataclass(frozen=True, slots=True)
class Reply:
    status_code: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What Paystack said of its limit with one answer; `reset_seconds` until it counts anew."""

    limit: int
    remaining: int
    reset_seconds: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """What Paystack wraps every answer in."""

    data: Any
    meta: Mapping[str, Any]


def read(reply: Reply, *, is_write: bool) -> Envelope:
    """The envelope of an accepted call. Raises the PaystackError that the reply means."""
    if reply.status_code == 429:
        _fail(PaystackRateLimited, reply, retry_after_seconds=retry_after_seconds(reply.headers))
    if reply.status_code == 408:
        _fail(PaystackTimeout, reply, outcome_unknown=is_write)
    if reply.status_code >= 500:
        _fail(PaystackUnavailable, reply, outcome_unknown=is_write)
    envelope = _object(reply.body)
    if _is_refusal(reply.status_code, envelope):
        _fail(_refusal(reply.status_code, envelope), reply)
    if not 200 <= reply.status_code < 300 or envelope.get("status") is not True:
        _fail(PaystackBadResponse, reply, outcome_unknown=is_write)
    meta = envelope.get("meta")
    return Envelope(data=envelope.get("data"), meta=meta if isinstance(meta, Mapping) else {})


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Seconds until the limit is lifted; None if Paystack doesn't say (Paystack docs, Rate limits)."""
    for name in ("x-ratelimit-reset", "retry-after"):
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        if 0 <= seconds <= 86_400:
            return math.ceil(seconds)
    return None


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """None where the answer says nothing of it, which Paystack leaves open (Paystack docs, Rate limits)."""
    try:
        limit, remaining, reset = (int(headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))
    except (KeyError, ValueError):
        return None
    return RateLimit(limit, remaining, max(0, min(reset, 86_400)))


def _is_refusal(status_code: int, envelope: Mapping[str, Any]) -> bool:
    if status_code in (401, 403):
        return True
    return envelope.get("status") is False and (200 <= status_code < 300 or 400 <= status_code < 500)


def _refusal(status_code: int, envelope: Mapping[str, Any]) -> type[PaystackError]:
    code, message = _words(envelope)
    message = message.casefold()
    for known_code, beginnings, meaning in _MEANINGS:
        if code == known_code or message.startswith(beginnings):
            return meaning
    # A 403 that is about the order and not about the key: its words must reach the staff.
    if status_code in (401, 403) and not message.startswith("currency not supported"):
        return PaystackKeyRefused
    return PaystackRefused


def _fail(
    kind: type[PaystackError],
    reply: Reply,
    *,
    outcome_unknown: bool = False,
    retry_after_seconds: int | None = None,
) -> NoReturn:
    code, message = _words(_object(reply.body))
    raise kind(
        f"Paystack refused this request: {message}" if kind is PaystackRefused and message else None,
        outcome_unknown=outcome_unknown,
        status_code=reply.status_code,
        paystack_message=message,
        paystack_code=code,
        retry_after_seconds=retry_after_seconds,
    )


def _words(envelope: Mapping[str, Any]) -> tuple[str, str]:
    return plain_text(envelope.get("code"))[:MAX_WORDS], plain_text(envelope.get("message"))[:MAX_WORDS]


def _object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in a body; empty for anything else, which no accepted call answers."""
    try:
        # Not orjson: half an emoji in a customer's name is refused by it, and a payment must not hang on that.
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
