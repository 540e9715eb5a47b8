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


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; errors are raised as PaystackError."""

    message: str
    data: Any
    meta: Mapping[str, Any] | None = None
    http_status: int = 200

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"status": True, "message": self.message, "data": self.data}
        if self.meta is not None:
            body["meta"] = self.meta
        return body


Operation = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    operation: Operation
    needs_key: bool = field(default=True)
