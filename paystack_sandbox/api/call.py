"""What an operation gets and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paystack_sandbox.state import Integration

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request. `body` is {} for GET; values in it are anything JSON can hold."""

    sandbox: "Sandbox"
    integration: Integration
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    base_url: str
    """Scheme and host the client used, for addresses in answers where no public URL is configured."""
    ip_address: str | None = None
    """The client's."""


class _NoData:
    """Some answers have no `data` at all."""


NO_DATA = _NoData()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with a body of its own; plain errors are raised as PaystackError.

    `status` is false in one answer that has `data` all the same: a wrong PIN or OTP (facts 4.3).
    `more` stands at the top, beside `status` and `message`.
    """

    message: str
    data: Any = NO_DATA
    meta: Mapping[str, Any] | None = None
    http_status: int = 200
    status: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"status": self.status, "message": self.message, **self.more}
        if self.data is not NO_DATA:
            body["data"] = self.data
        if self.meta is not None:
            body["meta"] = self.meta
        return body


Operation = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """`sure` says where the answer's form comes from, and what in it nobody has confirmed."""

    method: str
    path: str
    operation: Operation
    sure: str = ""
    needs_key: bool = True
