"""The dashboard's buttons. Each changes something and answers where to go on, or raises with the reason why not."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from paystack_sandbox import disputing, refunding, timers
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.clock import MAX_ADVANCE_SECONDS
from paystack_sandbox.control import UNITS
from paystack_sandbox.dashboard import switches
from paystack_sandbox.dashboard.details import find_transaction, find_webhook
from paystack_sandbox.dashboard.visit import Form, Values, Visit, spoken
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.records import Dispute
from paystack_sandbox.state import Transaction
from paystack_sandbox.webhooks import NoWebhookUrl

_WAITING_SHOWN = 12
_NOTHING = "The form has no button of this name."


class Refused(Exception):
    """It can't be done; the message says why."""


def act_on_transaction(visit: Visit, form: Form) -> str:
    row = find_transaction(visit)
    action = _ON_TRANSACTION.get(str(form.get("do")))
    if action is None:
        raise Refused(_NOTHING)
    action(visit, row, form)
    return f"/dashboard/transactions/{row.id}"


def _refund(visit: Visit, row: Transaction, form: Form) -> None:
    """As the merchant does in Paystack's dashboard."""
    amount = refunding.amount_minor(visit.sandbox, row, _amount(form))
    refunding.begin(visit.sandbox, row, amount, None, str(form.get("note", ""))[:1000] or None)


def _dispute(visit: Visit, row: Transaction, form: Form) -> None:
    """As the payer does at the bank."""
    category, amount = str(form.get("category")), _amount(form) or row.amount
    if not row.is_paid:
        raise Refused("Only a paid transaction can be disputed.")
    if category not in disputing.CATEGORIES:
        raise Refused(f"The category is one of {', '.join(disputing.CATEGORIES)}.")
    if amount > row.amount:
        raise PaystackError("dispute_amount")
    message = str(form.get("message", "")).strip()[:1000] or "Customer complained about debit without value"
    disputing.begin(visit.sandbox, row, amount, category, message)


def _resolve(visit: Visit, row: Transaction, form: Form) -> None:
    """As the merchant does in Paystack's dashboard: accept it, or decline it."""
    accepted = form["do"] == "accept"
    dispute_id = read_id(str(form.get("dispute", "")))
    where = "id = ? AND transaction_id = ?"
    dispute = visit.sandbox.state.find(Dispute, where, dispute_id, row.id) if dispute_id else None
    if dispute is None or dispute.status != disputing.WAITING:
        raise Refused("This dispute is resolved already.")
    resolution, message = ("merchant-accepted", "Merchant accepted") if accepted else ("declined", "Merchant declined")
    disputing.resolve(visit.sandbox, dispute, resolution, dispute.refund_amount if accepted else 0, message)


_ON_TRANSACTION: Mapping[str, Callable[[Visit, Transaction, Form], None]] = {
    "refund": _refund,
    "dispute": _dispute,
    "accept": _resolve,
    "decline": _resolve,
}


def _amount(form: Form) -> int | None:
    """In the currency's unit, as people write it; None for all of it. Raises Refused."""
    text = str(form.get("amount", "")).replace(",", "").strip()
    if not text:
        return None
    try:
        minor = Decimal(text) * 100 if len(text) < 20 else Decimal("NaN")
    except InvalidOperation as error:
        raise Refused(f"{text!r} is no amount.") from error
    if not minor.is_finite() or minor != minor.to_integral_value() or not 0 < minor < 2**53:
        raise Refused(f"{text[:20]!r} is no amount.")
    return int(minor)


def send_again(visit: Visit, form: Form) -> str:
    row = find_webhook(visit)
    try:
        visit.sandbox.webhooks.send_again(row.id)
    except NoWebhookUrl as error:
        raise Refused("There is no address to send it to: start with --webhook-url.") from error
    return f"/dashboard/webhooks/{row.id}"


def set_faults(visit: Visit, form: Form) -> str:
    switches.set_faults(visit, form)
    return "/dashboard/faults"


def clock(visit: Visit) -> Values:
    """What waits, soonest first."""
    waiting = visit.sandbox.state.execute(
        "SELECT due_at, kind, '' FROM timers UNION ALL "
        "SELECT next_attempt_at, 'webhook ' || event, reference FROM webhooks WHERE next_attempt_at IS NOT NULL "
        "ORDER BY 1 LIMIT ?",
        _WAITING_SHOWN,
    )
    return {
        "units": tuple(UNITS),
        "waiting": [(spoken(due), kind.replace("_", " "), about or "") for due, kind, about in waiting],
    }


def act_on_clock(visit: Visit, form: Form) -> str:
    sandbox = visit.sandbox
    if form.get("do") == "reset":
        sandbox.reset()
        return "/"
    seconds = _to_next(visit) if form.get("do") == "next" else _seconds(form)
    if sandbox.clock.offset_ms / 1000 + seconds > MAX_ADVANCE_SECONDS:
        raise Refused("The clock can't be moved on by more than a hundred years.")
    sandbox.advance(seconds)
    timers.run_due(sandbox)
    return "/dashboard/clock"


def _to_next(visit: Visit) -> float:
    due = visit.sandbox.state.next_due_ms()
    if due is None:
        raise Refused("Nothing waits.")
    return max(0.0, (due - visit.sandbox.clock.now_ms()) / 1000)


def _seconds(form: Form) -> float:
    """`1 hours`, from the two fields or from a button that holds both."""
    text = str(form.get("by") or f"{form.get('number', '')} {form.get('unit', '')}")
    number, _, unit = text.strip().partition(" ")
    if not (number.isascii() and number.isdigit() and len(number) < 11 and int(number) and unit in UNITS):
        raise Refused("The clock moves forward, by a whole number of seconds, minutes, hours or days.")
    return int(number) * UNITS[unit]
