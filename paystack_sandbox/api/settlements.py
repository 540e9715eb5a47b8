"""Payouts and the balance (facts 7.2, 7.4, 11.3), and the session timeout of the integration (facts 3.1)."""

from typing import Any

from paystack_sandbox import charging, settling
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import read_whole
from paystack_sandbox.api.lists import Filters, list_answer
from paystack_sandbox.api.pages import read_id, read_moment_ms
from paystack_sandbox.api.transactions import transactions_answer
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.records import LedgerEntry, Settlement


def list_settlements(call: Call) -> Answer:
    """Payouts, newest first; `status`, `from` and `to`. `subaccount=none` is the integration's own, which all are."""
    filters = Filters(call)
    filters.equal("status", "status")
    filters.period()
    if call.query.get("subaccount") not in (None, "", "none"):
        filters.add("0")
    return list_answer(call, Settlement, filters, "Settlements retrieved", lambda row: _view(call, row))


def settlement_transactions(call: Call) -> Answer:
    """What a payout was made of."""
    number = read_id(call.path["id"])
    settlement = None
    if number is not None:
        where = "id = ? AND integration_id = ?"
        settlement = call.sandbox.state.find(Settlement, where, number, call.integration.id)
    if settlement is None:
        raise PaystackError("settlement_not_found")
    where, values = "t.settlement_id = ?", [settlement.id]
    for field, comparison in (("from", ">="), ("to", "<=")):
        moment = read_moment_ms(call.query, field)
        if moment is not None:
            where += f" AND t.created_at {comparison} ?"
            values.append(moment)
    return transactions_answer(call, where, values)


def balance(call: Call) -> Answer:
    """What Paystack holds for the merchant, before the next payout."""
    amounts = [
        {"currency": currency, "balance": settling.balance(call.sandbox, call.integration.id, currency)}
        for currency in call.integration.currencies
    ]
    return Answer("Balances retrieved", amounts)


def ledger(call: Call) -> Answer:
    """Every change of the balance, newest first."""
    filters = Filters(call)
    filters.period()
    return list_answer(call, LedgerEntry, filters, "Balance ledger retrieved", lambda entry: _entry(call, entry))


def fetch_timeout(call: Call) -> Answer:
    """Seconds until a transaction can't be paid any more; 0 is never."""
    seconds = charging.session_timeout(call.sandbox, call.integration.id)
    return Answer("Payment session timeout retrieved", {"payment_session_timeout": seconds})


def update_timeout(call: Call) -> Answer:
    """Set the seconds until a transaction can't be paid any more; 0 is never."""
    seconds = read_whole(call.body, "timeout")
    if seconds is None:
        raise PaystackError("field_missing", '"timeout" is required')
    charging.set_session_timeout(call.sandbox, call.integration.id, seconds)
    return Answer("Payment session timeout updated", {"payment_session_timeout": seconds})


def _view(call: Call, row: Settlement) -> dict[str, Any]:
    total = row.total_processed - row.total_fees
    return {
        "id": row.id,
        "domain": call.integration.domain,
        "status": row.status,
        "currency": row.currency,
        "integration": row.integration_id,
        "total_amount": total,
        "effective_amount": row.effective_amount,
        "total_fees": row.total_fees,
        "total_processed": row.total_processed,
        "deductions": total - row.effective_amount if total != row.effective_amount else None,
        "settlement_date": iso(row.settlement_date),
        "settled_by": None,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
    }


def _entry(call: Call, entry: LedgerEntry) -> dict[str, Any]:
    return {
        "integration": entry.integration_id,
        "domain": call.integration.domain,
        "balance": entry.balance,
        "currency": entry.currency,
        "difference": entry.difference,
        "reason": entry.reason,
        "model_responsible": entry.model_responsible,
        "model_row": entry.model_row,
        "id": entry.id,
        "createdAt": iso(entry.created_at),
        "updatedAt": iso(entry.created_at),
    }
