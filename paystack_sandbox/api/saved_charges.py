"""Charging a saved authorization: charge_authorization and partial_debit (facts 3.9, 3.10)."""

from typing import Any

from paystack_sandbox import charging
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import (
    read_amount,
    read_currency,
    read_email,
    read_switch,
    require_text,
)
from paystack_sandbox.api.initialize import start
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.present import saved_charge_view
from paystack_sandbox.records import Authorization, Customer

_ATTEMPTED = "Charge attempted"
_REDIRECT = "Please, redirect your customer to the authorization url provided"


def charge_authorization(call: Call) -> Answer:
    """Charge at once; a refusal by the bank is a 200 with `data.status` failed. With `queue` a little later.

    Where the control route made the bank ask for approval, the answer names a page for the payer instead.
    """
    email, amount = read_email(call.body), read_amount(call.body.get("amount"))
    currency = _currency(call)
    saved = find_authorization(call, require_text(call.body, "authorization_code"), email)
    queued = read_switch(call.body, "queue", default=False)
    row = start(call, email, _columns(amount, currency, "charge_authorization"))
    if queued:
        row = charging.hold(call.sandbox, row, saved, "queue")
        return Answer(_ATTEMPTED, saved_charge_view(row, call.integration))
    if saved.asks_approval:
        row = charging.hold(call.sandbox, row, saved, "bank_page")
        url = call.sandbox.checkout_url(row, call.base_url)
        data = {"authorization_url": url, "reference": row.reference, "access_code": row.access_code, "paused": True}
        return Answer(_REDIRECT, data)
    instrument, answers = charging.saved_instrument(saved)
    row = charging.attempt(call.sandbox, row.id, instrument, answers, in_one_go=True, saved=saved)
    return Answer(_ATTEMPTED, saved_charge_view(row, call.integration))


def partial_debit(call: Call) -> Answer:
    """Take what the account holds, if it is `at_least` so much."""
    email, asked = read_email(call.body), read_amount(call.body.get("amount"))
    currency = require_text(call.body, "currency").upper()
    if currency not in call.sandbox.settings.partial_debit_currencies:
        raise PaystackError("partial_debit_currency", currency=currency)
    if currency not in call.integration.currencies:
        raise PaystackError("currency_not_supported_by_charge")
    least = read_amount(call.body["at_least"]) if call.body.get("at_least") else None
    if call.sandbox.state.find(Customer, "integration_id = ? AND email = ?", call.integration.id, email) is None:
        raise PaystackError("partial_debit_customer")
    saved = find_authorization(call, require_text(call.body, "authorization_code"), email)
    available = asked if saved.balance is None else min(asked, saved.balance)
    amount = available if available > 0 and available >= (least or 1) else asked
    row = start(call, email, {**_columns(amount, currency, charging.PARTIAL_DEBIT), "requested_amount": asked})
    instrument, answers = charging.saved_instrument(saved)
    row = charging.attempt(call.sandbox, row.id, instrument, answers, in_one_go=True, saved=saved)
    data = {**saved_charge_view(row, call.integration), "plan": 0, "requested_amount": asked}
    return Answer(_ATTEMPTED, data)


def check_authorization(call: Call) -> Answer:
    """Whether a saved card is good for an amount. No longer documented; older clients have it."""
    email, amount = read_email(call.body), read_amount(call.body.get("amount"))
    currency = _currency(call)
    saved = find_authorization(call, require_text(call.body, "authorization_code"), email)
    if saved.declines is not None or (saved.balance is not None and saved.balance < amount):
        raise PaystackError("bad_value", saved.declines or "Insufficient Funds")
    return Answer("Authorization is valid for this amount", {"amount": amount, "currency": currency})


def find_authorization(call: Call, code: str, email: str, *, also_with_pin: bool = False) -> Authorization:
    """An active, reusable authorization of this email. `also_with_pin`: one that isn't may be charged with a PIN."""
    state = call.sandbox.state
    saved = state.find(Authorization, "code = ? AND integration_id = ?", code, call.integration.id)
    if saved is None:
        raise PaystackError("authorization_invalid")
    owner = state.get(Customer, saved.customer_id)
    usable = saved.active and (saved.reusable or also_with_pin)
    if not usable or owner.email != email:
        raise PaystackError("authorization_mismatch")
    return saved


def _currency(call: Call) -> str:
    try:
        return read_currency(call)
    except PaystackError as error:
        raise PaystackError("currency_not_supported_by_charge") from error


def _columns(amount: int, currency: str, origin: str) -> dict[str, Any]:
    return {"amount": amount, "requested_amount": amount, "currency": currency, "origin": origin}
