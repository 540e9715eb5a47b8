from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime, time

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime:
    """2026-11-24 (its beginning) or 2026-11-24T18:00, in the project's time zone unless it names one."""
    try:
        found = parse_datetime(text)
        if found is None and (day := parse_date(text)) is not None:
            found = datetime.combine(day, time())
    except ValueError:
        found = None
    if found is None:
        raise ArgumentTypeError(f"{text} is no date, as in 2026-11-24 or 2026-11-24T18:00.")
    return found if found.tzinfo else timezone.make_aware(found)
