"""The start page: what the sandbox holds, and a button to send a webhook again."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paystack_sandbox import guard
from paystack_sandbox.clock import iso
from paystack_sandbox.money import display
from paystack_sandbox.pages import page
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Transaction, Webhook

SHOWN = 50
_REFRESH_SECONDS = 10


async def start_page(request: Request) -> Response:
    if not guard.may_control(request):
        return page("checkout/problem.html", 403, message="This page serves the sandbox's own machine only.")
    sandbox: Sandbox = request.app.state.sandbox
    return page(
        "dashboard.html",
        refresh_seconds=_REFRESH_SECONDS,
        now=iso(sandbox.clock.now_ms()),
        advanced_seconds=sandbox.clock.offset_ms // 1000,
        webhook_url=sandbox.first_integration.webhook_url,
        transactions=[_transaction(row) for row in sandbox.state.transactions_page("1", (), limit=SHOWN, offset=0)],
        webhooks=[_webhook(sandbox, row) for row in sandbox.state.webhooks(SHOWN)],
        faults=json.dumps(sandbox.dice.faults.as_json()),
        faults_are_off=sandbox.dice.faults.are_off,
    )


def _transaction(row: Transaction) -> Mapping[str, Any]:
    return {
        "reference": row.reference,
        "payer": row.email,
        "amount": display(row.amount, row.currency),
        "status": row.status,
        "channel": (row.channel or "").replace("_", " "),
        "said": row.gateway_response,
        "created_at": iso(row.created_at),
        "checkout": None if row.is_paid else f"/checkout/{row.access_code}",
    }


def _webhook(sandbox: Sandbox, row: Webhook) -> Mapping[str, Any]:
    if row.delivered:
        state = "delivered"
    elif row.url is None:
        state = "no webhook URL"
    else:
        state = "waiting" if row.next_attempt_at is not None else "given up"
    return {
        "id": row.id,
        "event": row.event,
        "reference": row.reference,
        "state": state,
        "next_attempt_at": iso(row.next_attempt_at),
        "attempts": [
            {"at": iso(attempt.at), "said": attempt.status or attempt.error, "fault": attempt.fault}
            for attempt in sandbox.state.attempts(row.id)
        ],
    }


def routes() -> list[Route]:
    return [Route("/", start_page, methods=["GET"])]
