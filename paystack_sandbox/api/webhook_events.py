"""The webhook events API of 2026 (facts 8.6): what was sent, what came back, and sending it again."""

import json
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import read_text
from paystack_sandbox.api.pages import cursor_rows, is_true, read_id, read_moment_ms, read_page
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.state import Webhook, random_code
from paystack_sandbox.webhooks import NoWebhookUrl

MAX_RESENT = 500
# By the beginning of the event's name.
_CATEGORIES = {
    "charge.dispute": "disputes",
    "charge": "transactions",
    "bank.transfer": "transactions",
    "refund": "refunds",
    "subscription": "subscriptions",
    "invoice": "invoices",
    "customeridentification": "customers",
}
_STATUSES = {
    "delivered": "delivered",
    "pending": "NOT delivered AND next_attempt_at IS NOT NULL",
    "failed": "NOT delivered AND next_attempt_at IS NULL",
}


def list_events(call: Call) -> Answer:
    """Newest first, by cursor."""
    query = call.query
    if query.get("next") and query.get("previous"):
        raise PaystackError("webhook_cursors")
    where, values = _filters(call, query)
    page = read_page({**query, "perPage": query.get("limit") or query.get("perPage") or ""})

    def fetch_rows(condition: str, ids: list[int], order: str, limit: int) -> list[Webhook]:
        return call.sandbox.state.select_webhooks(f"{where} AND {condition}", [*values, *ids], order, limit)

    rows, meta = cursor_rows(page, "webhook", "id", fetch_rows)
    return Answer("Webhooks listed", [_row(call, row) for row in rows], meta)


def fetch(call: Call) -> Answer:
    """One event with its payload and the last answer of the receiver."""
    return Answer("Webhook Retrieved", _whole(call, _find(call, call.path["id"])))


def lookup(call: Call) -> Answer:
    """By the event's own id, or by the id or reference of what it is about: the newest."""
    text = call.query.get("reference", "").strip()
    if not text:
        raise PaystackError("webhook_reference_missing")
    where = "integration_id = ? AND (reference = ? OR row_id = ? OR id = ?)"
    values = [call.integration.id, text, read_id(text), _event_id(text)]
    rows = call.sandbox.state.select_webhooks(where, values, "id DESC", 1)
    if not rows:
        raise PaystackError("webhook_event_not_found")
    return Answer("Webhook Retrieved", _whole(call, rows[0]))


def resend(call: Call) -> Answer:
    """Send some again. Doing it twice sends twice."""
    ids = call.body.get("ids")
    if not isinstance(ids, list) or not ids:
        raise PaystackError("webhook_ids")
    failed = [given for given in ids[:MAX_RESENT] if not _send_again(call, str(given))]
    data = {"count": len(ids[:MAX_RESENT]) - len(failed), "failed": len(failed), "failed_ids": failed}
    return Answer("Resend accepted", data, http_status=202)


def resend_matching(call: Call) -> Answer:
    """Send all that the body's filters match, or with `preview=true` count them."""
    given = {field: read_text(call.body, field) or "" for field in _FILTER_FIELDS}
    where, values = _filters(call, given)
    rows = call.sandbox.state.select_webhooks(where, values, "id", MAX_RESENT)
    if is_true(call.query.get("preview")):
        return Answer("Preview", {"count": call.sandbox.state.count("webhooks", where, values)})
    sent = sum(_send_again(call, _hex(row.id)) for row in rows)
    data = {"count": sent, "skipped": len(rows) - sent, "batch_id": f"rbatch_{random_code(6)}"}
    return Answer("Resend accepted", data, http_status=202)


_FILTER_FIELDS = ("category", "event_type", "status", "category_row_id", "from", "to")


def _filters(call: Call, given: Any) -> tuple[str, list[Any]]:
    where: list[str] = ["integration_id = ?"]
    values: list[Any] = [call.integration.id]
    if given.get("event_type"):
        where.append("event = ?")
        values.append(given["event_type"])
    if given.get("category"):
        where.append(_category_condition(given["category"]))
    if given.get("status"):
        where.append(_STATUSES.get(given["status"].lower(), "0"))
    if given.get("category_row_id"):
        where.append("row_id = ?")
        values.append(read_id(given["category_row_id"]))
    for field, comparison in (("from", ">="), ("to", "<=")):
        moment = read_moment_ms(given, field)
        if moment is not None:
            where.append(f"created_at {comparison} ?")
            values.append(moment)
    return " AND ".join(where), values


def _category_condition(category: str) -> str:
    """Without the client's text in it: the beginnings of names are the table's own."""
    starts = [start for start, named in _CATEGORIES.items() if named == category]
    others = ["event NOT LIKE 'charge.dispute%'"] if category == "transactions" else []
    likes = " OR ".join(f"event LIKE '{start}.%'" for start in starts) or "0"
    return " AND ".join([f"({likes})", *others])


def _category(event: str) -> str:
    return next(named for start, named in _CATEGORIES.items() if event.startswith(f"{start}."))


def _send_again(call: Call, event_id: str) -> bool:
    try:
        call.sandbox.webhooks.send_again(_find(call, event_id).id)
    except (PaystackError, NoWebhookUrl):
        return False
    return True


def _find(call: Call, event_id: str) -> Webhook:
    number = _event_id(event_id)
    row = call.sandbox.state.webhook(number) if number is not None else None
    if row is None or row.integration_id != call.integration.id:
        raise PaystackError("webhook_event_not_found")
    return row


def _hex(webhook_id: int) -> str:
    """Ids are 24 hexadecimal digits."""
    return f"{webhook_id:024x}"


def _event_id(text: str) -> int | None:
    try:
        number = int(text, 16) if len(text) == 24 else -1
    except ValueError:
        return None
    return number if 0 < number < 2**63 else None


def _row(call: Call, row: Webhook) -> dict[str, Any]:
    attempts = call.sandbox.state.attempts(row.id)
    last = attempts[-1] if attempts else None
    waiting = row.next_attempt_at is not None
    if row.delivered:
        status, detail = "Delivered", "delivered"
    else:
        status, detail = ("Pending", "retrying" if attempts else "pending") if waiting else ("Failed", "failed")
    return {
        "_id": _hex(row.id),
        "domain": call.integration.domain,
        "category": _category(row.event),
        "event_name": row.event,
        "category_row_id": row.row_id,
        "status": status,
        "status_detail": detail,
        "response_code": last.status if last else None,
        "trial_count": len(attempts),
        "createdAt": iso(row.created_at),
        "updatedAt": iso(last.at if last else row.created_at),
    }


def _whole(call: Call, row: Webhook) -> dict[str, Any]:
    attempts = call.sandbox.state.attempts(row.id)
    return {
        **_row(call, row),
        "webhook_url": row.url,
        "webhook_url_code": None,
        "event_payload": json.loads(row.body),
        "merchant_response_body": attempts[-1].response if attempts else None,
    }
