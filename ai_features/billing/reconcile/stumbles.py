"""What went wrong with one reference, and must not keep the others from being looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError

from ai_features import discretion
from ai_features.exceptions import PaystackKeyRefused, PaystackRateLimited, PaystackUnavailable

log = discretion.logger(__name__)

GIVES_UP_AFTER = 3
"""Questions in a row without an answer say that Paystack is down."""

_ENDS_THE_PASS = (PaystackRateLimited, PaystackKeyRefused, ImproperlyConfigured, OperationalError, InterfaceError)


@dataclass(slots=True)
class Stumbles:
    """`found` has what went wrong, by reference; a pass that stumbled has not come to its end."""

    found: dict[str, str] = field(default_factory=dict)
    _silent: int = 0

    @contextmanager
    def over(self, reference: str) -> Iterator[None]:
        """Errors of this reference alone are kept; what would meet the next one too is raised."""
        try:
            yield
        except _ENDS_THE_PASS:
            raise
        except PaystackUnavailable as error:
            self._silent += 1
            if self._silent >= GIVES_UP_AFTER:
                raise
            self.note(reference, error)
        # Whatever it is, it is the same the next time, and the payments after it must not wait for ever.
        except Exception as error:
            log.exception("reconciliation stumbles over %s", reference, extra={"reference": reference})
            self.note(reference, error)
        else:
            self._silent = 0

    def note(self, reference: str, error: Exception) -> None:
        self.found[reference] = f"{type(error).__name__}: {discretion.without_values(error)}"
