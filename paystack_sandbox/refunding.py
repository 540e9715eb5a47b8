"""The life of a refund, by the clock, with its events and what it does to the transaction (facts 5, 8.5).

pending → processing → processed, failed or needs-attention; from the last a retry leads back to processing.
"""

import json
from typing import TYPE_CHECKING, Any

from paystack_sandbox import settling
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.money import display
from paystack_sandbox.records import Authorization, Refund
from paystack_sandbox.state import Transaction
from paystack_sandbox.testdata import ACCOUNT_REFUND_ENDS, TEST_CARDS

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

REFUND = "refund"
OPEN = ("pending", "processing", "needs-attention")
_NEXT = {"pending": "processing", "processing": "processed"}
_DAY_MS = 24 * 3600 * 1000


def begin(
    sandbox: "Sandbox", row: Transaction, amount: int, customer_note: str | None, merchant_note: str | None
) -> Refund:
    """Take the money from the merchant's balance and queue the refund. The caller has checked the amount."""
    with sandbox.state.transaction():
        refund = _write(
            sandbox,
            row,
            amount,
            status="pending",
            customer_note=customer_note or f"Refund for transaction {row.reference}",
            merchant_note=merchant_note or f"Refund for transaction {row.reference} by {refunded_by(sandbox)}",
        )
        sandbox.state.set_timer(REFUND, refund.id, refund.created_at + sandbox.settings.refund_pending_seconds * 1000)
        _announce(sandbox, refund)
    sandbox.wake()
    return refund


def take_back(sandbox: "Sandbox", row: Transaction, amount: int, dispute_id: int) -> Refund:
    """The refund of a dispute that was accepted: done at once, and without events of its own."""
    note = f"Chargeback of transaction {row.reference}"
    refund = _write(
        sandbox,
        row,
        amount,
        status="processed",
        customer_note=note,
        merchant_note=note,
        dispute_id=dispute_id,
        refunded_at=sandbox.clock.now_ms(),
    )
    _follow(sandbox, row.id)
    return refund


def retry(sandbox: "Sandbox", refund: Refund, account_details: dict[str, Any]) -> Refund:
    """The payer's bank account is known now, and the refund goes there."""
    with sandbox.state.transaction():
        details = json.dumps(account_details)
        sandbox.state.update(Refund.table, refund.id, account_details=details, ends="processed")
        return _move(sandbox, refund.id, "processing")


def advance(sandbox: "Sandbox", refund_id: int) -> None:
    """The next step of a refund whose time has come."""
    refund = sandbox.state.get(Refund, refund_id)
    if refund.status in _NEXT:
        status = _NEXT[refund.status]
        with sandbox.state.transaction():
            _move(sandbox, refund_id, refund.ends if status == "processed" else status)


def amount_minor(sandbox: "Sandbox", row: Transaction, given: int | None) -> int:
    """What may be refunded: all of it where nothing is given, which is too much once a part went back (facts 5).

    Raises PaystackError.
    """
    if not row.is_paid:
        raise PaystackError("refund_of_unpaid")
    settings = sandbox.settings
    left = row.amount - refunded_minor(sandbox, row.id)
    amount = row.amount if given is None else given
    if left < settings.least_refundable_minor:
        # `GHS0.5`, as the message has it.
        raise PaystackError("refund_nothing_left", least=f"{row.currency}{settings.least_refundable_minor / 100:g}")
    if amount > left:
        raise PaystackError("refund_too_much")
    if amount < settings.minimum_refund_minor:
        minimum = display(settings.minimum_refund_minor, row.currency).replace(" ", "")
        raise PaystackError("refund_minimum", minimum=minimum)
    return amount


def refunded_minor(sandbox: "Sandbox", transaction_id: int) -> int:
    """What was refunded already, or is on its way."""
    rows = sandbox.state.select(Refund, "transaction_id = ? AND status != 'failed'", [transaction_id])
    return sum(refund.amount for refund in rows)


def refunded_by(sandbox: "Sandbox") -> str:
    """Paystack names the merchant's user; the sandbox has but one."""
    return f"{sandbox.settings.merchant_name.lower().replace(' ', '.')}@example.com"


def ending_of(sandbox: "Sandbox", row: Transaction) -> str:
    """How a refund of this payment ends: some test cards and accounts are made to fail (facts 10)."""
    code = json.loads(row.authorization).get("authorization_code")
    saved = sandbox.state.find(Authorization, "code = ?", code) if code else None
    instrument = json.loads(saved.instrument) if saved is not None else {}
    card = TEST_CARDS.get(instrument.get("number", ""))
    if card is not None and card.refund_ends is not None:
        return card.refund_ends
    return ACCOUNT_REFUND_ENDS.get(instrument.get("account_number", ""), "processed")


def _write(
    sandbox: "Sandbox",
    row: Transaction,
    amount: int,
    *,
    status: str,
    customer_note: str,
    merchant_note: str,
    dispute_id: int | None = None,
    refunded_at: int | None = None,
) -> Refund:
    state, now = sandbox.state, sandbox.clock.now_ms()
    refund_id = state.insert(
        Refund.table,
        integration_id=row.integration_id,
        transaction_id=row.id,
        dispute_id=dispute_id,
        amount=amount,
        currency=row.currency,
        status=status,
        ends=ending_of(sandbox, row),
        customer_note=customer_note,
        merchant_note=merchant_note,
        expected_at=now + sandbox.settings.refund_expected_days * _DAY_MS,
        refunded_at=refunded_at,
        created_at=now,
        updated_at=now,
    )
    settling.enter(sandbox, row.integration_id, row.currency, -amount, "Refund", refund_id)
    _follow(sandbox, row.id)
    return state.get(Refund, refund_id)


def _move(sandbox: "Sandbox", refund_id: int, status: str) -> Refund:
    state, now = sandbox.state, sandbox.clock.now_ms()
    changes: dict[str, Any] = {"status": status, "updated_at": now}
    if status == "processed":
        changes |= {"refunded_at": now, "refund_reference": f"13{refund_id:010d}"}
    elif status == "failed":
        changes |= {"refund_reference": f"TRF_{refund_id:015d}"}
    elif status == "needs-attention":
        changes |= {"refund_reference": f"13{refund_id:010d}"}
    else:
        state.set_timer(REFUND, refund_id, now + sandbox.settings.refund_processing_seconds * 1000)
    state.update(Refund.table, refund_id, **changes)
    refund = state.get(Refund, refund_id)
    if status == "failed":
        settling.enter(sandbox, refund.integration_id, refund.currency, refund.amount, "Refund", refund_id, "Failed")
    _follow(sandbox, refund.transaction_id)
    _announce(sandbox, refund)
    return refund


def _follow(sandbox: "Sandbox", transaction_id: int) -> None:
    """The transaction's status follows its refunds; a part refunded counts as `reversed` (5, unconfirmed)."""
    refunds = sandbox.state.select(Refund, "transaction_id = ?", [transaction_id])
    statuses = {refund.status for refund in refunds}
    status = "success"
    if statuses & set(OPEN):
        status = "reversal-pending"
    elif "processed" in statuses:
        status = "reversed"
    sandbox.state.update_transaction(transaction_id, status=status)


def _announce(sandbox: "Sandbox", refund: Refund) -> None:
    row = sandbox.state.transaction_by_id(refund.transaction_id)
    integration = sandbox.state.integration(refund.integration_id)
    data = event_view(refund, row, integration.domain)
    sandbox.webhooks.enqueue(integration, f"refund.{refund.status}", row.reference, data, refund.id)


def event_view(refund: Refund, row: Transaction, domain: str) -> dict[str, Any]:
    """`data` of the refund events, with the traps of facts 8.5: no id, and an amount that is text or a number."""
    ended_badly = refund.status in ("failed", "needs-attention")
    data: dict[str, Any] = {
        "status": refund.status,
        "transaction_reference": row.reference,
        "refund_reference": refund.refund_reference,
        "amount": refund.amount if ended_badly else str(refund.amount),
        "currency": refund.currency,
        "customer": {"first_name": row.first_name, "last_name": row.last_name, "email": row.email},
        "integration": refund.integration_id,
        "domain": domain,
    }
    if refund.status == "needs-attention":
        notes = {"customer_note": refund.customer_note, "merchant_note": refund.merchant_note}
        return {"id": str(refund.id), **data, **notes}
    return {**data, "processor": "instant-transfer" if row.channel != "card" else "mpgs_zen"}
