"""The ASGI application: routes, and what every request meets before and after them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paystack_sandbox import control
from paystack_sandbox.api.endpoint import endpoint, json_response, not_in_sandbox
from paystack_sandbox.api.operations import ROUTES
from paystack_sandbox.apilog import Logged
from paystack_sandbox.checkout.routes import routes as checkout_routes
from paystack_sandbox.clock import Clock
from paystack_sandbox.dashboard.routes import routes as dashboard_routes
from paystack_sandbox.errors import NotInSandbox
from paystack_sandbox.pages import STATIC_FOLDER
from paystack_sandbox.routing import sections
from paystack_sandbox.sandbox import Sandbox


def create_app(sandbox: Sandbox) -> ASGIApp:
    """The application of one sandbox. Deliveries run for as long as the application does."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        worker = asyncio.create_task(sandbox.webhooks.run())
        yield
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker

    app = Starlette(
        routes=[
            *sections(
                [
                    *(Route(route.path, endpoint(route), methods=[route.method]) for route in ROUTES),
                    *control.routes(),
                    *checkout_routes(),
                    *dashboard_routes(),
                ]
            ),
            Mount("/static", StaticFiles(directory=STATIC_FOLDER)),
        ],
        exception_handlers={HTTPException: _http_error, 500: _own_fault},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return TidyPath(Dated(Logged(app, sandbox.log), sandbox.clock))


class Dated:
    """The header `Date`, by the sandbox's clock. What uvicorn sends is the machine's time, up to a second old."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._clock.now(), usegmt=True)
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date.encode())]}
            await send(message)

        await self._app(scope, receive, send_dated)


class TidyPath:
    """Clients join base address and path in every way: `//transaction/verify/x/` means the obvious."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if not path.startswith("/"):
                # The absolute form that clients send to a proxy: http://api.paystack.co/bank.
                path = scope["path"] = "/" + path.partition("//")[2].partition("/")[2]
            if "//" in path or (path.endswith("/") and path != "/"):
                scope["path"] = "/" + "/".join(part for part in path.split("/") if part)
        await self._app(scope, receive, send)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return not_in_sandbox(NotInSandbox(request.method, request.url.path))


async def _own_fault(request: Request, error: Exception) -> Response:
    del request
    return json_response(500, {"status": False, "message": f"Defect in the sandbox: {type(error).__name__}"})
