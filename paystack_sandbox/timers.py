"""What happens by itself when the clock gets there: one handler a kind of timer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from paystack_sandbox import charging, disputing, identifying, refunding, renewing, settling, subscribing

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

# In one go; the rest runs right after, with the server answering in between.
MAX_AT_ONCE = 1000

HANDLERS: dict[str, Callable[["Sandbox", int], None]] = {
    charging.PHONE_PROMPT: charging.prompt_timed_out,
    charging.BANK_ANSWERS: charging.bank_answers,
    charging.TRANSFER_EXPIRES: charging.transfer_expired,
    charging.QUEUED_CHARGE: charging.run_queued,
    refunding.REFUND: refunding.advance,
    disputing.REMIND: disputing.remind,
    disputing.DEADLINE: disputing.deadline_passed,
    identifying.IDENTIFIED: identifying.decide,
    subscribing.INVOICE_DUE: renewing.invoice_due,
    subscribing.CHARGE_DUE: renewing.charge_due,
    subscribing.EXPIRING_CARDS: renewing.cards_expiring,
    settling.SETTLE: settling.settle,
    settling.SETTLEMENT_ARRIVES: settling.settlement_arrives,
}


def run_due(sandbox: "Sandbox") -> None:
    """Run what fell due, first things first, each with the clock standing at its own moment."""
    for _ in range(MAX_AT_ONCE):
        # With its timer, so that a killed process neither loses nor repeats what was due.
        with sandbox.state.transaction():
            due = sandbox.state.take_due_timer(sandbox.clock.now_ms())
            if due is None:
                return
            due_at, kind, subject_id = due
            with sandbox.clock.held_at(due_at):
                HANDLERS[kind](sandbox, subject_id)
