"""What the popup script /inline.js needs: the script, and a transaction for a public key (facts 9).

The script runs on merchants' pages, so these answers may be read from any site. A public key opens no more
than it does at Paystack: starting a transaction.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from paystack_sandbox.api.call import Call
from paystack_sandbox.api.initialize import initialize
from paystack_sandbox.bodies import parse_json_object, raw_body
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.pages import STATIC_FOLDER
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Transaction

_FROM_ANY_SITE = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "*",
    "cache-control": "no-store",
}
# Option of the script → field of POST /transaction/initialize, where they differ.
_FIELDS = {
    "ref": "reference",
    "firstName": "first_name",
    "firstname": "first_name",
    "lastName": "last_name",
    "lastname": "last_name",
    "planCode": "plan",
    "subaccountCode": "subaccount",
    "splitCode": "split_code",
    "transactionCharge": "transaction_charge",
    "callbackUrl": "callback_url",
}


async def script(request: Request) -> Response:
    del request
    return FileResponse(STATIC_FOLDER / "inline.js", media_type="text/javascript", headers=_FROM_ANY_SITE)


async def request_inline(request: Request) -> Response:
    """Start a transaction with what `newTransaction` was given."""
    sandbox: Sandbox = request.app.state.sandbox
    try:
        options = parse_json_object(await raw_body(request))
        row = _start(sandbox, options, f"{request.url.scheme}://{request.url.netloc}")
    except PaystackError as error:
        return _json(error.http_status, error.body())
    return _json(200, {"status": True, "message": "Transaction started", "data": _view(row)})


async def verify_access_code(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    row = sandbox.state.find_transaction("t.access_code = ?", request.path_params["code"])
    if row is None:
        return _json(400, {"status": False, "message": "Access code is invalid"})
    return _json(200, {"status": True, "message": "Access code verified", "data": _view(row)})


async def preflight(request: Request) -> Response:
    del request
    return Response(status_code=204, headers=_FROM_ANY_SITE)


def _start(sandbox: Sandbox, options: Mapping[str, Any], base_url: str) -> Transaction:
    key = options.get("key")
    public = key if isinstance(key, str) else ""
    integration = sandbox.integration_with_key(f"sk_{public[3:]}") if public.startswith("pk_") else None
    if integration is None:
        raise PaystackError("invalid_key")
    body = {_FIELDS.get(name, name): value for name, value in options.items() if name != "key"}
    answer = initialize(Call(sandbox, integration, {}, {}, body, base_url))
    row = sandbox.find_by_reference(answer.data["reference"], integration.id)
    assert row is not None
    return row


def _view(row: Transaction) -> dict[str, Any]:
    return {
        "id": row.id,
        "reference": row.reference,
        "access_code": row.access_code,
        "amount": row.amount,
        "currency": row.currency,
        "customer": {"email": row.email, "customer_code": row.customer_code},
    }


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(json.dumps(body), status, _FROM_ANY_SITE, "application/json; charset=utf-8")


def routes() -> list[Route]:
    return [
        *(Route(f"{version}/inline.js", script, methods=["GET"]) for version in ("", "/v1", "/v2")),
        Route("/checkout/request_inline", request_inline, methods=["POST"]),
        Route("/checkout/request_inline", preflight, methods=["OPTIONS"]),
        Route("/checkout/verify_access_code/{code}", verify_access_code, methods=["GET"]),
    ]
