"""The last requests to Paystack's API, with their answers, for the dashboard. In memory only."""

import time
from collections import deque
from dataclasses import dataclass
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paystack_sandbox.clock import Clock

KEPT_REQUESTS = 200
KEPT_BODY_BYTES = 8000
KEPT_PATH_CHARS = 1000
# The sandbox's own addresses; everything else is a client's, what the sandbox does not have included.
_OWN_PATHS = ("/_sandbox/", "/checkout/", "/popup/", "/static/", "/dashboard/")
_OWN_FILES = frozenset({"/", "/inline.js", "/v1/inline.js", "/v2/inline.js", "/favicon.ico", "/_sandbox"})


@dataclass(slots=True)
class Entry:
    """`status` is None where the connection was cut; bodies are kept up to KEPT_BODY_BYTES."""

    id: int
    at_ms: int
    method: str
    path: str
    key: str
    request_body: bytes = b""
    status: int | None = None
    response_body: bytes = b""
    seconds: float = 0.0
    fault: str | None = None

    def concerns(self, reference: str) -> bool:
        searched = reference.encode()
        return searched in self.path.encode() or searched in self.request_body or searched in self.response_body


class ApiLog:
    """Newest last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids = count(1)
        self._entries: deque[Entry] = deque(maxlen=KEPT_REQUESTS)

    def clear(self) -> None:
        self._entries.clear()

    def newest(self) -> list[Entry]:
        return list(self._entries)[::-1]

    def entry(self, entry_id: int) -> Entry | None:
        return next((entry for entry in self._entries if entry.id == entry_id), None)

    def open(self, scope: Scope) -> Entry:
        query = scope["query_string"].decode("latin-1")
        path = f"{scope['path']}?{query}" if query else scope["path"]
        key = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        entry = Entry(
            id=next(self._ids),
            at_ms=self._clock.now_ms(),
            method=scope["method"],
            path=path[:KEPT_PATH_CHARS],
            key=key.decode("latin-1").partition(" ")[2],
        )
        self._entries.append(entry)
        return entry


class Logged:
    """Writes down what passes through, and changes nothing."""

    def __init__(self, app: ASGIApp, log: ApiLog) -> None:
        self._app, self._log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OWN_PATHS) or scope["path"] in _OWN_FILES:
            await self._app(scope, receive, send)
            return
        entry = self._log.open(scope)
        # Read here, since what is refused at once is answered unread.
        begun = await receive()
        entry.request_body = _longer(b"", begun.get("body", b""))
        first: Message | None = begun

        async def read() -> Message:
            nonlocal first
            if first is not None:
                message, first = first, None
                return message
            message = await receive()
            entry.request_body = _longer(entry.request_body, message.get("body", b""))
            return message

        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            else:
                entry.response_body = _longer(entry.response_body, message.get("body", b""))
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, read, write)
        finally:
            entry.seconds = time.perf_counter() - began
            entry.fault = scope.get("state", {}).get("fault")


def _longer(kept: bytes, more: bytes) -> bytes:
    if not kept and len(more) <= KEPT_BODY_BYTES:
        return more
    return kept if len(kept) == KEPT_BODY_BYTES else (kept + more[:KEPT_BODY_BYTES])[:KEPT_BODY_BYTES]
