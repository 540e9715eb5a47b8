"""POST /transaction/initialize (facts 3.1 to 3.3)."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.bodies import parse_json
from paystack_sandbox.charging import NOT_COMPLETED
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.money import CURRENCIES, MAX_AMOUNT_MINOR
from paystack_sandbox.state import DuplicateReference, random_code

_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s.,;<>\"]{2,}")
_REFERENCE = re.compile(r"[A-Za-z0-9_.=-]+")
_GENERATED_REFERENCE_LENGTH = 15
_ACCESS_CODE_LENGTH = 15


def initialize(call: Call) -> Answer:
    """Create a transaction nobody has paid yet."""
    email = read_email(call.body)
    columns = _read_columns(call)
    state, now = call.sandbox.state, columns["created_at"]
    try:
        with state.transaction():
            columns["customer_id"] = state.customer_id(call.integration.id, email, now)
            row = state.add_transaction(**columns)
    except DuplicateReference as error:
        raise PaystackError("duplicate_reference") from error
    data = {
        "authorization_url": call.sandbox.checkout_url(row, call.base_url),
        "access_code": row.access_code,
        "reference": row.reference,
    }
    return Answer("Authorization URL created", data)


def _read_columns(call: Call) -> dict[str, Any]:
    """The new row, but for its customer. Checked in the order amount, currency, plan, reference, the rest."""
    body, sandbox = call.body, call.sandbox
    amount = read_amount(body.get("amount"))
    currency = read_currency(call)
    if sandbox.settings.enforce_minimum_amount and amount < CURRENCIES[currency].minimum_minor:
        raise PaystackError("amount_invalid")
    if body.get("plan"):
        raise PaystackError("plan_not_found")
    reference = read_reference(call) or random_code(_GENERATED_REFERENCE_LENGTH)
    stringify = sandbox.settings.metadata_numbers_become_strings
    return {
        "integration_id": call.integration.id,
        "reference": reference,
        "reference_key": sandbox.reference_key(reference),
        "access_code": random_code(_ACCESS_CODE_LENGTH),
        "status": "abandoned",
        "currency": currency,
        "amount": amount,
        "requested_amount": amount,
        "channels": json.dumps(_read_channels(body)),
        "callback_url": _read_text(body, "callback_url"),
        "label": _read_text(body, "label"),
        "metadata": json.dumps(read_metadata(body.get("metadata"), stringify=stringify)),
        "gateway_response": NOT_COMPLETED,
        "created_at": sandbox.clock.now_ms(),
    }


def read_email(body: Mapping[str, Any]) -> str:
    """The email in lower case, which is how customers are told apart."""
    email = body.get("email")
    if email is None:
        raise PaystackError("email_missing")
    if email == "":
        raise PaystackError("email_empty")
    if not isinstance(email, str) or len(email) > 254:
        raise PaystackError("email_invalid")
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or email.endswith(".local"):
        raise PaystackError("email_invalid")
    return email


def read_amount(value: Any) -> int:
    """`100`, `"100"` and `100.0` are 100; fractions are refused (facts 1.4, 3.1)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise PaystackError("amount_invalid")
    try:
        amount = Decimal(str(value).strip()) if len(str(value)) < 64 else None
    except (InvalidOperation, ValueError) as error:
        # ValueError: Python refuses to print integers of thousands of digits.
        raise PaystackError("amount_invalid") from error
    if amount is None or not amount.is_finite() or amount <= 0:
        raise PaystackError("amount_invalid")
    if amount > MAX_AMOUNT_MINOR:
        raise PaystackError("amount_limit")
    if amount != amount.to_integral_value():
        raise PaystackError("amount_fraction")
    return int(amount)


def read_currency(call: Call) -> str:
    currency = call.body.get("currency")
    if currency is None or currency == "":
        return call.integration.currencies[0]
    if not isinstance(currency, str) or currency.upper() not in call.integration.currencies:
        raise PaystackError("currency_not_supported")
    return currency.upper()


def read_reference(call: Call) -> str | None:
    value = call.body.get("reference")
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        value = str(value)
    check_reference(value, call.sandbox.settings.reference_max_length)
    assert isinstance(value, str)
    return value


def check_reference(value: Any, max_length: int) -> None:
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        raise PaystackError("reference_character")
    if len(value) > max_length:
        raise PaystackError("reference_length")


def read_metadata(value: Any, *, stringify: bool) -> Any:
    """As it comes back: an object's numbers as strings, a JSON string as what it holds (facts 3.3)."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return _metadata_in(value)
    return stringify_numbers(value) if stringify else value


def _metadata_in(text: str) -> Any:
    try:
        parsed = parse_json(text.encode())
    except PaystackError:
        # Not JSON at all: kept as the text it is.
        return text
    return parsed if isinstance(parsed, dict | list) else text


def stringify_numbers(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: stringify_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [stringify_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def _read_channels(body: Mapping[str, Any]) -> list[str] | None:
    value = body.get("channels")
    if value is None or value == "":
        return None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PaystackError("bad_value", '"channels" must be an array')
    return names or None


def _read_text(body: Mapping[str, Any], field: str) -> str | None:
    value = body.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise PaystackError("bad_value", f'"{field}" must be a string')
    return value.strip()
