"""Refunds (facts 5)."""

import json
from typing import Any

from paystack_sandbox import refunding
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import read_amount, read_object, read_text, require_text
from paystack_sandbox.api.lists import Filters, list_answer
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.records import Refund
from paystack_sandbox.state import Integration, Transaction


def create(call: Call) -> Answer:
    """Queue a refund, of all or of a part."""
    row = _transaction(call)
    currency = read_text(call.body, "currency")
    if currency is not None and currency.upper() != row.currency:
        raise PaystackError("refund_currency")
    given = call.body.get("amount")
    amount = refunding.amount_minor(call.sandbox, row, None if given in (None, "") else read_amount(given))
    customer_note, merchant_note = read_text(call.body, "customer_note"), read_text(call.body, "merchant_note")
    refund = refunding.begin(call.sandbox, row, amount, customer_note, merchant_note)
    return Answer("Refund has been queued for processing", _created_view(call, refund, row))


def list_refunds(call: Call) -> Answer:
    """`transaction` is the numeric id: a reference gives an empty list. `currency` narrows nothing (seen)."""
    filters = Filters(call)
    filters.number("transaction", "transaction_id")
    filters.period()
    failed = call.sandbox.state.count(Refund.table, f"{filters.where} AND status = 'failed'", filters.values)
    return list_answer(
        call, Refund, filters, "Refunds retrieved", lambda refund: _row(call, refund), failedRefundCount=failed
    )


def fetch(call: Call) -> Answer:
    """One refund by its id."""
    return Answer("Refund retrieved", _row(call, _refund(call)))


def retry(call: Call) -> Answer:
    """Send a refund that needs attention to the bank account given."""
    details = read_object(call.body, "refund_account_details")
    if details is None:
        raise PaystackError("field_missing", '"refund_account_details" is required')
    given = {field: require_text(details, field) for field in ("currency", "account_number", "bank_id")}
    refund = _refund(call)
    if refund.status != "needs-attention":
        raise PaystackError("refund_state")
    refund = refunding.retry(call.sandbox, refund, given)
    data = {**_row(call, refund), "customer": None, "fully_deducted": True, "reversed_at": None}
    return Answer("Refund retried and has been queued for processing", data)


def _transaction(call: Call) -> Transaction:
    """By reference or id."""
    text = require_text(call.body, "transaction")
    state = call.sandbox.state
    row = call.sandbox.find_by_reference(text, call.integration.id)
    number = read_id(text)
    if row is None and number is not None:
        row = state.find_transaction("t.id = ? AND t.integration_id = ?", number, call.integration.id)
    if row is None:
        raise PaystackError("transaction_not_found")
    return row


def _refund(call: Call) -> Refund:
    refund_id = read_id(call.path["id"])
    found = None
    if refund_id is not None:
        found = call.sandbox.state.find(Refund, "id = ? AND integration_id = ?", refund_id, call.integration.id)
    if found is None:
        raise PaystackError("refund_not_found")
    return found


def _created_view(call: Call, refund: Refund, row: Transaction) -> dict[str, Any]:
    return {
        "transaction": _transaction_view(row, call.integration),
        "integration": refund.integration_id,
        "deducted_amount": 0,
        "channel": None,
        "merchant_note": refund.merchant_note,
        "customer_note": refund.customer_note,
        "status": refund.status,
        "refunded_by": refunding.refunded_by(call.sandbox),
        "expected_at": iso(refund.expected_at),
        "currency": refund.currency,
        "domain": call.integration.domain,
        "amount": refund.amount,
        "fully_deducted": False,
        "id": refund.id,
        "createdAt": iso(refund.created_at),
        "updatedAt": iso(refund.updated_at),
    }


def _transaction_view(row: Transaction, integration: Integration) -> dict[str, Any]:
    """An object in the answer to create, and an id everywhere else (facts 5)."""
    return {
        "id": row.id,
        "domain": integration.domain,
        "reference": row.reference,
        "amount": row.amount,
        "paid_at": iso(row.paid_at),
        "channel": row.channel,
        "currency": row.currency,
        "authorization": {"exp_month": None, "exp_year": None, "account_name": None},
        "customer": {"international_format_phone": None},
        "plan": {},
        "subaccount": {"currency": None},
        "split": {},
        "order_id": None,
        "paidAt": iso(row.paid_at),
        "pos_transaction_data": None,
        "source": None,
        "fees_breakdown": None,
    }


def _row(call: Call, refund: Refund) -> dict[str, Any]:
    """A row of the list, and `data` of fetch: the OpenAPI document's fields with the samples' dates beside them."""
    row = call.sandbox.state.transaction_by_id(refund.transaction_id)
    by = refunding.refunded_by(call.sandbox)
    deducted = refund.status != "failed"
    return {
        "integration": refund.integration_id,
        "transaction": refund.transaction_id,
        "dispute": refund.dispute_id,
        "settlement": refund.settlement_id,
        "id": refund.id,
        "domain": call.integration.domain,
        "currency": refund.currency,
        "amount": refund.amount,
        "status": refund.status,
        "refunded_at": iso(refund.refunded_at),
        "expected_at": iso(refund.expected_at),
        "channel": row.channel,
        "refunded_by": by,
        "customer_note": refund.customer_note,
        "merchant_note": refund.merchant_note,
        "deducted_amount": refund.amount if deducted else 0,
        "fully_deducted": 1 if deducted else None,
        "created_at": iso(refund.created_at),
        "updated_at": iso(refund.updated_at),
        "createdAt": iso(refund.created_at),
        "updatedAt": iso(refund.updated_at),
        "bank_reference": None,
        "transaction_reference": row.reference,
        "reason": refund.status.upper(),
        "customer": {
            "id": row.customer_id,
            "first_name": row.first_name,
            "last_name": row.last_name,
            "email": row.email,
            "customer_code": row.customer_code,
            "phone": row.phone,
            "metadata": json.loads(row.customer_metadata) if row.customer_metadata else None,
            "risk_action": row.risk_action,
            "international_format_phone": None,
        },
        "refund_type": "full" if refund.amount == row.amount else "partial",
        "transaction_amount": row.amount,
        "initiated_by": by,
        "refund_channel": row.channel,
        "session_id": None,
        "collect_account_number": refund.status == "needs-attention",
    }
