"""Arrays as PostgreSQL reads them. Psycopg's own way takes several times as long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import overload


def array(values: Iterable[int | str | None]) -> str:
    """Of numbers, words, and what is `quoted`. Where all are None it is empty: beside others PostgreSQL fills it up."""
    items = ["NULL" if value is None else str(value) for value in values]
    return "{}" if items.count("NULL") == len(items) else f"{{{','.join(items)}}}"


@overload
def quoted(text: str) -> str: ...
@overload
def quoted(text: str | None) -> str | None: ...
def quoted(text: str | None) -> str | None:
    return None if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
