"""The sandbox's time: real time plus what the tester moved it on by."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

MAX_ADVANCE_SECONDS = 100 * 366 * 24 * 3600


class Clock:
    """Milliseconds since 1970. Only ever moves forward, except by `reset`."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms
        self._held_at: int | None = None

    def now_ms(self) -> int:
        if self._held_at is not None:
            return self._held_at
        return int(time.time() * 1000) + self.offset_ms

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def advance(self, seconds: float) -> None:
        self.offset_ms += round(seconds * 1000)

    @contextlib.contextmanager
    def held_at(self, moment_ms: int) -> Iterator[None]:
        """Stand at `moment_ms` meanwhile: what fell due during a leap is dated when it fell due."""
        before, self._held_at = self._held_at, moment_ms
        try:
            yield
        finally:
            self._held_at = before

    def reset(self) -> None:
        self.offset_ms = 0


@lru_cache(maxsize=4096)
def iso(moment_ms: int | None) -> str | None:
    """Paystack's form of a date: UTC with milliseconds, `2024-08-22T09:15:02.000Z`."""
    if moment_ms is None:
        return None
    text = datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
