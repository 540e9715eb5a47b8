"""An attempt to pay, written down: what a move of `payments` does to the transaction, its log and webhooks.

The one place where a transaction becomes paid. Every function re-reads the row inside the database
transaction, so two payers at once can't both be charged.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from paystack_sandbox import payments, present, settling, subscribing
from paystack_sandbox.authorizations import authorization_of
from paystack_sandbox.money import CURRENCIES, amount_with_fee_minor, fee_minor
from paystack_sandbox.payments import (
    CHANNELS,
    INSTRUMENTS,
    Approved,
    Ask,
    Declined,
    Instrument,
    InvalidInstrument,
    Move,
    Terms,
    WrongSum,
)
from paystack_sandbox.records import Authorization, Plan
from paystack_sandbox.state import Transaction

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

NOT_COMPLETED = "The transaction was not completed"
PHONE_PROMPT = "phone_prompt"
# Kinds of timers.
BANK_ANSWERS = "bank_answers"
TRANSFER_EXPIRES = "transfer_expires"
QUEUED_CHARGE = "queued_charge"
_TIMERS = (PHONE_PROMPT, BANK_ANSWERS, TRANSFER_EXPIRES, QUEUED_CHARGE)
# Of the sandbox's own making: the payer took too long (facts 4.3).
TIMED_OUT = "Timeout"
CAPITEC_SECONDS = 120
CHECKOUT = "initialize"
CARD_UPDATE = "card_update"
PARTIAL_DEBIT = "partial_debit"
ON_CHECKOUT = (CHECKOUT, CARD_UPDATE)
"""`origin` of transactions that are paid on the hosted page, and may be tried again there."""


class AlreadyPaid(Exception):
    """The transaction is paid; nobody is charged twice."""


class CheckoutClosed(Exception):
    """The transaction failed for good: a charge by the API does, and with `wrong_answer_ends_checkout` all do.
    Or its session timed out (facts 3.1)."""


class NothingAsked(Exception):
    """An answer came, but the transaction waits for none, or for another."""


def offered_channels(row: Transaction) -> list[str]:
    """Those the merchant asked for and the sandbox has; where none were asked for, the country's."""
    currency = CURRENCIES[row.currency]
    asked = json.loads(row.channels) if row.channels else None
    names = [name for name in CHANNELS if name in (asked or currency.channels)]
    return [name for name in names if name != "mobile_money" or currency.providers]


def charged_minor(sandbox: "Sandbox", row: Transaction, channel: str) -> int:
    """What the payer is charged on this channel: more than requested where the fee is passed on, and less where
    only a part was to be had."""
    if row.origin == PARTIAL_DEBIT:
        return row.amount
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
    saved: Authorization | None = None,
) -> Transaction:
    """Start paying. `in_one_go`: the payer gives no further answers. `saved`: the instrument was used before.

    Raises AlreadyPaid, CheckoutClosed, and InvalidInstrument for a channel that is not offered.
    """
    with sandbox.state.transaction():
        row = _open_row(sandbox, transaction_id)
        offered = offered_channels(row)
        if row.origin in ON_CHECKOUT and instrument.channel not in offered:
            raise InvalidInstrument("channel", f"The channels of this payment are {', '.join(offered) or 'none'}")
        log = _log_of(row, sandbox)
        log["attempts"] += 1
        _note(log, sandbox, "action", f"Attempted to pay with {_spoken(instrument.channel)}")
        row = sandbox.state.update_transaction(
            row.id, channel=instrument.channel, ip_address=ip_address or row.ip_address
        )
        paying = _Paying(row, instrument, answers or {}, saved, log)
        return _apply(sandbox, paying, _decide(sandbox, paying, in_one_go=in_one_go))


def hold(sandbox: "Sandbox", row: Transaction, saved: Authorization, step: str) -> Transaction:
    """Charge a saved instrument only after `step`: its turn in the queue, or the payer's approval."""
    instrument, answers = saved_instrument(saved)
    with sandbox.state.transaction():
        if step == "queue":
            due_at = sandbox.clock.now_ms() + sandbox.settings.queued_charge_seconds * 1000
            sandbox.state.set_timer(QUEUED_CHARGE, row.id, due_at)
        row = sandbox.state.update_transaction(row.id, channel=instrument.channel)
        return _apply(sandbox, _Paying(row, instrument, answers, saved, _log_of(row, sandbox)), Ask(step))


def answer(sandbox: "Sandbox", transaction_id: int, step: str, value: str) -> Transaction:
    """Give what the transaction asks for. Raises AlreadyPaid, CheckoutClosed, NothingAsked."""
    with sandbox.state.transaction():
        row = _open_row(sandbox, transaction_id)
        if row.pending is None:
            raise NothingAsked
        pending = json.loads(row.pending)
        if pending["step"] != step:
            raise NothingAsked
        paying = _paying_of(sandbox, row, pending, {step: value})
        return _apply(sandbox, paying, _decide(sandbox, paying))


def abandon(sandbox: "Sandbox", transaction_id: int) -> Transaction:
    """The payer gave up what was going on. The transaction can be paid later all the same."""
    with sandbox.state.transaction():
        row = sandbox.state.transaction_by_id(transaction_id)
        if row.is_paid or row.pending is None:
            return row
        _clear_timers(sandbox, row)
        return sandbox.state.update_transaction(
            row.id, status="abandoned", gateway_response=NOT_COMPLETED, pending=None
        )


def prompt_timed_out(sandbox: "Sandbox", transaction_id: int) -> None:
    """The payer never answered the prompt on the phone, or in the bank's app (facts 4.4: 180 s)."""
    for step in (PHONE_PROMPT, "app_prompt"):
        _answer_by_itself(sandbox, transaction_id, step, "timeout")


def bank_answers(sandbox: "Sandbox", transaction_id: int) -> None:
    """The bank that answered `pending` has decided."""
    _answer_by_itself(sandbox, transaction_id, "processing", "done")


def run_queued(sandbox: "Sandbox", transaction_id: int) -> None:
    _answer_by_itself(sandbox, transaction_id, "queue", "done")


def transfer_expired(sandbox: "Sandbox", transaction_id: int) -> None:
    """The account that was made for the transfer is gone."""
    with sandbox.state.transaction():
        row = sandbox.state.transaction_by_id(transaction_id)
        if row.pending is not None and not row.is_paid:
            paying = _paying_of(sandbox, row, json.loads(row.pending), {})
            _apply(sandbox, paying, Declined(TIMED_OUT))


def _answer_by_itself(sandbox: "Sandbox", transaction_id: int, step: str, value: str) -> None:
    # Where it fails, the transaction was answered, abandoned or started anew in the same moment.
    with contextlib.suppress(AlreadyPaid, CheckoutClosed, NothingAsked):
        answer(sandbox, transaction_id, step, value)


def set_session_timeout(sandbox: "Sandbox", integration_id: int, seconds: int) -> None:
    sandbox.state.save(f"payment_session_timeout:{integration_id}", seconds)


def session_timeout(sandbox: "Sandbox", integration_id: int) -> int:
    """Seconds a payer has to pay; 0 is for ever (facts 3.1)."""
    return int(sandbox.state.load(f"payment_session_timeout:{integration_id}") or 0)


def saved_instrument(saved: Authorization) -> tuple[Instrument, dict[str, str]]:
    """The instrument of an authorization. A reusable one asks for nothing again."""
    fields = json.loads(saved.instrument)
    instrument = INSTRUMENTS[fields.pop("channel")](**fields)
    return instrument, {"bank_page": "approve", "address": "known"} if saved.reusable else {}


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
    """Whether the transaction failed for good, or took too long."""
    if row.status == "failed" and (sandbox.settings.wrong_answer_ends_checkout or row.origin not in ON_CHECKOUT):
        return True
    timeout = session_timeout(sandbox, row.integration_id)
    return timeout > 0 and sandbox.clock.now_ms() > row.created_at + timeout * 1000


@dataclass(frozen=True, slots=True)
class _Paying:
    """One attempt: the row as it is, what it is paid with, and what was answered so far."""

    row: Transaction
    instrument: Instrument
    answers: Mapping[str, str]
    saved: Authorization | None
    log: dict[str, Any]


def _paying_of(sandbox: "Sandbox", row: Transaction, pending: Mapping[str, Any], answers: Mapping[str, str]) -> _Paying:
    code = pending.get("saved")
    return _Paying(
        row,
        INSTRUMENTS[pending["channel"]](**pending["instrument"]),
        {**pending["answers"], **answers},
        sandbox.state.find(Authorization, "code = ?", code) if code else None,
        _log_of(row, sandbox),
    )


def _decide(sandbox: "Sandbox", paying: _Paying, *, in_one_go: bool = False) -> Move:
    row, saved = paying.row, paying.saved
    if row.risk_action == "deny":
        return Declined("Denied by fraud system")
    terms = Terms(
        charged_minor(sandbox, row, paying.instrument.channel),
        row.currency,
        sandbox.clock.now().date(),
        sandbox.settings.mobile_money_responses,
        sandbox.settings.telecel_voucher,
    )
    if saved is not None and saved.declines is not None:
        return Declined(saved.declines)
    if saved is not None and saved.balance is not None and terms.amount_minor > saved.balance:
        return Declined("Insufficient Funds")
    decide = payments.settle_now if in_one_go else payments.next_move
    return decide(paying.instrument, paying.answers, terms)


def _apply(sandbox: "Sandbox", paying: _Paying, move: Move) -> Transaction:
    if not isinstance(move, WrongSum):
        _clear_timers(sandbox, paying.row)
    match move:
        case Ask():
            return _wait(sandbox, paying, move.step)
        case Approved():
            return _succeed(sandbox, paying, move)
        case Declined():
            return _decline(sandbox, paying, move)
        case WrongSum():
            return _send_back(sandbox, paying, move)


def _wait(sandbox: "Sandbox", paying: _Paying, step: str) -> Transaction:
    row, instrument = paying.row, paying.instrument
    _note(paying.log, sandbox, "auth", f"Authentication Required: {step}")
    seconds = {
        PHONE_PROMPT: (PHONE_PROMPT, sandbox.settings.mobile_money_prompt_seconds),
        "app_prompt": (PHONE_PROMPT, CAPITEC_SECONDS),
        "processing": (BANK_ANSWERS, sandbox.settings.bank_processing_seconds),
    }
    if step in seconds:
        kind, after = seconds[step]
        sandbox.state.set_timer(kind, row.id, sandbox.clock.now_ms() + after * 1000)
        sandbox.wake()
    pending = {
        "channel": instrument.channel,
        "instrument": asdict(instrument),
        "step": step,
        "answers": dict(paying.answers),
        "saved": paying.saved.code if paying.saved else None,
    }
    return sandbox.state.update_transaction(
        row.id,
        status=sandbox.settings.status_while_asked.get(step, "ongoing"),
        gateway_response=NOT_COMPLETED,
        message=None,
        pending=json.dumps(pending),
        log=json.dumps(paying.log),
    )


def _succeed(sandbox: "Sandbox", paying: _Paying, move: Approved) -> Transaction:
    row, instrument = paying.row, paying.instrument
    amount = charged_minor(sandbox, row, instrument.channel)
    paying.log["success"] = True
    _note(paying.log, sandbox, "success", f"Successfully paid with {_spoken(instrument.channel)}")
    paid = sandbox.state.update_transaction(
        row.id,
        status="success",
        amount=amount,
        fees=fee_minor(amount, row.currency, instrument.channel, sandbox.settings.fee_rounding),
        paid_at=sandbox.clock.now_ms(),
        message=move.message,
        gateway_response="Approved" if paying.saved else move.gateway_response,
        authorization=paying.saved.data if paying.saved else _save_authorization(sandbox, row, instrument),
        pending=None,
        log=json.dumps(paying.log),
    )
    settling.payment_received(sandbox, paid)
    integration = sandbox.state.integration(row.integration_id)
    plan = sandbox.state.get(Plan, paid.plan_id) if paid.plan_id is not None else None
    data = present.webhook_view(paid, integration, sandbox.settings, plan)
    sandbox.webhooks.enqueue(integration, "charge.success", paid.reference, data)
    if paid.plan_id is not None or paid.subscription_id is not None:
        subscribing.payment_made(sandbox, paid)
    return paid


def _save_authorization(sandbox: "Sandbox", row: Transaction, instrument: Instrument) -> str:
    data = authorization_of(instrument, row.currency)
    text = json.dumps(data)
    sandbox.state.insert(
        "authorizations",
        integration_id=row.integration_id,
        customer_id=row.customer_id,
        code=data["authorization_code"],
        data=text,
        instrument=json.dumps({"channel": instrument.channel, **asdict(instrument)}),
        reusable=int(data["reusable"]),
        created_at=sandbox.clock.now_ms(),
    )
    return text


def _decline(sandbox: "Sandbox", paying: _Paying, move: Declined) -> Transaction:
    # A card declined on checkout leaves the transaction `abandoned`, a phone's refusal `failed` (3.4, 9);
    # a charge by the API is dead in every case (4.3).
    row, log = paying.row, paying.log
    ends = sandbox.settings.wrong_answer_ends_checkout and move.wrong_answer
    failed = ends or paying.instrument.channel == "mobile_money" or row.origin not in ON_CHECKOUT
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


def _send_back(sandbox: "Sandbox", paying: _Paying, move: WrongSum) -> Transaction:
    """Another sum than asked for. On checkout the payer starts anew; a charge goes on waiting for the right one."""
    row, log = paying.row, paying.log
    integration = sandbox.state.integration(row.integration_id)
    data = present.rejected_transfer_view(row, integration, move.sent_minor)
    sandbox.webhooks.enqueue(integration, "bank.transfer.rejected", row.reference, data, row.id)
    if paying.instrument.channel == "mobile_money":
        return _apply(sandbox, paying, Declined("Incorrect amount"))
    log["errors"] += 1
    _note(log, sandbox, "error", "Error: incorrect amount sent")
    if row.origin not in ON_CHECKOUT and row.pending is not None:
        return sandbox.state.update_transaction(row.id, log=json.dumps(log))
    _clear_timers(sandbox, row)
    return sandbox.state.update_transaction(
        row.id,
        status="abandoned",
        gateway_response=NOT_COMPLETED,
        message=None,
        pending=None,
        log=json.dumps(log),
    )


def _clear_timers(sandbox: "Sandbox", row: Transaction) -> None:
    if row.pending is not None:
        for kind in _TIMERS:
            sandbox.state.clear_timer(kind, row.id)


def _log_of(row: Transaction, sandbox: "Sandbox") -> dict[str, Any]:
    log: dict[str, Any] = json.loads(row.log) if row.log else empty_log(sandbox)
    return log


def _note(log: dict[str, Any], sandbox: "Sandbox", kind: str, message: str) -> None:
    log["time_spent"] = max(0, sandbox.clock.now_ms() // 1000 - log["start_time"])
    log["history"].append({"type": kind, "message": message, "time": log["time_spent"]})


def _spoken(channel: str) -> str:
    return channel.replace("_", " ")
