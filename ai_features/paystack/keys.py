from __future__ import annotations

import hmac
import re
from typing import Literal, NoReturn, final

from django.core.exceptions import ImproperlyConfigured

Mode = Literal["test", "live"]

_SHAPE = re.compile(r"sk_(test|live)_[!-~]+")


@final
class SecretKey:
    """A secret key of Paystack. Nothing shows it by accident; `reveal` does so on purpose."""

    __slots__ = ("_signer", "_value")

    def __init__(self, value: str | None) -> None:
        # A key read from a file often ends in a newline.
        self._value = (value or "").strip()
        self._signer: hmac.HMAC | None = None

    @property
    def is_usable(self) -> bool:
        """False for an empty key, and for the public one: anybody could sign with that."""
        return _SHAPE.fullmatch(self._value) is not None

    @property
    def mode(self) -> Mode:
        self.ensure_usable()
        return "live" if self._value.startswith("sk_live_") else "test"

    def ensure_usable(self) -> None:
        """Raises ImproperlyConfigured, in words that do not hold the key."""
        if self.is_usable:
            return
        problem = "is not a secret key of Paystack" if self._value else "is empty"
        raise ImproperlyConfigured(
            f"PAYSTACK_SECRET_KEY {problem}. A secret key starts with sk_test_ or sk_live_; copy it from the "
            "Paystack dashboard (Settings, API Keys & Webhooks)."
        )

    def reveal(self) -> str:
        return self._value

    def signature_of(self, payload: bytes) -> bytes:
        """Lower-case hex of HMAC-SHA512, as Paystack sends it."""
        if self._signer is None:
            self._signer = hmac.new(self._value.encode(), digestmod="sha512")
        signer = self._signer.copy()
        signer.update(payload)
        return signer.hexdigest().encode()

    def scrubbed(self, body: bytes) -> bytes:
        """The body without this key: what lies between may echo a request in its error page."""
        return body.replace(self._value.encode(), b"[secret key]") if self._value else body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "SecretKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret key is not pickled. Read it from the settings on the other side.")
