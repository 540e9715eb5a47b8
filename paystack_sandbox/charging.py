"""An attempt to pay, written down: what a move of `payments` does to the transaction, its log and webhooks.

The one place where a transaction becomes paid. Every function re-reads the row inside the database
transaction, so two payers at once can't both be charged.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from paystack_sandbox import payments, present
from paystack_sandbox.authorizations import authorization_of
from paystack_sandbox.money import CURRENCIES, amount_with_fee_minor, fee_minor
from paystack_sandbox.payments import (
    CHANNELS,
    Approved,
    Ask,
    BankAccount,
    BankTransfer,
    Card,
    Declined,
    Instrument,
    InvalidInstrument,
    MobileMoney,
    Move,
    Terms,
    Ussd,
    WrongSum,
)
from paystack_sandbox.state import Transaction

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

NOT_COMPLETED = "The transaction was not completed"
PHONE_PROMPT = "phone_prompt"
_INSTRUMENTS: dict[str, type[Card | MobileMoney | BankTransfer | Ussd | BankAccount]] = {
    kind.channel: kind for kind in (Card, MobileMoney, BankTransfer, Ussd, BankAccount)
}


class AlreadyPaid(Exception):
    """The transaction is paid; nobody is charged twice."""


class CheckoutClosed(Exception):
    """The transaction failed for good (only with `wrong_answer_ends_checkout`)."""


class NothingAsked(Exception):
    """An answer came, but the transaction waits for none, or for another."""


def offered_channels(row: Transaction) -> list[str]:
    """Those the merchant asked for and the sandbox has; where none were asked for, the country's."""
    currency = CURRENCIES[row.currency]
    asked = json.loads(row.channels) if row.channels else None
    names = [name for name in CHANNELS if name in (asked or currency.channels)]
    return [name for name in names if name != "mobile_money" or currency.providers]


def charged_minor(sandbox: "Sandbox", row: Transaction, channel: str) -> int:
    """What the payer is charged on this channel: more than requested where the fee is passed on."""
    if not sandbox.settings.pass_fees_to_payer:
        return row.requested_amount
    return amount_with_fee_minor(row.requested_amount, row.currency, channel)


def attempt(
    sandbox: "Sandbox",
    transaction_id: int,
    instrument: Instrument,
    answers: Mapping[str, str] | None = None,
    *,
    in_one_go: bool = False,
    ip_address: str | None = None,
) -> Transaction:
    """Start paying. `in_one_go`: the payer gives no further answers.

    Raises AlreadyPaid, CheckoutClosed, and InvalidInstrument for a channel that is not offered.
    """
    with sandbox.state.transaction():
        row = _open_row(sandbox, transaction_id)
        offered = offered_channels(row)
        if instrument.channel not in offered:
            raise InvalidInstrument("channel", f"The channels of this payment are {', '.join(offered) or 'none'}")
        log = _log_of(row, sandbox)
        log["attempts"] += 1
        _note(log, sandbox, "action", f"Attempted to pay with {_spoken(instrument.channel)}")
        decide = payments.settle_now if in_one_go else payments.next_move
        move = decide(instrument, answers or {}, _terms(sandbox, row, instrument.channel))
        sandbox.state.update_transaction(row.id, channel=instrument.channel, ip_address=ip_address or row.ip_address)
        return _apply(sandbox, row, instrument, answers or {}, move, log)


def answer(sandbox: "Sandbox", transaction_id: int, step: str, value: str) -> Transaction:
    """Give what the transaction asks for. Raises AlreadyPaid, CheckoutClosed, NothingAsked."""
    with sandbox.state.transaction():
        row = _open_row(sandbox, transaction_id)
        if row.pending is None:
            raise NothingAsked
        pending = json.loads(row.pending)
        if pending["step"] != step:
            raise NothingAsked
        instrument = _INSTRUMENTS[pending["channel"]](**pending["instrument"])
        answers = {**pending["answers"], step: value}
        move = payments.next_move(instrument, answers, _terms(sandbox, row, instrument.channel))
        return _apply(sandbox, row, instrument, answers, move, _log_of(row, sandbox))


def abandon(sandbox: "Sandbox", transaction_id: int) -> Transaction:
    """The payer gave up what was going on. The transaction can be paid later all the same."""
    with sandbox.state.transaction():
        row = sandbox.state.transaction_by_id(transaction_id)
        if row.is_paid or row.pending is None:
            return row
        sandbox.state.clear_timer(PHONE_PROMPT, row.id)
        return sandbox.state.update_transaction(
            row.id, status="abandoned", gateway_response=NOT_COMPLETED, pending=None
        )


def prompt_timed_out(sandbox: "Sandbox", transaction_id: int) -> None:
    """The payer never answered the prompt on the phone (facts 4.4: 180 s)."""
    try:
        answer(sandbox, transaction_id, PHONE_PROMPT, "timeout")
    except (AlreadyPaid, CheckoutClosed, NothingAsked):
        # Approved, declined or started anew in the same moment: the timer is stale.
        sandbox.state.clear_timer(PHONE_PROMPT, transaction_id)


def empty_log(sandbox: "Sandbox") -> dict[str, Any]:
    return {
        "start_time": sandbox.clock.now_ms() // 1000,
        "time_spent": 0,
        "attempts": 0,
        "errors": 0,
        "success": False,
        "mobile": False,
        "input": [],
        "history": [],
    }


def _open_row(sandbox: "Sandbox", transaction_id: int) -> Transaction:
    row = sandbox.state.transaction_by_id(transaction_id)
    if row.is_paid:
        raise AlreadyPaid
    if is_closed(sandbox, row):
        raise CheckoutClosed
    return row


def is_closed(sandbox: "Sandbox", row: Transaction) -> bool:
    """Whether the transaction failed for good."""
    return sandbox.settings.wrong_answer_ends_checkout and row.status == "failed"


def _terms(sandbox: "Sandbox", row: Transaction, channel: str) -> Terms:
    return Terms(
        charged_minor(sandbox, row, channel),
        row.currency,
        sandbox.clock.now().date(),
        sandbox.settings.mobile_money_responses,
    )


def _apply(
    sandbox: "Sandbox",
    row: Transaction,
    instrument: Instrument,
    answers: Mapping[str, str],
    move: Move,
    log: dict[str, Any],
) -> Transaction:
    sandbox.state.clear_timer(PHONE_PROMPT, row.id)
    match move:
        case Ask():
            return _wait(sandbox, row, instrument, answers, move.step, log)
        case Approved():
            return _succeed(sandbox, row, instrument, move, log)
        case Declined():
            return _decline(sandbox, row, instrument, move, log)
        case WrongSum():
            return _send_back(sandbox, row, move, log)


def _wait(
    sandbox: "Sandbox",
    row: Transaction,
    instrument: Instrument,
    answers: Mapping[str, str],
    step: str,
    log: dict[str, Any],
) -> Transaction:
    _note(log, sandbox, "auth", f"Authentication Required: {step}")
    pending = {"channel": instrument.channel, "instrument": asdict(instrument), "step": step}
    if step == PHONE_PROMPT:
        expires_at = sandbox.clock.now_ms() + sandbox.settings.mobile_money_prompt_seconds * 1000
        sandbox.state.set_timer(PHONE_PROMPT, row.id, expires_at)
        sandbox.wake()
    return sandbox.state.update_transaction(
        row.id,
        status=sandbox.settings.status_while_asked[step],
        gateway_response=NOT_COMPLETED,
        message=None,
        pending=json.dumps({**pending, "answers": dict(answers)}),
        log=json.dumps(log),
    )


def _succeed(
    sandbox: "Sandbox", row: Transaction, instrument: Instrument, move: Approved, log: dict[str, Any]
) -> Transaction:
    amount = charged_minor(sandbox, row, instrument.channel)
    log["success"] = True
    _note(log, sandbox, "success", f"Successfully paid with {_spoken(instrument.channel)}")
    paid = sandbox.state.update_transaction(
        row.id,
        status="success",
        amount=amount,
        fees=fee_minor(amount, row.currency, instrument.channel, sandbox.settings.fee_rounding),
        paid_at=sandbox.clock.now_ms(),
        message=move.message,
        gateway_response=move.gateway_response,
        authorization=json.dumps(authorization_of(instrument, row.currency)),
        pending=None,
        log=json.dumps(log),
    )
    integration = sandbox.state.integration(row.integration_id)
    data = present.webhook_view(paid, integration, sandbox.settings)
    sandbox.webhooks.enqueue(integration, "charge.success", paid.reference, data)
    return paid


def _decline(
    sandbox: "Sandbox", row: Transaction, instrument: Instrument, move: Declined, log: dict[str, Any]
) -> Transaction:
    # A card declined on checkout leaves the transaction `abandoned`, a phone's refusal `failed` (3.4, 9).
    ends = sandbox.settings.wrong_answer_ends_checkout and move.wrong_answer
    failed = ends or instrument.channel == "mobile_money"
    log["errors"] += 1
    _note(log, sandbox, "error", f"Error: {move.gateway_response}")
    return sandbox.state.update_transaction(
        row.id,
        status="failed" if failed else "abandoned",
        message=move.gateway_response if failed else None,
        gateway_response=move.gateway_response,
        pending=None,
        log=json.dumps(log),
    )


def _send_back(sandbox: "Sandbox", row: Transaction, move: WrongSum, log: dict[str, Any]) -> Transaction:
    log["errors"] += 1
    _note(log, sandbox, "error", "Error: incorrect amount sent")
    unpaid = sandbox.state.update_transaction(
        row.id,
        status="abandoned",
        gateway_response=NOT_COMPLETED,
        message=None,
        pending=None,
        log=json.dumps(log),
    )
    integration = sandbox.state.integration(row.integration_id)
    data = present.rejected_transfer_view(unpaid, integration, move.sent_minor)
    sandbox.webhooks.enqueue(integration, "bank.transfer.rejected", row.reference, data)
    return unpaid


def _log_of(row: Transaction, sandbox: "Sandbox") -> dict[str, Any]:
    log: dict[str, Any] = json.loads(row.log) if row.log else empty_log(sandbox)
    return log


def _note(log: dict[str, Any], sandbox: "Sandbox", kind: str, message: str) -> None:
    log["time_spent"] = max(0, sandbox.clock.now_ms() // 1000 - log["start_time"])
    log["history"].append({"type": kind, "message": message, "time": log["time_spent"]})


def _spoken(channel: str) -> str:
    return channel.replace("_", " ")
