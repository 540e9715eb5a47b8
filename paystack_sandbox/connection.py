"""What the sandbox needs of a connection beyond ASGI: cutting it, JSON for what is no HTTP, and few system calls."""

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol


class JoinedWrites(asyncio.Transport):
    """Head and body of an answer leave in one packet, for half the system calls."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._kept: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._kept:
            self._loop.call_soon(self._flush)
        self._kept.append(data)

    def _flush(self) -> None:
        if self._kept and not self._transport.is_closing():
            self._transport.write(b"".join(self._kept))
        self._kept.clear()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


class CuttableProtocol(H11Protocol):
    """Hands its transport to the application, in the request's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(JoinedWrites(transport))
        self.app_state = {**self.app_state, "transport": transport}
        # Whatever logging the host process has set up, the sandbox adds no line a request to it.
        self.access_log = False

    def send_400_response(self, msg: str) -> None:
        body = json.dumps({"status": False, "message": msg}).encode()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Who asks for another protocol is answered in this one, and nobody needs to know."""


async def cut(request: Request) -> Response:
    """Close the connection before a byte of the answer was sent; the client sees it break off."""
    transport: asyncio.Transport = request.scope["state"]["transport"]
    transport.abort()
    # The server learns of it on the next turn of the loop; only then may the request end unanswered.
    while not await request.is_disconnected():
        await asyncio.sleep(0)
    return Unanswered()


class Unanswered(Response):
    """Sends nothing."""

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        del scope, receive, send
