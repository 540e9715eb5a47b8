"""Disputes (facts 6). They are raised at `POST /_sandbox/disputes`, as payers do at their bank."""

import json
import re
from typing import Any

from paystack_sandbox import disputing, files
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import read_text, read_whole, require_text
from paystack_sandbox.api.lists import Filters, list_answer
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.present import customer_view
from paystack_sandbox.records import Dispute
from paystack_sandbox.state import Transaction

RESOLUTIONS = ("merchant-accepted", "declined")
_REQUIRED_EVIDENCE = ("customer_email", "customer_name", "customer_phone", "service_details")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def list_disputes(call: Call) -> Answer:
    """Newest first; `status`, `transaction`, `from` and `to`."""
    return list_answer(
        call,
        Dispute,
        dispute_filters(call),
        "Disputes retrieved",
        lambda dispute: {**_view(call, dispute)},
        cursor_prefix="dispute",
    )


def dispute_filters(call: Call) -> Filters:
    filters = Filters(call)
    filters.equal("status", "status")
    filters.number("transaction", "transaction_id")
    filters.period()
    return filters


def fetch(call: Call) -> Answer:
    """One dispute by its id."""
    return Answer("Dispute retrieved", _view(call, _dispute(call)))


def of_transaction(call: Call) -> Answer:
    """The newest dispute of a transaction, named by its id."""
    number = read_id(call.path["id"])
    found = None
    if number is not None:
        where = "transaction_id = ? AND integration_id = ? ORDER BY id DESC"
        found = call.sandbox.state.find(Dispute, where, number, call.integration.id)
    if found is None:
        raise PaystackError("dispute_not_found")
    row = _transaction(call, found)
    data = _view(call, found) | {
        "merchant_transaction_reference": row.reference,
        "integration": call.integration.id,
        "created_by": row.customer_id,
    }
    return Answer("Dispute retrieved successfully", data)


def update(call: Call) -> Answer:
    """Change what the merchant would give back, and attach a file."""
    dispute = _open_dispute(call)
    amount, attachment = _refund_amount(call, dispute), read_text(call.body, "uploaded_filename")
    state = call.sandbox.state
    state.update(
        Dispute.table,
        dispute.id,
        refund_amount=amount,
        attachments=attachment or dispute.attachments,
        updated_at=call.sandbox.clock.now_ms(),
    )
    return Answer("Dispute updated successfully", _view(call, state.get(Dispute, dispute.id)))


def add_evidence(call: Call) -> Answer:
    """What the merchant has to say for itself."""
    dispute = _open_dispute(call)
    given = {field: require_text(call.body, field) for field in _REQUIRED_EVIDENCE}
    delivery_date = read_text(call.body, "delivery_date")
    if delivery_date is not None and not _DAY.match(delivery_date):
        raise PaystackError("bad_value", '"delivery_date" must be a valid date')
    now = call.sandbox.clock.now_ms()
    evidence = {
        **given,
        "delivery_address": read_text(call.body, "delivery_address"),
        "delivery_date": delivery_date,
        "dispute": dispute.id,
        # One piece of evidence a dispute, so its number can be the dispute's.
        "id": dispute.id,
        "createdAt": iso(now),
        "updatedAt": iso(now),
    }
    call.sandbox.state.update(Dispute.table, dispute.id, evidence=json.dumps(evidence), updated_at=now)
    return Answer("Evidence created", evidence)


def upload_url(call: Call) -> Answer:
    """Where to PUT a file, and the name to give to update or resolve."""
    dispute = _dispute(call)
    if not call.query.get("upload_filename"):
        raise PaystackError("field_missing", '"upload_filename" is required')
    sandbox = call.sandbox
    valid = sandbox.settings.upload_valid_seconds
    stored = files.offer(sandbox, call.integration.id, "upload", dispute.id, valid)
    url = f"{sandbox.public_url or call.base_url}/files/uploads/{stored.name}"
    return Answer("Upload url generated", {"signedUrl": url, "fileName": stored.name})


def resolve(call: Call) -> Answer:
    """Accept, and the payer is refunded, or decline."""
    dispute = _open_dispute(call)
    resolution, message = require_text(call.body, "resolution"), require_text(call.body, "message")
    if resolution not in RESOLUTIONS:
        raise PaystackError("bad_value", f'"resolution" must be one of {", ".join(RESOLUTIONS)}')
    amount, attachment = _refund_amount(call, dispute), require_text(call.body, "uploaded_filename")
    evidence = read_whole(call.body, "evidence")
    dispute = disputing.resolve(call.sandbox, dispute, resolution, amount, message, attachment)
    return Answer("Dispute successfully resolved", _resolved_view(call, dispute, message, evidence))


def _refund_amount(call: Call, dispute: Dispute) -> int:
    amount = read_whole(call.body, "refund_amount")
    if amount is None:
        raise PaystackError("field_missing", '"refund_amount" is required')
    if amount > _transaction(call, dispute).amount:
        raise PaystackError("dispute_amount")
    return amount


def _dispute(call: Call) -> Dispute:
    dispute_id = read_id(call.path["id"])
    found = None
    if dispute_id is not None:
        found = call.sandbox.state.find(Dispute, "id = ? AND integration_id = ?", dispute_id, call.integration.id)
    if found is None:
        raise PaystackError("dispute_not_found")
    return found


def _open_dispute(call: Call) -> Dispute:
    dispute = _dispute(call)
    if dispute.status == "resolved":
        raise PaystackError("dispute_closed")
    return dispute


def _transaction(call: Call, dispute: Dispute) -> Transaction:
    return call.sandbox.state.transaction_by_id(dispute.transaction_id)


def _view(call: Call, dispute: Dispute) -> dict[str, Any]:
    return disputing.dispute_view(dispute, _transaction(call, dispute), call.integration)


def _resolved_view(call: Call, dispute: Dispute, message: str, evidence: int | None) -> dict[str, Any]:
    """Here `transaction` is a number, and `message` an object (OpenAPI document)."""
    row = _transaction(call, dispute)
    card = json.loads(row.authorization)
    last = json.loads(dispute.messages)[-1]
    return {
        "currency": row.currency,
        "last4": card.get("last4"),
        "bin": card.get("bin"),
        "transaction_reference": None,
        "merchant_transaction_reference": row.reference,
        "refund_amount": dispute.refund_amount,
        "status": dispute.status,
        "domain": call.integration.domain,
        "resolution": dispute.resolution,
        "category": dispute.category,
        "note": None,
        "attachments": dispute.attachments,
        "id": dispute.id,
        "integration": call.integration.id,
        "transaction": row.id,
        "created_by": row.customer_id,
        "evidence": evidence,
        "resolvedAt": iso(dispute.resolved_at),
        "createdAt": iso(dispute.created_at),
        "updatedAt": iso(dispute.updated_at),
        "dueAt": iso(dispute.due_at),
        "customer": customer_view(row),
        "history": json.loads(dispute.history),
        "messages": json.loads(dispute.messages),
        "message": {
            "dispute": dispute.id,
            "sender": last["sender"],
            "body": message,
            "id": dispute.id,
            "createdAt": last["createdAt"],
            "updatedAt": last["createdAt"],
        },
    }
