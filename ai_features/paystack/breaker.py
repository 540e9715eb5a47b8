"""A circuit breaker: while Paystack is silent, few threads of a process wait for it. Those who spend need them too.

It opens when a call has waited as long as it may and heard nothing. While it is open a few calls at a time still ask,
and whatever begins to be answered to one of them, be it a refusal or a 5xx, closes it. The others wait a moment for
that, and are refused then with nothing sent.

Like a `Connection` it has no lock, which a fork could copy in its locked state: at worst a few calls more ask.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from ai_features.exceptions import PaystackUnavailable

AT_ONCE = 2
"""Calls of a process that may wait while it is open."""
MOMENT_SECONDS = 2.0
"""How long the others wait for what those hear: Paystack's usual answer takes less."""
OPEN_SECONDS = 60.0
"""After so long without a call that heard nothing, nobody knows."""

_LOOK_EVERY_SECONDS = 0.05


class Breaker:
    def __init__(self) -> None:
        self._silent_at: float | None = None
        self._inside: set[tuple[int, int]] = set()
        """Process and thread of each call; after a fork some are of the parent."""

    @property
    def is_open(self) -> bool:
        silent_at = self._silent_at
        return silent_at is not None and time.monotonic() < silent_at + OPEN_SECONDS

    def heard(self) -> None:
        """Paystack began to answer a call."""
        self._silent_at = None

    def heard_nothing(self) -> None:
        """Paystack did not answer a call that waited long enough."""
        self._silent_at = time.monotonic()

    @contextlib.contextmanager
    def passed(self, ends_at: float) -> Iterator[None]:
        """Raises PaystackUnavailable, before anything is sent and by `ends_at`, where enough wait already."""
        place = os.getpid(), threading.get_ident()
        give_up_at = min(time.monotonic() + MOMENT_SECONDS, ends_at)
        while not self._enter(place):
            time.sleep(_LOOK_EVERY_SECONDS)
            if time.monotonic() >= give_up_at:
                raise PaystackUnavailable(
                    "Paystack does not answer at the moment. Nothing was sent; try again in a minute.",
                    outcome_unknown=False,
                )
        try:
            yield
        finally:
            self._inside.discard(place)

    def _enter(self, place: tuple[int, int]) -> bool:
        if self.is_open and sum(process == place[0] for process, _ in tuple(self._inside)) >= AT_ONCE:
            return False
        self._inside.add(place)
        return True
