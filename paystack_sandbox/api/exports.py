"""Exports to a CSV address (facts 3.8, 6)."""

from typing import Any

from paystack_sandbox import files
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.disputes import dispute_filters
from paystack_sandbox.api.transactions import filters
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.records import Dispute


def export_transactions(call: Call) -> Answer:
    """Filters as in the list, and `settled`. The address is good for a minute."""
    where, values = filters(call)
    settled = call.query.get("settled", "").lower()
    if settled in ("true", "false"):
        where += f" AND t.settlement_id IS {'NOT ' if settled == 'true' else ''}NULL"
    return _answer(call, "transactions", where, values)


def export_disputes(call: Call) -> Answer:
    """As the export of transactions, with the filters of the list."""
    found = dispute_filters(call)
    if not call.sandbox.state.count(Dispute.table, found.where, found.values):
        raise PaystackError("no_disputes")
    return _answer(call, "disputes", found.where, found.values)


def _answer(call: Call, kind: str, where: str, values: list[Any]) -> Answer:
    sandbox = call.sandbox
    valid_seconds = sandbox.settings.export_valid_seconds
    stored = files.offer(sandbox, call.integration.id, kind, [where, values], valid_seconds)
    path = f"{sandbox.public_url or call.base_url}/files/exports/{stored.name}"
    return Answer("Export successful", {"path": path, "expiresAt": files.expiry_text(stored)})
