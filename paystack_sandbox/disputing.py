"""The life of a dispute, by the clock (facts 6): raised by the control route, reminded of, resolved or accepted."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from paystack_sandbox import refunding
from paystack_sandbox.clock import iso
from paystack_sandbox.present import customer_view
from paystack_sandbox.records import Dispute
from paystack_sandbox.state import Integration, Transaction

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

REMIND = "dispute_reminder"
DEADLINE = "dispute_deadline"
CATEGORIES = ("chargeback", "fraud", "general")
WAITING = "awaiting-merchant-feedback"
_HOUR_MS = 3600 * 1000
_SATURDAY = 5


def begin(sandbox: "Sandbox", row: Transaction, amount: int, category: str, message: str) -> Dispute:
    """The payer complains at the bank, and the merchant has until `due_at` to answer."""
    state, now = sandbox.state, sandbox.clock.now_ms()
    hours = sandbox.settings.dispute_answer_hours
    due_at = add_working_hours(now, hours.get(row.currency, hours.get("", 48)))
    with state.transaction():
        dispute_id = state.insert(
            Dispute.table,
            integration_id=row.integration_id,
            transaction_id=row.id,
            refund_amount=amount,
            status=WAITING,
            category=category,
            history=json.dumps([{"status": "pending", "by": row.email, "createdAt": iso(now)}]),
            messages=json.dumps([{"sender": row.email, "body": message, "createdAt": iso(now)}]),
            due_at=due_at,
            created_at=now,
            updated_at=now,
        )
        state.set_timer(DEADLINE, dispute_id, due_at)
        state.set_timer(REMIND, dispute_id, now + sandbox.settings.dispute_reminder_hours * _HOUR_MS)
        dispute = state.get(Dispute, dispute_id)
        _announce(sandbox, dispute, "create")
    sandbox.wake()
    return dispute


def remind(sandbox: "Sandbox", dispute_id: int) -> None:
    dispute = sandbox.state.get(Dispute, dispute_id)
    if dispute.status != WAITING:
        return
    following = sandbox.clock.now_ms() + sandbox.settings.dispute_reminder_hours * _HOUR_MS
    with sandbox.state.transaction():
        if following < dispute.due_at:
            sandbox.state.set_timer(REMIND, dispute_id, following)
        _announce(sandbox, dispute, "remind")


def deadline_passed(sandbox: "Sandbox", dispute_id: int) -> None:
    """Nobody answered: accepted for the merchant, and the payer is refunded."""
    dispute = sandbox.state.get(Dispute, dispute_id)
    if dispute.status == WAITING:
        resolve(sandbox, dispute, "auto-accepted", dispute.refund_amount, "Merchant did not respond in time")


def resolve(
    sandbox: "Sandbox", dispute: Dispute, resolution: str, amount: int, message: str, attachment: str | None = None
) -> Dispute:
    """End it. Where it is accepted the money goes back at once, as far as it didn't before."""
    state, now = sandbox.state, sandbox.clock.now_ms()
    with state.transaction():
        row = state.transaction_by_id(dispute.transaction_id)
        if resolution != "declined":
            left = row.amount - refunding.refunded_minor(sandbox, row.id)
            if min(amount, left) > 0:
                refunding.take_back(sandbox, row, min(amount, left), dispute.id)
        by = refunding.refunded_by(sandbox)
        state.update(
            Dispute.table,
            dispute.id,
            status="resolved",
            resolution=resolution,
            refund_amount=amount,
            attachments=attachment or dispute.attachments,
            history=_with(dispute.history, {"status": "resolved", "by": by, "createdAt": iso(now)}),
            messages=_with(dispute.messages, {"sender": by, "body": message, "createdAt": iso(now)}),
            resolved_at=now,
            updated_at=now,
        )
        for kind in (REMIND, DEADLINE):
            state.clear_timer(kind, dispute.id)
        resolved = state.get(Dispute, dispute.id)
        _announce(sandbox, resolved, "resolve")
    return resolved


def add_working_hours(moment_ms: int, hours: int) -> int:
    """So many hours on, Saturdays and Sundays left out."""
    moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
    for _ in range(hours):
        moment += timedelta(hours=1)
        while moment.weekday() >= _SATURDAY:
            moment += timedelta(days=1)
    return int(moment.timestamp() * 1000)


def _with(listed: str, entry: dict[str, Any]) -> str:
    return json.dumps([*json.loads(listed), entry])


def _announce(sandbox: "Sandbox", dispute: Dispute, what: str) -> None:
    row = sandbox.state.transaction_by_id(dispute.transaction_id)
    integration = sandbox.state.integration(dispute.integration_id)
    data = dispute_view(dispute, row, integration)
    # The events spell these two dates as transactions do, the API's answers otherwise (facts 6).
    data = {("created_at" if key == "createdAt" else key): value for key, value in data.items()}
    data = {("updated_at" if key == "updatedAt" else key): value for key, value in data.items()}
    sandbox.webhooks.enqueue(integration, f"charge.dispute.{what}", row.reference, data)


def dispute_view(dispute: Dispute, row: Transaction, integration: Integration) -> dict[str, Any]:
    """`data` of fetch: the whole transaction in it, and a `transaction_reference` that is null (facts 6)."""
    card = json.loads(row.authorization)
    return {
        "id": dispute.id,
        "refund_amount": dispute.refund_amount,
        "currency": row.currency,
        "status": dispute.status,
        "resolution": dispute.resolution,
        "domain": integration.domain,
        "transaction": transaction_view(row, integration),
        "transaction_reference": None,
        "category": dispute.category,
        "customer": customer_view(row),
        "bin": card.get("bin"),
        "last4": card.get("last4"),
        "dueAt": iso(dispute.due_at),
        "resolvedAt": iso(dispute.resolved_at),
        "evidence": evidence_view(dispute) if dispute.evidence else None,
        "attachments": dispute.attachments,
        "note": None,
        "history": json.loads(dispute.history),
        "messages": json.loads(dispute.messages),
        "createdAt": iso(dispute.created_at),
        "updatedAt": iso(dispute.updated_at),
    }


def evidence_view(dispute: Dispute) -> dict[str, Any]:
    evidence: dict[str, Any] = json.loads(dispute.evidence or "{}")
    return evidence


def transaction_view(row: Transaction, integration: Integration) -> dict[str, Any]:
    return {
        "id": row.id,
        "domain": integration.domain,
        "status": row.status,
        "reference": row.reference,
        "receipt_number": None,
        "amount": row.amount,
        "message": None,
        "gateway_response": row.gateway_response,
        "paid_at": iso(row.paid_at),
        "created_at": iso(row.created_at),
        "channel": row.channel,
        "currency": row.currency,
        "ip_address": row.ip_address,
        "metadata": json.loads(row.metadata),
        "log": None,
        "fees": row.fees,
        "fees_split": None,
        "authorization": {},
        "customer": {"international_format_phone": None},
        "plan": {},
        "subaccount": {},
        "split": {},
        "order_id": None,
        "paidAt": iso(row.paid_at),
        "createdAt": iso(row.created_at),
        "requested_amount": row.requested_amount,
        "pos_transaction_data": None,
        "source": None,
        "fees_breakdown": None,
        "connect": None,
    }
