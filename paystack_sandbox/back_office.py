"""Control routes for what happens outside the API: the merchant's dashboard, and the payers' banks."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from paystack_sandbox import disputing, refunding
from paystack_sandbox.api.endpoint import json_response
from paystack_sandbox.api.fields import read_amount, read_switch, read_text, read_whole, require_text
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.bodies import parse_json_object, raw_body
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.records import Authorization
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Transaction


async def make_refund(sandbox: Sandbox, request: Request) -> Response:
    """As the merchant does in the dashboard: {"transaction": reference or id, "amount"?}."""
    body = parse_json_object(await raw_body(request))
    row = find_transaction(sandbox, require_text(body, "transaction"))
    amount = refunding.amount_minor(sandbox, row, read_amount(body["amount"]) if body.get("amount") else None)
    refund = refunding.begin(sandbox, row, amount, read_text(body, "customer_note"), read_text(body, "merchant_note"))
    return json_response(201, {"id": refund.id, "status": refund.status, "amount": refund.amount})


async def raise_dispute(sandbox: Sandbox, request: Request) -> Response:
    """As a payer does at the bank: {"transaction": reference or id, "amount"?, "category"?, "message"?}."""
    body = parse_json_object(await raw_body(request))
    row = find_transaction(sandbox, require_text(body, "transaction"))
    if not row.is_paid:
        raise PaystackError("bad_value", "Only a paid transaction can be disputed.")
    amount = read_amount(body["amount"]) if body.get("amount") else row.amount
    if amount > row.amount:
        raise PaystackError("dispute_amount")
    category = read_text(body, "category") or disputing.CATEGORIES[0]
    if category not in disputing.CATEGORIES:
        raise PaystackError("bad_value", f"category must be one of {', '.join(disputing.CATEGORIES)}")
    message = read_text(body, "message") or "Customer complained about debit without value"
    dispute = disputing.begin(sandbox, row, amount, category, message)
    integration = sandbox.state.integration(row.integration_id)
    return json_response(201, disputing.dispute_view(dispute, row, integration))


async def show_authorization(sandbox: Sandbox, request: Request) -> Response:
    return json_response(200, _authorization_view(_authorization(sandbox, request)))


async def put_authorization(sandbox: Sandbox, request: Request) -> Response:
    """How the bank treats later charges: {"declines": why or null, "balance": amount or null, "asks_approval"}."""
    saved = _authorization(sandbox, request)
    body = parse_json_object(await raw_body(request))
    sandbox.state.update(
        Authorization.table,
        saved.id,
        declines=read_text(body, "declines"),
        balance=read_whole(body, "balance"),
        asks_approval=int(read_switch(body, "asks_approval", default=False)),
    )
    return json_response(200, _authorization_view(sandbox.state.get(Authorization, saved.id)))


def find_transaction(sandbox: Sandbox, reference_or_id: str) -> Transaction:
    number = read_id(reference_or_id)
    row = sandbox.find_by_reference(reference_or_id)
    if row is None and number is not None:
        row = sandbox.state.find_transaction("t.id = ?", number)
    if row is None:
        raise PaystackError("transaction_not_found", "The sandbox knows no transaction with this reference or id.")
    return row


def _authorization(sandbox: Sandbox, request: Request) -> Authorization:
    found = sandbox.state.find(Authorization, "code = ?", request.path_params["code"])
    if found is None:
        raise PaystackError("authorization_not_found", "The sandbox knows no authorization with this code.")
    return found


def _authorization_view(saved: Authorization) -> dict[str, Any]:
    return {
        **json.loads(saved.data),
        "active": bool(saved.active),
        "declines": saved.declines,
        "balance": saved.balance,
        "asks_approval": bool(saved.asks_approval),
    }
