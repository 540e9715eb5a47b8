"""Request bodies: JSON, form-encoded (with `a[b]` and `a[]` keys, as PHP sends them) and multipart.

Whatever arrives ends as a plain dict of JSON values that SQLite and UTF-8 can hold, or as an
`unreadable_body` error.
"""

import json
import math
import re
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from paystack_sandbox.errors import PaystackError

MAX_DEPTH = 64
_MAX_FIELDS = 1000
# A client that is still sending doesn't read the answer: so much too much is read and thrown away first.
_MAX_DISCARDED_BYTES = 16 * 1024 * 1024
_KEY_PART = re.compile(r"\[([^\[\]]*)\]")


async def read_body(request: Request) -> dict[str, Any]:
    """The body as a dict; {} when there is none. Raises PaystackError."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        return await _read_multipart(request)
    raw = await raw_body(request)
    # curl's default content type is the form's; what starts like JSON is read as JSON.
    if content_type == "application/x-www-form-urlencoded" and not raw.lstrip().startswith(b"{"):
        return _nested(_decode_form(raw))
    return parse_json_object(raw)


async def raw_body(request: Request) -> bytes:
    """The body's bytes. Raises PaystackError where there are more than the sandbox takes."""
    limit = request.app.state.sandbox.settings.body_limit_bytes
    kept = bytearray()
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received <= limit:
                kept += chunk
            elif received > limit + _MAX_DISCARDED_BYTES:
                break
    except ClientDisconnect as error:
        raise PaystackError("unreadable_body") from error
    if received > limit:
        raise PaystackError("body_too_large")
    return bytes(kept)


def parse_json_object(raw: bytes) -> dict[str, Any]:
    value = parse_json(raw)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PaystackError("unreadable_body", "The request body must be a JSON object")
    return value


def parse_json(raw: bytes) -> Any:
    """A JSON value, or None for an empty body. Raises PaystackError."""
    if not raw.strip():
        return None
    try:
        value = _JSON.decode(raw.decode("utf-8-sig"))
        return clean(value)
    except (ValueError, RecursionError) as error:
        raise PaystackError("unreadable_body", "The request body is not valid JSON") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def clean(value: Any, depth: int = 0) -> Any:
    """Without lone surrogates, which UTF-8 can't hold, and infinities (`1e999`), which JSON can't."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list):
        return value
    if depth >= MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    return {clean(key): clean(item, depth + 1) for key, item in value.items()}


def _decode_form(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise PaystackError("unreadable_body", "The request body is not a valid form") from error


async def _read_multipart(request: Request) -> dict[str, Any]:
    raw = await raw_body(request)
    parser = MultiPartParser(request.headers, _in_one_piece(raw), max_files=0, max_fields=_MAX_FIELDS)
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError, KeyError) as error:
        # KeyError: a content type without its boundary.
        raise PaystackError("unreadable_body", "The request body is not a valid form") from error
    return _nested([(key, value) for key, value in form.multi_items() if isinstance(value, str)])


async def _in_one_piece(raw: bytes) -> AsyncGenerator[bytes, None]:
    yield raw


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`metadata[cart][0]=7` → {"metadata": {"cart": ["7"]}}."""
    root: dict[str, Any] = {}
    for key, value in pairs:
        name, parts = key.partition("[")[0], _KEY_PART.findall(key)
        if not parts or len(parts) > MAX_DEPTH:
            root[clean(key)] = clean(value)
            continue
        node = root
        for part, following in zip([name, *parts], [*parts, None], strict=True):
            spot = part or str(len(node))
            if following is None:
                node[spot] = clean(value)
                break
            child = node.get(spot)
            if not isinstance(child, dict):
                child = node[spot] = {}
            node = child
    return {key: _with_lists(value) for key, value in root.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _with_lists(item) for key, item in value.items()}
    if items and list(items) == [str(index) for index in range(len(items))]:
        return list(items.values())
    return items
