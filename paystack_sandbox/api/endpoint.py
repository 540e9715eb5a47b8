"""From HTTP to an operation and back: key, body, faults, envelope, headers."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from paystack_sandbox import trouble
from paystack_sandbox.api.call import Call, Route
from paystack_sandbox.bodies import read_body
from paystack_sandbox.errors import NotInSandbox, PaystackError
from paystack_sandbox.faults import operation_name
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Integration

PAYSTACK = "paystack.co"
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(route: Route) -> Endpoint:
    """The Starlette endpoint of one operation."""

    operation = operation_name(route.method, route.path)

    async def serve(request: Request) -> Response:
        return await trouble.meet(operation, request, partial(_perform, route, request.app.state.sandbox, request))

    return serve


async def _perform(route: Route, sandbox: Sandbox, request: Request) -> Response:
    try:
        integration = authenticate(sandbox, request, needs_key=route.needs_key)
        call = Call(
            sandbox=sandbox,
            integration=integration,
            path=request.path_params,
            query=request.query_params,
            body={} if route.method == "GET" else await read_body(request),
            base_url=base_url(request),
            ip_address=request.client.host if request.client else None,
        )
        answer = route.operation(call)
    except PaystackError as error:
        return json_response(error.http_status, error.body())
    except NotInSandbox as error:
        return not_in_sandbox(error)
    return json_response(answer.http_status, answer.body())


def base_url(request: Request) -> str:
    """Where the client found the sandbox. One that was led here under Paystack's own name is told the true address,
    or its payers would go to Paystack's checkout."""
    named = request.headers.get("host", "")
    host = named.partition(":")[0].lower()
    if named and host != PAYSTACK and not host.endswith(f".{PAYSTACK}"):
        return f"{request.scope['scheme']}://{named}"
    address, port = request.scope["server"]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def authenticate(sandbox: Sandbox, request: Request, *, needs_key: bool) -> Integration:
    if not needs_key and sandbox.settings.public_bank_list:
        return sandbox.first_integration
    header = request.headers.get("authorization")
    if header is None:
        raise PaystackError("no_authorization")
    scheme, _, key = header.strip().partition(" ")
    integration = sandbox.integration_with_key(key.strip())
    if scheme.lower() != "bearer" or integration is None:
        raise PaystackError("invalid_key")
    return integration


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def json_response(status: int, body: Mapping[str, Any]) -> Response:
    content = _JSON.encode(body).encode()
    headers = {"x-paystack-request-id": secrets.token_hex(16)}
    return Response(content, status, headers, "application/json; charset=utf-8")


def not_in_sandbox(error: NotInSandbox) -> Response:
    return json_response(404, {"status": False, "message": str(error), "code": "not_in_sandbox"})
