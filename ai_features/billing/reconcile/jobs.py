"""What is due by the clock, and who is at it. A row each, so that any number of processes may try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from ai_features.models import Job

HELD_FOR = timedelta(seconds=90)
"""A holder that shows no sign for so long is dead, and another may take over."""
SHOWN_EVERY = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Held:
    """Call `still_here` at least every minute while at work; `finish` when done."""

    name: str
    still_here: Callable[[], None]
    finish: Callable[[str, timedelta], None]


def job(name: str) -> Job:
    return Job.objects.get_or_create(name=name, defaults={"due_at": timezone.now()})[0]


@contextmanager
def hold(name: str, *, only_if_due: bool = True) -> Iterator[Held | None]:
    """Be the one who does it; None where another is at it, or where it is not due."""
    job(name)
    now = timezone.now()
    free = Job.objects.filter(Q(held_until__isnull=True) | Q(held_until__lt=now), name=name)
    if only_if_due:
        free = free.filter(due_at__lte=now)
    if not free.update(held_until=now + HELD_FOR):
        yield None
        return
    try:
        yield _held(name)
    finally:
        Job.objects.filter(name=name).update(held_until=None)


def _held(name: str) -> Held:
    shown_at = timezone.now()

    def still_here() -> None:
        nonlocal shown_at
        now = timezone.now()
        if now - shown_at >= SHOWN_EVERY:
            Job.objects.filter(name=name).update(held_until=now + HELD_FOR)
            shown_at = now

    def finish(outcome: str, due_in: timedelta) -> None:
        now = timezone.now()
        Job.objects.filter(name=name).update(finished_at=now, due_at=now + due_in, outcome=outcome[:300])

    return Held(name, still_here, finish)
