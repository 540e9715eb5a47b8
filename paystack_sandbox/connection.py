"""Cutting a connection without an answer, which HTTP frameworks don't offer."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol


class CuttableProtocol(H11Protocol):
    """Hands its transport to the application, in the request's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
        # Whatever logging the host process has set up, the sandbox adds no line a request to it.
        self.access_log = False


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
