"""The merchant's money: a ledger entry for each change, and payouts on working days (facts 7.4, 11.3).

`balance` of the last entry of a currency is what Paystack holds for the merchant. A payout takes all of it.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from paystack_sandbox.records import LedgerEntry, Settlement
from paystack_sandbox.state import Transaction

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

SETTLE = "settle"
SETTLEMENT_ARRIVES = "settlement_arrives"
_SATURDAY = 5
_DAY = timedelta(days=1)


def payment_received(sandbox: "Sandbox", paid: Transaction) -> None:
    enter(sandbox, paid.integration_id, paid.currency, paid.amount - (paid.fees or 0), "Transaction", paid.id)


def enter(
    sandbox: "Sandbox",
    integration_id: int,
    currency: str,
    difference: int,
    model: str,
    row_id: int,
    reason: str = "",
) -> None:
    """Add to the balance, or take from it, and see to it that a payout comes."""
    now = sandbox.clock.now_ms()
    sandbox.state.insert(
        "ledger_entries",
        integration_id=integration_id,
        currency=currency,
        difference=difference,
        balance=balance(sandbox, integration_id, currency) + difference,
        reason=reason,
        model_responsible=model,
        model_row=row_id,
        created_at=now,
    )
    days = sandbox.settings.settlement_working_days
    sandbox.state.start_timer(SETTLE, integration_id, next_payout_ms(now, days))


def balance(sandbox: "Sandbox", integration_id: int, currency: str) -> int:
    last = sandbox.state.find(
        LedgerEntry, "integration_id = ? AND currency = ? ORDER BY id DESC", integration_id, currency
    )
    return last.balance if last is not None else 0


def next_payout_ms(now_ms: int, working_days: int) -> int:
    """Midnight at the start of the working day that is so many after today."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(max(1, working_days)):
        day += _DAY
        while day.weekday() >= _SATURDAY:
            day += _DAY
    return int(day.timestamp() * 1000)


def settle(sandbox: "Sandbox", integration_id: int) -> None:
    """Pay out what was received, in each currency that has something to pay; a debt waits for income."""
    rows = sandbox.state.execute(
        "SELECT DISTINCT currency FROM ledger_entries WHERE integration_id = ?", integration_id
    )
    with sandbox.state.transaction():
        for (currency,) in rows:
            if balance(sandbox, integration_id, currency) > 0:
                _pay_out(sandbox, integration_id, currency)


def _pay_out(sandbox: "Sandbox", integration_id: int, currency: str) -> None:
    state, now = sandbox.state, sandbox.clock.now_ms()
    unsettled = "integration_id = ? AND currency = ? AND paid_at IS NOT NULL AND settlement_id IS NULL"
    processed, fees = state.execute(
        f"SELECT ifnull(sum(amount), 0), ifnull(sum(fees), 0) FROM transactions WHERE {unsettled}",  # noqa: S608
        integration_id,
        currency,
    )[0]
    amount = balance(sandbox, integration_id, currency)
    settlement_id = state.insert(
        "settlements",
        integration_id=integration_id,
        status="pending",
        currency=currency,
        total_processed=processed,
        total_fees=fees,
        effective_amount=amount,
        settlement_date=now,
        created_at=now,
        updated_at=now,
    )
    state.execute(
        f"UPDATE transactions SET settlement_id = ? WHERE {unsettled}",  # noqa: S608
        settlement_id,
        integration_id,
        currency,
    )
    state.execute(
        "UPDATE refunds SET settlement_id = ? "
        "WHERE integration_id = ? AND currency = ? AND settlement_id IS NULL AND status != 'failed'",
        settlement_id,
        integration_id,
        currency,
    )
    enter(sandbox, integration_id, currency, -amount, "Settlement", settlement_id)
    state.clear_timer(SETTLE, integration_id)
    state.set_timer(SETTLEMENT_ARRIVES, settlement_id, now + sandbox.settings.settlement_pending_seconds * 1000)


def settlement_arrives(sandbox: "Sandbox", settlement_id: int) -> None:
    sandbox.state.update(Settlement.table, settlement_id, status="success", updated_at=sandbox.clock.now_ms())
