"""Pagination, both ways (facts 1.6), and the filters lists share."""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

from paystack_sandbox.errors import PaystackError

DEFAULT_PER_PAGE = 50
MAX_PER_PAGE = 1000
MAX_ID = 2**63 - 1


class Numbered(Protocol):
    @property
    def id(self) -> int: ...


AnyNumbered = TypeVar("AnyNumbered", bound=Numbered)
# (condition on the id, its value, order, limit) → rows
Fetch = Callable[[str, list[int], str, int], list[AnyNumbered]]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    per_page: int
    number: int
    by_cursor: bool
    after: int | None
    """Id from a `next` cursor: rows past it."""
    before: int | None
    """Id from a `previous` cursor: rows ahead of it."""

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.per_page

    def offset_meta(self, total: int, **more: Any) -> dict[str, Any]:
        return {
            "total": total,
            **more,
            "skipped": self.offset,
            "perPage": self.per_page,
            "page": self.number,
            "pageCount": math.ceil(total / self.per_page),
        }


def read_page(query: Mapping[str, str], max_per_page: int = MAX_PER_PAGE) -> Page:
    per_page = _whole(query.get("perPage") or query.get("per_page"), DEFAULT_PER_PAGE)
    after, before = query.get("next"), query.get("previous")
    return Page(
        per_page=min(per_page, max_per_page),
        number=min(_whole(query.get("page"), 1), 10**9),
        by_cursor=is_true(query.get("use_cursor")) or bool(after or before),
        after=decode_cursor(after) if after else None,
        before=decode_cursor(before) if before else None,
    )


def cursor_rows(
    page: Page, prefix: str, id_column: str, fetch: Fetch[AnyNumbered]
) -> tuple[list[AnyNumbered], dict[str, Any]]:
    """The rows of a page by cursor, newest first, and the list's `meta`."""
    if page.before is not None:
        rows = fetch(f"{id_column} > ?", [page.before], id_column, page.per_page + 1)
        has_previous, has_next = len(rows) > page.per_page, True
        rows = rows[: page.per_page][::-1]
    else:
        condition = f"{id_column} < ?" if page.after is not None else "1"
        values = [page.after] if page.after is not None else []
        rows = fetch(condition, values, f"{id_column} DESC", page.per_page + 1)
        has_previous, has_next = page.after is not None, len(rows) > page.per_page
        rows = rows[: page.per_page]
    meta = {
        "next": encode_cursor(prefix, rows[-1].id) if rows and has_next else None,
        "previous": encode_cursor(prefix, rows[0].id) if rows and has_previous else None,
        "perPage": page.per_page,
    }
    return rows, meta


def _whole(text: str | None, default: int) -> int:
    """Values that are no positive number are answered as if they weren't there."""
    digits = text is not None and text.isascii() and text.isdigit() and len(text) < 16
    return max(int(text), 1) if digits and text is not None else default


def is_true(text: str | None) -> bool:
    return text is not None and text.lower() in ("true", "1", "yes")


def encode_cursor(prefix: str, row_id: int) -> str:
    return base64.b64encode(f"{prefix}:{row_id}".encode()).decode()


def decode_cursor(cursor: str) -> int:
    try:
        row_id = int(base64.b64decode(cursor, validate=True).decode("ascii").rpartition(":")[2])
    except (ValueError, binascii.Error) as error:
        raise PaystackError("bad_value", "Invalid cursor") from error
    return min(max(row_id, 0), MAX_ID)


def given(query: Mapping[str, str], field: str) -> str | None:
    """None where the filter is left out. Some clients send 0 for that, which is nobody's id and no amount."""
    text = query.get(field)
    return None if text in (None, "", "0") else text


def read_id(text: str) -> int | None:
    """A positive id that SQLite can hold; None where the text is no such number."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > MAX_ID:
        return None
    return int(text)


def read_moment_ms(query: Mapping[str, str], field: str) -> int | None:
    """An ISO date or date and time, UTC where it names no zone."""
    text = given(query, field)
    if text is None:
        return None
    try:
        # At least one published client encodes dates twice.
        text = unquote(text)
        # A `+` of a time zone arrives as a space where the client did not encode it.
        moment = datetime.fromisoformat(text.replace(" 0", "+0") if "T" in text else text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise PaystackError("bad_value", f'"{field}" must be a valid date') from error
