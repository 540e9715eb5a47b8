"""Charges by the API: every instrument, the steps that follow, and the check (facts 4)."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from paystack_sandbox import charging
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import (
    check_reference,
    read_amount,
    read_currency,
    read_email,
    read_object,
    read_text,
    require_text,
)
from paystack_sandbox.api.initialize import start
from paystack_sandbox.api.pages import MAX_PER_PAGE
from paystack_sandbox.api.saved_charges import find_authorization
from paystack_sandbox.api.transactions import plan_of
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.payments import CapitecPay, Instrument, InvalidInstrument, read_instrument
from paystack_sandbox.present import charge_view, customer_view
from paystack_sandbox.records import Authorization
from paystack_sandbox.state import Transaction

ATTEMPTED = "Charge attempted"
CHARGE = "charge"
# The field of the body, which is also the channel.
_INSTRUMENTS = ("card", "mobile_money", "bank", "bank_transfer", "ussd", "qr", "eft", "capitec_pay")
_ANSWERS_SENT_ALONG = ("pin", "birthday")
_MINUTE = 60_000
_SHORTEST_TRANSFER_MS, _LONGEST_TRANSFER_MS = 15 * _MINUTE, 8 * 60 * _MINUTE
_PESALINK_MS = 25 * _MINUTE

_ON_THE_PHONE = "Please complete authorization process on your mobile phone"
_VOUCHER = "Please dial *110# to generate a voucher code. Then input the voucher"


def charge(call: Call) -> Answer:
    """Start a charge. Whatever comes of it is a 200; what was wrong with the request is an error."""
    if call.body.get("email") is None:
        raise PaystackError("charge_without_email")
    email, amount, currency = read_email(call.body), read_amount(call.body.get("amount")), _currency(call)
    instrument, answers, saved = _instrument(call, email, currency)
    columns = {"amount": amount, "requested_amount": amount, "currency": currency, "origin": CHARGE}
    row = start(call, email, columns)
    row = charging.attempt(call.sandbox, row.id, instrument, answers, saved=saved, ip_address=call.ip_address)
    if row.pending is not None and json.loads(row.pending)["step"] == "transfer":
        row = _with_deadline(call, row, _transfer_deadline(call, currency))
    if isinstance(instrument, CapitecPay) and row.pending is not None:
        return _capitec_answer(call, row)
    return Answer(ATTEMPTED, _data(call, row))


def submit_pin(call: Call) -> Answer:
    """Answer `send_pin`."""
    return _submit(call, "pin", require_text(call.body, "pin"))


def submit_otp(call: Call) -> Answer:
    """Answer `send_otp`."""
    return _submit(call, "otp", require_text(call.body, "otp"))


def submit_phone(call: Call) -> Answer:
    """Answer `send_phone`."""
    return _submit(call, "phone", require_text(call.body, "phone"))


def submit_birthday(call: Call) -> Answer:
    """Answer `send_birthday`."""
    # Some clients send a date as a moment: 2007-04-15T00:00:00.000Z.
    birthday = require_text(call.body, "birthday").partition("T")[0]
    return _submit(call, "birthday", birthday)


def submit_address(call: Call) -> Answer:
    """Answer `send_address`."""
    lines = [require_text(call.body, field) for field in ("address", "city", "state")]
    zip_code = read_text(call.body, "zip_code") or require_text(call.body, "zipcode")
    return _submit(call, "address", ", ".join([*lines, zip_code]))


def check(call: Call) -> Answer:
    """Where a charge stands."""
    return Answer("Reference check successful", _data(call, _by_reference(call, call.path["reference"])))


def requery_capitec(call: Call) -> Answer:
    """What a front end polls while the payer looks at the bank's app. Takes the secret key here."""
    row = _by_reference(call, call.path["reference"])
    status = {"success": "success", "failed": "failed"}.get(row.status, "pending")
    message = {"success": "Charge successful", "failed": "Charge Failed", "pending": "Charge pending"}[status]
    return Answer(message, {"status": status}, more={"type": "success", "code": "ok"})


def _submit(call: Call, step: str, value: str) -> Answer:
    """Give what was asked for. A wrong answer kills the charge, and is a 400 that has `data` (facts 4.3)."""
    row = _by_reference(call, require_text(call.body, "reference"))
    try:
        row = charging.answer(call.sandbox, row.id, step, value)
    except (charging.NothingAsked, charging.AlreadyPaid, charging.CheckoutClosed) as error:
        raise PaystackError("charge_not_waiting") from error
    if row.status == "failed":
        return Answer(ATTEMPTED, _data(call, row), http_status=400, status=False)
    return Answer(ATTEMPTED, _data(call, row))


def _by_reference(call: Call, reference: str) -> Transaction:
    check_reference(reference, MAX_PER_PAGE)
    row = call.sandbox.find_by_reference(reference, call.integration.id)
    if row is None:
        raise PaystackError("charge_reference")
    return row


def _currency(call: Call) -> str:
    try:
        return read_currency(call)
    except PaystackError as error:
        raise PaystackError("currency_not_supported_by_charge") from error


def _instrument(call: Call, email: str, currency: str) -> tuple[Instrument, dict[str, str], Authorization | None]:
    """What to charge, and the answers that came with it."""
    body = call.body
    sent = {step: text for step in _ANSWERS_SENT_ALONG if (text := read_text(body, step)) is not None}
    code = read_text(body, "authorization_code")
    if code is not None:
        saved = find_authorization(call, code, email, also_with_pin=True)
        instrument, answers = charging.saved_instrument(saved)
        return instrument, {**answers, **sent}, saved
    field = next((field for field in _INSTRUMENTS if body.get(field) is not None), None)
    if field is None:
        raise PaystackError("charge_without_instrument")
    try:
        return _read(call, field, currency, sent)
    except InvalidInstrument as error:
        raise PaystackError("bad_value", error.message) from error


def _read(
    call: Call, field: str, currency: str, sent: dict[str, str]
) -> tuple[Instrument, dict[str, str], Authorization | None]:
    given = read_object(call.body, field) or {}
    if field == "ussd":
        return read_instrument("ussd", {"code": read_text(given, "type")}, currency), {}, None
    if field == "bank":
        token = read_text(given, "token")
        answers = {**sent, "otp": token} if token is not None else sent
        return read_instrument("bank", given, currency), answers, None
    if field == "card":
        given = {**given, "expiry": read_text(given, "expiry") or _expiry(given)}
        return read_instrument("card", given, currency), sent, None
    return read_instrument(field, given, currency), sent, None


def _expiry(card: Mapping[str, Any]) -> str:
    return f"{read_text(card, 'expiry_month') or ''}/{read_text(card, 'expiry_year') or ''}"


def _transfer_deadline(call: Call, currency: str) -> int:
    """Fifteen minutes to eight hours from now, eight where none is given; 25 minutes by Pesalink (facts 4.1)."""
    now = call.sandbox.clock.now_ms()
    if currency == "KES":
        return now + _PESALINK_MS
    text = read_text(read_object(call.body, "bank_transfer") or {}, "account_expires_at")
    if text is None:
        return now + _LONGEST_TRANSFER_MS
    try:
        wanted = int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise PaystackError("bad_value", '"account_expires_at" must be a valid date') from error
    return min(max(wanted, now + _SHORTEST_TRANSFER_MS), now + _LONGEST_TRANSFER_MS)


def _with_deadline(call: Call, row: Transaction, deadline: int) -> Transaction:
    state = call.sandbox.state
    pending = {**json.loads(row.pending or "{}"), "expires_at": deadline}
    with state.transaction():
        state.set_timer(charging.TRANSFER_EXPIRES, row.id, deadline)
        return state.update_transaction(row.id, pending=json.dumps(pending))


# What `data` holds (facts 4.3)


def _data(call: Call, row: Transaction) -> dict[str, Any]:
    if row.is_paid:
        return charge_view(row, call.integration, call.sandbox.settings, plan_of(call, row))
    if row.pending is not None:
        pending = json.loads(row.pending)
        return {"reference": row.reference, **_ASKING[pending["step"]](call, row, pending)}
    if row.status == "failed":
        status = "timeout" if row.gateway_response == charging.TIMED_OUT else "failed"
        return {"reference": row.reference, "status": status, "message": row.gateway_response}
    return {"reference": row.reference, "status": row.status, "message": row.gateway_response}


Pending = Mapping[str, Any]


def _ask_pin(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    return {"status": "send_pin"}


def _ask_otp(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    by_voucher = pending["instrument"].get("provider") == "vod"
    return {"status": "send_otp", "display_text": _VOUCHER if by_voucher else "Please send OTP"}


def _ask_phone(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    return {"status": "send_phone", "display_text": "Please send phone"}


def _ask_birthday(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    return {"status": "send_birthday", "display_text": "Please send your birthday"}


def _ask_address(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    text = "Please send details for address verification"
    return {"status": "send_address", "display_text": text, "country_code": "US"}


def _open_url(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    return {"status": "open_url", "url": call.sandbox.checkout_url(row, call.base_url)}


def _pay_offline(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    return {"status": "pay_offline", "display_text": _ON_THE_PHONE}


def _dial(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    code = f"*{pending['instrument']['code']}*33*{row.id % 10**6:06d}#"
    text = f"Please dial {code} on your mobile phone to complete the transaction"
    return {"status": "pay_offline", "display_text": text, "ussd_code": code}


def _scan(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    url = call.sandbox.checkout_url(row, call.base_url)
    return {"status": "pay_offline", "qr_code": f"PSTK|{row.id}|{row.amount}|{row.currency}", "url": url}


def _wait_for_bank(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    return {"status": "pending", "display_text": "Processing transaction"}


def _transfer(call: Call, row: Transaction, pending: Pending) -> dict[str, Any]:
    if pending["channel"] == "mobile_money":
        text = f"Pay to Paybill 4084333 with account number PSTK{row.id}"
        return {
            "status": "pay_offline",
            "display_text": text,
            "account_number": "4084333",
            "account_reference": f"PSTK{row.id}",
        }
    return {
        "status": "pending_bank_transfer",
        "display_text": "Please make a transfer to the account specified",
        "amount": row.requested_amount,
        "account_name": "PAYSTACK CHECKOUT",
        "account_number": f"99{row.id % 10**8:08d}",
        "transaction_reference": row.reference,
        "bank": {"slug": "test-bank", "name": "Test Bank", "id": 24},
        "account_expires_at": iso(pending.get("expires_at")),
    }


_ASKING: dict[str, Callable[[Call, Transaction, Pending], dict[str, Any]]] = {
    "pin": _ask_pin,
    "otp": _ask_otp,
    "phone": _ask_phone,
    "birthday": _ask_birthday,
    "address": _ask_address,
    "bank_page": _open_url,
    "phone_prompt": _pay_offline,
    "app_prompt": _wait_for_bank,
    "processing": _wait_for_bank,
    "queue": _wait_for_bank,
    "ussd": _dial,
    "qr": _scan,
    "transfer": _transfer,
}


def _capitec_answer(call: Call, row: Transaction) -> Answer:
    """A form of its own (facts 4.3). The sample's `data.status` is that of the request."""
    expires_at = call.sandbox.clock.now_ms() + charging.CAPITEC_SECONDS * 1000
    data = {
        "status": "success",
        "timeToLive": charging.CAPITEC_SECONDS,
        "expiryDate": iso(expires_at),
        "transaction": {
            "id": row.id,
            "reference": row.reference,
            "domain": call.integration.domain,
            "amount": row.amount,
            "currency": row.currency,
            "metadata": json.loads(row.metadata),
            "createdAt": iso(row.created_at),
            "customer": customer_view(row),
        },
    }
    return Answer("Charge pending", data, more={"type": "success", "code": "ok"})
