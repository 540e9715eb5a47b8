"""What `faults` decided, done to a request: waiting, refusing, cutting, spoiling the answer."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from paystack_sandbox.connection import cut
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.faults import NO_API_TROUBLE, ApiTrouble
from paystack_sandbox.sandbox import Sandbox

_HTML = """<!DOCTYPE html>
<html><head><title>{status} | api.paystack.co</title></head>
<body><h1>Error {status}</h1><p>The web server reported a gateway problem.</p></body></html>
"""

Perform = Callable[[], Awaitable[Response]]


async def meet(operation: str, request: Request, perform: Perform) -> Response:
    """The answer of `perform`, or what the faults make of this call of `operation`."""
    sandbox: Sandbox = request.app.state.sandbox
    caller = request.headers.get("authorization", "")
    trouble = sandbox.dice.api_call(operation, caller, sandbox.clock.now_ms())
    if trouble == NO_API_TROUBLE:
        return await perform()
    if trouble.latency_seconds:
        await asyncio.sleep(trouble.latency_seconds)
    response = await _instead(trouble, request) or await _afterwards(trouble, request, await perform())
    if trouble.rate_limit is not None:
        response.headers.update(trouble.rate_limit.headers())
    return response


async def _instead(trouble: ApiTrouble, request: Request) -> Response | None:
    """An end without the work being done; None where the work may go on."""
    if trouble.never_answers:
        _note(request, "no answer")
        await asyncio.sleep(request.app.state.sandbox.settings.fault_hold_seconds)
        return await cut(request)
    if trouble.cut_before_commit:
        _note(request, "cut before the work")
        return await cut(request)
    if trouble.limited:
        _note(request, "rate limit")
        return _json(429, PaystackError("rate_limited").body())
    if trouble.status is not None:
        _note(request, "error")
        return _json(trouble.status, {"status": False, "message": "Simulated fault"})
    if trouble.html_status is not None:
        _note(request, "HTML")
        page = _HTML.format(status=trouble.html_status)
        return Response(page, trouble.html_status, media_type="text/html; charset=utf-8")
    return None


async def _afterwards(trouble: ApiTrouble, request: Request, response: Response) -> Response:
    """The work is done; the answer is lost or spoiled."""
    if trouble.cut_after_commit:
        _note(request, "cut after the work")
        return await cut(request)
    if trouble.truncated:
        _note(request, "truncated")
        return _spoiled(response, truncated(bytes(response.body)))
    if trouble.malformed:
        _note(request, "malformed")
        return _spoiled(response, malformed(bytes(response.body)))
    return response


def truncated(body: bytes) -> bytes:
    """The first half, with a length that fits: nothing tells but the JSON."""
    return body[: len(body) // 2]


def malformed(body: bytes) -> bytes:
    """A comma before the end, which no JSON parser takes."""
    return body[:-1] + b"," + body[-1:]


def _spoiled(response: Response, body: bytes) -> Response:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(body, response.status_code, headers)


def _json(status: int, body: dict[str, object]) -> Response:
    return Response(json.dumps(body).encode(), status, media_type="application/json; charset=utf-8")


def _note(request: Request, fault: str) -> None:
    """For the API log, and counted."""
    request.scope["state"]["fault"] = fault
    request.app.state.sandbox.struck[fault] += 1
