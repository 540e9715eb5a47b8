"""One transaction, customer, delivery or request, with all that belongs to it."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from paystack_sandbox import charging, refunding
from paystack_sandbox.apilog import KEPT_BODY_BYTES, Entry
from paystack_sandbox.dashboard import lists
from paystack_sandbox.dashboard.visit import NotThere, Values, Visit, pretty, spoken
from paystack_sandbox.disputing import CATEGORIES, WAITING
from paystack_sandbox.money import display
from paystack_sandbox.records import Authorization, Customer, Dispute, Refund, Subscription
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Transaction, Webhook
from paystack_sandbox.webhooks import request_headers, signature

_MOST = 100


def find_transaction(visit: Visit) -> Transaction:
    where = "t.id = ? AND t.integration_id = ?"
    row = visit.sandbox.state.find_transaction(where, visit.row_id(), visit.integration.id)
    if row is None:
        raise NotThere
    return row


def transaction(visit: Visit) -> Values:
    sandbox, row = visit.sandbox, find_transaction(visit)
    webhooks = sandbox.state.select_webhooks(
        "reference = ? AND integration_id = ?", [row.reference, row.integration_id], "id DESC", _MOST
    )
    refunds = sandbox.state.select(Refund, "transaction_id = ?", [row.id], limit=_MOST)
    disputes = sandbox.state.select(Dispute, "transaction_id = ?", [row.id], limit=_MOST)
    left = row.amount - refunding.refunded_minor(sandbox, row.id)
    return {
        "row": lists.transaction_row(row),
        "customer_code": row.customer_code,
        "is_paid": row.is_paid,
        "checkout": None if row.is_paid or charging.is_closed(sandbox, row) else f"/checkout/{row.access_code}",
        "facts": _facts(sandbox, row),
        "timeline": sorted(_moments(sandbox, row, webhooks, disputes), key=lambda moment: int(moment["ms"])),
        "metadata": pretty(row.metadata),
        "authorization": pretty(row.authorization),
        "webhooks": [lists.webhook_row(sandbox, one) for one in webhooks],
        "refunds": [_refund(one) for one in refunds],
        "disputes": [_dispute(one, row.currency) for one in disputes],
        "requests": [lists.request_row(one) for one in sandbox.log.newest() if one.concerns(row.reference)],
        "left": left,
        "left_shown": display(max(left, 0), row.currency),
        "amount_minor": row.amount,
        "categories": CATEGORIES,
    }


def _facts(sandbox: Sandbox, row: Transaction) -> list[tuple[str, str]]:
    facts = (
        ("Asked for", display(row.requested_amount, row.currency) if row.requested_amount != row.amount else ""),
        ("Fee", "" if row.fees is None else display(row.fees, row.currency)),
        ("Channel", (row.channel or "").replace("_", " ")),
        ("Waits for", json.loads(row.pending)["step"].replace("_", " ") if row.pending else ""),
        ("Gateway says", row.gateway_response),
        ("Message", row.message or ""),
        ("Started by", row.origin.replace("_", " ")),
        ("Started", spoken(row.created_at)),
        ("Paid", spoken(row.paid_at)),
        ("Returns to", row.callback_url or sandbox.settings.callback_url or ""),
        ("Id", str(row.id)),
        ("Access code", row.access_code),
    )
    return [(name, value) for name, value in facts if value]


def _moments(
    sandbox: Sandbox, row: Transaction, webhooks: list[Webhook], disputes: list[Dispute]
) -> Iterator[dict[str, Any]]:
    """What happened to the transaction, in no order: steps of paying, complaints, deliveries."""
    yield _moment(row.created_at, "start", "Started")
    log = json.loads(row.log) if row.log else {"history": []}
    for step in log["history"]:
        # In whole seconds, which may lie before the start.
        at = max((log["start_time"] + step["time"]) * 1000, row.created_at)
        yield _moment(at, step["type"], step["message"])
    for dispute in disputes:
        for entry in json.loads(dispute.messages):
            yield _moment(_milliseconds(entry["createdAt"]), "dispute", f"{entry['sender']}: {entry['body']}")
    for webhook in webhooks:
        yield _moment(webhook.created_at, "event", webhook.event)
        for attempt in sandbox.state.attempts(webhook.id):
            kind = "delivered" if attempt.status == 200 else "error"
            yield _moment(attempt.at, kind, f"{webhook.event} sent: {attempt.status or attempt.error}")


def _moment(at_ms: int, kind: str, text: str) -> dict[str, Any]:
    return {"ms": at_ms, "at": spoken(at_ms), "kind": kind, "text": text}


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def _refund(refund: Refund) -> Values:
    return {
        "id": refund.id,
        "amount": display(refund.amount, refund.currency),
        "status": refund.status,
        "note": refund.merchant_note,
        "created_at": spoken(refund.created_at),
    }


def _dispute(dispute: Dispute, currency: str) -> Values:
    return {
        "id": dispute.id,
        "amount": display(dispute.refund_amount, currency),
        "status": dispute.status,
        "is_open": dispute.status == WAITING,
        "category": dispute.category,
        "resolution": dispute.resolution or "",
        "due_at": spoken(dispute.due_at),
        "message": json.loads(dispute.messages)[0]["body"],
    }


def customer(visit: Visit) -> Values:
    sandbox, where = visit.sandbox, "code = ? AND integration_id = ?"
    row = sandbox.state.find(Customer, where, visit.path["code"], visit.integration.id)
    if row is None:
        raise NotThere
    saved = sandbox.state.select(Authorization, "customer_id = ?", [row.id], limit=_MOST)
    subscriptions = sandbox.state.select(Subscription, "customer_id = ?", [row.id], limit=_MOST)
    return {
        "customer": lists.customer_row(sandbox, row),
        "metadata": pretty(row.metadata),
        "authorizations": [{"code": one.code, "active": bool(one.active), "data": pretty(one.data)} for one in saved],
        "subscriptions": [
            {"code": one.code, "status": one.status, "next": spoken(one.next_payment_at)} for one in subscriptions
        ],
        "transactions": [lists.transaction_row(one) for one in lists.customer_transactions(sandbox, row.id, _MOST)],
    }


def find_webhook(visit: Visit) -> Webhook:
    row = visit.sandbox.state.webhook(visit.row_id())
    if row is None or row.integration_id != visit.integration.id:
        raise NotThere
    return row


def webhook(visit: Visit) -> Values:
    sandbox, row = visit.sandbox, find_webhook(visit)
    about = sandbox.find_by_reference(row.reference, row.integration_id) if row.reference else None
    return {
        "row": lists.webhook_row(sandbox, row),
        "transaction_id": about.id if about else None,
        "url": visit.integration.webhook_url or row.url,
        "headers": request_headers(signature(row.body, visit.integration.secret_key)),
        "body": pretty(row.body),
        "attempts": [
            {
                "at": spoken(attempt.at),
                "said": str(attempt.status or attempt.error),
                "is_good": attempt.status == 200,
                "answer": pretty(attempt.response),
                "fault": attempt.fault,
            }
            for attempt in sandbox.state.attempts(row.id)
        ],
    }


def request(visit: Visit) -> Values:
    entry = visit.sandbox.log.entry(visit.row_id())
    if entry is None:
        raise NotThere
    return {
        "row": lists.request_row(entry),
        "key": _key_shown(visit.sandbox, entry),
        "request": _body_shown(entry.request_body),
        "response": _body_shown(entry.response_body),
    }


def _key_shown(sandbox: Sandbox, entry: Entry) -> str:
    """A key the sandbox does not know may be a real one, sent here by mistake."""
    known = entry.key in {one.secret_key for one in sandbox.integrations}
    return entry.key if known or not entry.key else f"{entry.key[:8]}… (unknown)"


def _body_shown(body: bytes) -> str:
    return pretty(body) + ("\n…" if len(body) == KEPT_BODY_BYTES else "")
