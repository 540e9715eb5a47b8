"""How often Paystack is asked: never more than the setting allows in a minute, and less as soon as it says so."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ai_features.conf import ai_credits
from ai_features.exceptions import PaystackRateLimited
from ai_features.paystack import PaystackService

MINUTE_SECONDS = 60.0
LEFT_FOR_BUYERS = 0.1
"""With less of Paystack's limit left than this part of it, reconciliation stops and lets buyers go first."""
LONGEST_SLEEP_SECONDS = 10.0

# One for the process: a pass must not forget what the one before it has used up.
_asked_at: deque[float] = deque()


class Pace:
    """Call `wait` before each request and `heed` after it. `still_here` is called while time goes by."""

    def __init__(self, still_here: Callable[[], None] = lambda: None) -> None:
        self._still_here = still_here

    def wait(self) -> None:
        """Returns when one more request is within the limit."""
        limit = ai_credits().reconcile_requests_a_minute
        while True:
            self._still_here()
            now = time.monotonic()
            while _asked_at and _asked_at[0] <= now - MINUTE_SECONDS:
                _asked_at.popleft()
            if len(_asked_at) < limit:
                _asked_at.append(now)
                return
            time.sleep(min(_asked_at[0] + MINUTE_SECONDS - now, LONGEST_SLEEP_SECONDS))

    def heed(self) -> None:
        """Raises PaystackRateLimited, before Paystack does, where little of its limit is left."""
        told = PaystackService.from_settings().rate_limit
        if told is not None and told.remaining < told.limit * LEFT_FOR_BUYERS:
            raise PaystackRateLimited(retry_after_seconds=told.reset_seconds)


def forget() -> None:
    """For tests, which are many in a minute."""
    _asked_at.clear()
