"""The lists: newest first, a page at a time by id, each an index lookup however much there is."""

from collections.abc import Sequence
from typing import Any

from paystack_sandbox.api.pages import MAX_ID, read_id
from paystack_sandbox.apilog import Entry
from paystack_sandbox.dashboard.visit import Values, Visit, spoken
from paystack_sandbox.money import display
from paystack_sandbox.records import Customer
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Transaction, Webhook

SHOWN = 50
_MAX_SEARCH = 100
_CUSTOMERS_SEARCHED = 10
# Behind every text that begins like the one it is put after.
_LAST = "\U0010ffff"


def transactions(visit: Visit) -> Values:
    """The newest, those of one status, or what a search finds."""
    search = visit.query.get("q", "").strip()[:_MAX_SEARCH]
    status = visit.query.get("status", "")
    older, rows = None, _found(visit, search) if search else []
    if not search:
        where, values = "t.integration_id = ? AND t.id < ?", _here(visit)
        if status:
            where, values = f"{where} AND t.status = ?", [*values, status]
        rows = visit.sandbox.state.transactions_page(where, values, SHOWN + 1, 0)
        rows, older = _page(rows)
    return {
        "search": search,
        "only": status,
        "statuses": _statuses(visit),
        "paid": _paid(visit),
        "transactions": [transaction_row(row) for row in rows],
        "older": older,
        "is_newest": "before" not in visit.query,
        "base_url": visit.sandbox.public_url,
    }


def _found(visit: Visit, search: str) -> list[Transaction]:
    """Whose reference begins with the search, or whose customer's email does."""
    state, integration = visit.sandbox.state, visit.integration.id
    key = visit.sandbox.reference_key(search)
    by_reference = "t.integration_id = ? AND t.reference_key >= ? AND t.reference_key < ?"
    found = state.transactions(by_reference, [integration, key, key + _LAST], "t.reference_key", SHOWN)
    email = search.lower()
    by_email = "integration_id = ? AND email >= ? AND email < ?"
    customers = state.select(
        Customer, by_email, [integration, email, email + _LAST], order="email", limit=_CUSTOMERS_SEARCHED
    )
    for customer in customers:
        found += customer_transactions(visit.sandbox, customer.id, SHOWN)
    return list({row.id: row for row in found}.values())[:SHOWN]


def customer_transactions(sandbox: Sandbox, customer_id: int, limit: int, before: int = MAX_ID) -> list[Transaction]:
    return sandbox.state.transactions("t.customer_id = ? AND t.id < ?", [customer_id, before], "t.id DESC", limit)


def _statuses(visit: Visit) -> list[tuple[str, int]]:
    """How many transactions have each status, from the kept totals."""
    return [
        (status, number)
        for status, number in visit.sandbox.state.execute(
            "SELECT status, sum(transactions) FROM transaction_totals WHERE integration_id = ? "
            "GROUP BY status HAVING sum(transactions) > 0 ORDER BY 2 DESC",
            visit.integration.id,
        )
    ]


def _paid(visit: Visit) -> list[str]:
    sums = visit.sandbox.state.transaction_sums("t.integration_id = ?", [visit.integration.id], from_totals=True)
    return [display(volume, currency) for currency, _number, volume in sums if volume]


def customers(visit: Visit) -> Values:
    found = visit.sandbox.state.select(Customer, "integration_id = ? AND id < ?", _here(visit), limit=SHOWN + 1)
    rows, older = _page(found)
    return {
        "customers": [customer_row(visit.sandbox, row) for row in rows],
        "older": older,
        "is_newest": "before" not in visit.query,
    }


def webhooks(visit: Visit) -> Values:
    where = "integration_id = ? AND id < ?"
    rows, older = _page(visit.sandbox.state.select_webhooks(where, _here(visit), "id DESC", SHOWN + 1))
    return {
        "webhooks": [webhook_row(visit.sandbox, row) for row in rows],
        "older": older,
        "is_newest": "before" not in visit.query,
    }


def requests(visit: Visit) -> Values:
    return {"requests": [request_row(entry) for entry in visit.sandbox.log.newest()]}


def _here(visit: Visit) -> list[Any]:
    """The integration, and the id before which the page begins."""
    return [visit.integration.id, read_id(visit.query.get("before", "")) or MAX_ID]


def _page(rows: Sequence[Any]) -> tuple[list[Any], int | None]:
    """The rows to show, and the id from which the next page goes on."""
    shown = list(rows[:SHOWN])
    return shown, shown[-1].id if len(rows) > SHOWN else None


# Rows


def transaction_row(row: Transaction) -> Values:
    return {
        "id": row.id,
        "reference": row.reference,
        "payer": row.email,
        "amount": display(row.amount, row.currency),
        "status": row.status,
        "channel": (row.channel or "").replace("_", " "),
        "said": row.gateway_response,
        "created_at": spoken(row.created_at),
    }


def customer_row(sandbox: Sandbox, row: Customer) -> Values:
    totals = sandbox.state.execute(
        "SELECT currency, transactions, volume FROM customer_totals WHERE customer_id = ?", row.id
    )
    return {
        "email": row.email,
        "code": row.code,
        "name": " ".join(part for part in (row.first_name, row.last_name) if part),
        "phone": row.phone or "",
        "risk_action": row.risk_action,
        "payments": sum(number for _, number, _ in totals),
        "paid": [display(volume, currency) for currency, _, volume in totals],
        "since": spoken(row.created_at),
    }


def webhook_row(sandbox: Sandbox, row: Webhook) -> Values:
    attempts = sandbox.state.attempts(row.id)
    last = attempts[-1] if attempts else None
    return {
        "id": row.id,
        "event": row.event,
        "reference": row.reference or "",
        "state": webhook_state(row),
        "attempts": len(attempts),
        "said": str(last.status or last.error) if last else "",
        "next": spoken(row.next_attempt_at),
        "created_at": spoken(row.created_at),
    }


def webhook_state(row: Webhook) -> str:
    if row.delivered:
        return "delivered"
    if row.url is None:
        return "not sent"
    return "waiting" if row.next_attempt_at is not None else "given up"


def request_row(entry: Entry) -> Values:
    return {
        "id": entry.id,
        "at": spoken(entry.at_ms),
        "method": entry.method,
        "path": entry.path,
        "status": str(entry.status or "cut"),
        "is_good": entry.status is not None and entry.status < 400,
        "milliseconds": f"{entry.seconds * 1000:.1f}",
        "fault": entry.fault,
    }
