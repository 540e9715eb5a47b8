"""What errors may tell where they are logged or stored: what went wrong, and of no row.

PostgreSQL's DETAIL and CONTEXT, and the piece of the statement it points at, hold the values of whoever the row is
about.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from django.db import Error

_VALUE = re.compile('".*"', re.DOTALL)
_DATA_EXCEPTION = "22"
"""The class of SQLSTATE for a value that is none of its type: there the first line quotes it."""


def without_values(error: BaseException) -> BaseException:
    """The same error, which from now on tells PostgreSQL's first line alone, and so do those it came from.

    Constraint, table and column are named there. What other databases, and we ourselves, raise is left as it is.
    """
    for one in _with_those_before(error, set()):
        told = _first_line(one)
        if told is not None:
            one.args = (told,)
    return error


def logger(name: str) -> logging.Logger:
    """The logger of that name, discreet whatever the project's `LOGGING` is."""
    log = logging.getLogger(name)
    log.addFilter(_FILTER)
    return log


class WithoutValues(logging.Filter):
    """For handlers of a project's `LOGGING`: the same for errors that Django or another app logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            without_values(record.exc_info[1])
        for value in record.args if isinstance(record.args, tuple) else ():
            if isinstance(value, BaseException):
                without_values(value)
        return True


_FILTER = WithoutValues()


def _with_those_before(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (error.__cause__, error.__context__, *grouped):
        if other is not None:
            yield from _with_those_before(other, seen)


def _first_line(error: BaseException | None) -> str | None:
    """The driver's own error knows it; Django's, and one raised again for another caller, were made from that."""
    while error is not None:
        diag = getattr(error, "diag", None)
        if diag is not None and diag.message_primary is not None:
            is_about_data = (diag.sqlstate or "").startswith(_DATA_EXCEPTION)
            return _VALUE.sub('"…"', diag.message_primary) if is_about_data else str(diag.message_primary)
        error = error.__cause__ if isinstance(error, Error) else None
    return None
