"""Reading what operations share from a body: email, amount, currency, reference, metadata (facts 1.4, 3.2, 3.3)."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from paystack_sandbox.api.call import Call
from paystack_sandbox.bodies import parse_json
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.money import MAX_AMOUNT_MINOR

MAX_TEXT = 4096
_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s.,;<>\"]{2,}")
_REFERENCE = re.compile(r"[A-Za-z0-9_.=-]+")


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


def read_text(body: Mapping[str, Any], field: str) -> str | None:
    """None where the field is missing or empty. A number is as good as a string here."""
    value = body.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise PaystackError("bad_value", f'"{field}" must be a string')
    return value.strip() or None


def require_text(body: Mapping[str, Any], field: str) -> str:
    value = read_text(body, field)
    if value is None:
        raise PaystackError("field_missing", f'"{field}" is required')
    return value


def read_whole(body: Mapping[str, Any], field: str, *, least: int = 0) -> int | None:
    """A whole number, also as a string; None where the field is missing."""
    value = body.get(field)
    if value is None or value == "":
        return None
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < least:
        raise PaystackError("bad_value", f'"{field}" must be an integer')
    return int(text)


def read_switch(body: Mapping[str, Any], field: str, *, default: bool) -> bool:
    """JSON's true and false, and what a form makes of them."""
    value = body.get(field)
    if value is None or value == "":
        return default
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "1"):
        return True
    if str(value).lower() in ("false", "0"):
        return False
    raise PaystackError("bad_value", f'"{field}" must be a boolean')


def read_object(body: Mapping[str, Any], field: str) -> dict[str, Any] | None:
    """An object, also as JSON text; None where the field is missing."""
    value = body.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = parse_json(value.encode())
    if not isinstance(value, dict):
        raise PaystackError("bad_value", f'"{field}" must be an object')
    return value
