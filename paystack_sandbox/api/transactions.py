"""Reading transactions: verify, list, fetch, timeline, totals (facts 3.5 to 3.8)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import check_reference
from paystack_sandbox.api.pages import MAX_PER_PAGE, cursor_rows, given, read_id, read_moment_ms, read_page
from paystack_sandbox.charging import empty_log
from paystack_sandbox.errors import NotInSandbox, PaystackError
from paystack_sandbox.present import fetch_view, list_view, verify_view
from paystack_sandbox.records import Plan
from paystack_sandbox.state import Transaction

# Names that would otherwise be taken for an id.
_OTHER_OPERATIONS = frozenset({"verify", "timeline", "charge_authorization", "check_authorization", "partial_debit"})
_CURSOR_PREFIX = "undefined"
# Filters for things the sandbox's transactions never have: whoever asks for one gets an empty list.
_FILTERS_WITHOUT_MATCH = (
    *("terminalid", "terminal_id", "virtual_account_number", "subaccount_code", "split_code", "payment_page"),
)
# A CUS_ code for the customer gives an empty list, not an error (3.7).
_NUMBERS = (("customer", "t.customer_id"), ("amount", "t.amount"), ("settlement", "t.settlement_id"))
# Filters the kept totals can't answer.
_NOT_IN_TOTALS = ("t.customer_id", "t.amount", "t.settlement_id", "t.origin", "t.created_at")


def verify(call: Call) -> Answer:
    """The transaction as it stands; `abandoned` until something happened."""
    settings = call.sandbox.settings
    reference = call.path["reference"]
    check_reference(reference, MAX_PER_PAGE)
    row = call.sandbox.find_by_reference(reference, call.integration.id)
    if row is None:
        raise PaystackError("reference_not_found")
    return Answer("Verification successful", verify_view(row, call.integration, settings, plan_of(call, row)))


def fetch(call: Call) -> Answer:
    """One transaction by its id."""
    text = call.path["id"]
    if text in _OTHER_OPERATIONS:
        raise NotInSandbox("GET", f"/transaction/{text}")
    if not (text.isascii() and text.isdigit()):
        raise PaystackError("transaction_id_not_numeric")
    row = _by_id(call, read_id(text))
    if row is None:
        raise PaystackError("transaction_not_found")
    view = fetch_view(row, call.integration, call.sandbox.settings, plan_of(call, row))
    return Answer("Transaction retrieved", view)


def plan_of(call: Call, row: Transaction) -> Plan | None:
    return call.sandbox.state.get(Plan, row.plan_id) if row.plan_id is not None else None


def timeline(call: Call) -> Answer:
    """The steps of the payer, by id or reference."""
    text = call.path["id_or_reference"]
    row = _by_id(call, read_id(text)) or call.sandbox.find_by_reference(text, call.integration.id)
    if row is None:
        raise PaystackError("timeline_not_found")
    return Answer("Timeline retrieved", json.loads(row.log) if row.log else empty_log(call.sandbox))


def list_transactions(call: Call) -> Answer:
    """Newest first, by page or by cursor. Filters: `status`, `customer` (numeric id), `amount`, `currency`, `channel`,
    `source`, `settlement`, `from`, `to`.
    """
    return transactions_answer(call, *filters(call))


def transactions_answer(call: Call, where: str, values: list[Any]) -> Answer:
    page, state = read_page(call.query), call.sandbox.state
    if page.by_cursor:

        def fetch_rows(condition: str, ids: list[int], order: str, limit: int) -> list[Transaction]:
            return state.transactions(f"{where} AND {condition}", [*values, *ids], order, limit)

        found, cursor_meta = cursor_rows(page, _CURSOR_PREFIX, "t.id", fetch_rows)
        return Answer("Transactions retrieved", _rows(call, found), cursor_meta)
    rows = state.transactions_page(where, values, page.per_page, page.offset)
    sums = _sums(call, where, values)
    meta = page.offset_meta(sum(count for _, count, _ in sums), total_volume=sum(volume for _, _, volume in sums))
    return Answer("Transactions retrieved", _rows(call, rows), meta)


def totals(call: Call) -> Answer:
    """Number and volume of transactions, by currency; filters as in the list."""
    sums = _sums(call, *filters(call))
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


def _sums(call: Call, where: str, values: list[Any]) -> list[tuple[str, int, int]]:
    from_totals = not any(column in where for column in _NOT_IN_TOTALS)
    return call.sandbox.state.transaction_sums(where, values, from_totals=from_totals)


def _rows(call: Call, rows: list[Transaction]) -> list[dict[str, Any]]:
    return [list_view(row, call.integration, call.sandbox.settings) for row in rows]


def filters(call: Call) -> tuple[str, list[Any]]:
    """The WHERE clause of a list, of totals and of an export (facts 3.7, 3.8)."""
    query = call.query
    # Of two indices SQLite may take the worse; a plus keeps it off one that narrows less.
    by_customer, by_time = given(query, "customer"), given(query, "from") or given(query, "to")
    where, values = [f"{'+' if by_customer else ''}t.integration_id = ?"], [call.integration.id]

    def narrow(condition: str, value: Any) -> None:
        where.append(condition)
        values.append(value)

    status = "+t.status" if by_customer or by_time else "t.status"
    for field, column in (("status", status), ("channel", "t.channel"), ("currency", "t.currency")):
        if query.get(field) and query[field] != "all":
            narrow(f"{column} = ?", query[field])
    for field, column in _NUMBERS:
        text = given(query, field)
        if text is not None:
            narrow(f"{column} = ?", read_id(text))
    for field, condition in (("from", "t.created_at >= ?"), ("to", "t.created_at <= ?")):
        moment = read_moment_ms(query, field)
        if moment is not None:
            narrow(condition, moment)
    return " AND ".join([*where, *_conditions(query)]), values


def _conditions(query: Mapping[str, str]) -> Iterator[str]:
    """The filters that compare with nothing the client sent."""
    if query.get("source") and query["source"].lower() != "merchantapi":
        yield "t.origin = 'initialize'" if query["source"].lower() == "checkout" else "0"
    if any(given(query, field) for field in _FILTERS_WITHOUT_MATCH):
        yield "0"


def _by_id(call: Call, transaction_id: int | None) -> Transaction | None:
    if transaction_id is None:
        return None
    return call.sandbox.state.find_transaction("t.id = ? AND t.integration_id = ?", transaction_id, call.integration.id)
