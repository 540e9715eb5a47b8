"""Reading transactions: verify, list, fetch, timeline, totals (facts 3.5 to 3.8)."""

import json
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.initialize import check_reference
from paystack_sandbox.api.pages import Page, encode_cursor, read_id, read_moment_ms, read_page
from paystack_sandbox.charging import empty_log
from paystack_sandbox.errors import NotInSandbox, PaystackError
from paystack_sandbox.present import fetch_view, list_view, verify_view
from paystack_sandbox.state import Transaction

MAX_PER_PAGE = 1000
# Names that would otherwise be taken for an id.
_OTHER_OPERATIONS = frozenset({"export", "verify", "timeline", "charge_authorization", "partial_debit"})
_CURSOR_PREFIX = "undefined"
# Filters for things the sandbox's transactions never have: whoever asks for one gets an empty list.
_FILTERS_WITHOUT_MATCH = ("terminalid", "terminal_id", "settlement", "subaccount_code", "split_code")


def verify(call: Call) -> Answer:
    settings = call.sandbox.settings
    reference = call.path["reference"]
    check_reference(reference, MAX_PER_PAGE)
    row = call.sandbox.find_by_reference(reference, call.integration.id)
    if row is None:
        raise PaystackError("reference_not_found")
    return Answer("Verification successful", verify_view(row, call.integration, settings))


def fetch(call: Call) -> Answer:
    text = call.path["id"]
    if text in _OTHER_OPERATIONS:
        raise NotInSandbox("GET", f"/transaction/{text}")
    if not (text.isascii() and text.isdigit()):
        raise PaystackError("transaction_id_not_numeric")
    row = _by_id(call, read_id(text))
    if row is None:
        raise PaystackError("transaction_not_found")
    return Answer("Transaction retrieved", fetch_view(row, call.integration, call.sandbox.settings))


def timeline(call: Call) -> Answer:
    text = call.path["id_or_reference"]
    row = _by_id(call, read_id(text)) or call.sandbox.find_by_reference(text, call.integration.id)
    if row is None:
        raise PaystackError("timeline_not_found")
    return Answer("Timeline retrieved", json.loads(row.log) if row.log else empty_log(call.sandbox))


def list_transactions(call: Call) -> Answer:
    """Newest first."""
    page = read_page(call.query, MAX_PER_PAGE)
    where, values = _filters(call)
    if page.by_cursor:
        return _cursor_answer(call, page, where, values)
    rows = call.sandbox.state.transactions_page(where, values, page.per_page, page.offset)
    sums = call.sandbox.state.transaction_sums(where, values)
    meta = page.offset_meta(sum(count for _, count, _ in sums), total_volume=sum(volume for _, _, volume in sums))
    return Answer("Transactions retrieved", _rows(call, rows), meta)


def totals(call: Call) -> Answer:
    where, values = _filters(call)
    sums = call.sandbox.state.transaction_sums(where, values)
    volumes = [{"currency": currency, "amount": volume} for currency, _, volume in sums]
    none_yet = [{"currency": call.integration.currencies[0], "amount": 0}]
    data = {
        "total_transactions": sum(count for _, count, _ in sums),
        "total_volume": sum(volume for _, _, volume in sums),
        "total_volume_by_currency": volumes or none_yet,
        "pending_transfers": 0,
        "pending_transfers_by_currency": none_yet,
    }
    return Answer("Transaction totals", data)


def _cursor_answer(call: Call, page: Page, where: str, values: list[Any]) -> Answer:
    state = call.sandbox.state
    if page.before is not None:
        ahead = [*values, page.before]
        rows = state.transactions(f"{where} AND t.id > ?", ahead, "t.id", page.per_page + 1)
        has_previous, has_next = len(rows) > page.per_page, True
        rows = rows[: page.per_page][::-1]
    else:
        past = [*values, page.after] if page.after is not None else values
        condition = f"{where} AND t.id < ?" if page.after is not None else where
        rows = state.transactions(condition, past, "t.id DESC", page.per_page + 1)
        has_previous, has_next = page.after is not None, len(rows) > page.per_page
        rows = rows[: page.per_page]
    meta = {
        "next": encode_cursor(_CURSOR_PREFIX, rows[-1].id) if rows and has_next else None,
        "previous": encode_cursor(_CURSOR_PREFIX, rows[0].id) if rows and has_previous else None,
        "perPage": page.per_page,
    }
    return Answer("Transactions retrieved", _rows(call, rows), meta)


def _rows(call: Call, rows: list[Transaction]) -> list[dict[str, Any]]:
    return [list_view(row, call.integration, call.sandbox.settings) for row in rows]


def _filters(call: Call) -> tuple[str, list[Any]]:
    where, values = ["t.integration_id = ?"], [call.integration.id]
    query = call.query

    def narrow(condition: str, value: Any) -> None:
        where.append(condition)
        values.append(value)

    for field, column in (("status", "t.status"), ("channel", "t.channel"), ("currency", "t.currency")):
        if query.get(field):
            narrow(f"{column} = ?", query[field])
    if query.get("customer"):
        # A CUS_ code gives an empty list, not an error (3.7).
        narrow("t.customer_id = ?", read_id(query["customer"]))
    if query.get("amount"):
        narrow("t.amount = ?", read_id(query["amount"]))
    for field, condition in (("from", "t.created_at >= ?"), ("to", "t.created_at <= ?")):
        moment = read_moment_ms(query, field)
        if moment is not None:
            narrow(condition, moment)
    if any(query.get(field) for field in _FILTERS_WITHOUT_MATCH):
        where.append("0")
    return " AND ".join(where), values


def _by_id(call: Call, transaction_id: int | None) -> Transaction | None:
    if transaction_id is None:
        return None
    return call.sandbox.state.find_transaction("t.id = ? AND t.integration_id = ?", transaction_id, call.integration.id)
