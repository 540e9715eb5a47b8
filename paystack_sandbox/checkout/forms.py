"""What a payer typed, as the instrument `payments` knows."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from paystack_sandbox.money import MAX_AMOUNT_MINOR
from paystack_sandbox.payments import Instrument, InvalidInstrument, read_instrument

_MAX_FIELD_LENGTH = 100


def text_field(form: Mapping[str, Any], name: str) -> str:
    """The field's text, "" where it is missing; never more than a payer could mean."""
    value = form.get(name)
    return value.strip()[:_MAX_FIELD_LENGTH] if isinstance(value, str) else ""


def read_payment(form: Mapping[str, Any], channel: str, currency: str) -> tuple[Instrument, dict[str, str]]:
    """The instrument and the answers that come with it. Raises InvalidInstrument."""
    fields = {name: text_field(form, name) for name in form}
    if channel == "card":
        fields["number"] = text_field(form, "card_number")
    # A payer who knows the account number may send at once; others get it first.
    answers = {"transfer": str(read_amount(form, "amount"))} if channel == "bank_transfer" and "amount" in form else {}
    return read_instrument(channel, fields, currency), answers


def read_amount(form: Mapping[str, Any], field: str) -> int:
    """`80`, `80.00`, `1,234.50` in major units → the subunit. Raises InvalidInstrument."""
    refusal = InvalidInstrument(field, "Enter the amount to send, such as 80.00")
    try:
        minor = Decimal(text_field(form, field).replace(",", "").replace(" ", "")) * 100
    except InvalidOperation as error:
        raise refusal from error
    if not minor.is_finite() or not 0 < minor <= MAX_AMOUNT_MINOR or minor != minor.to_integral_value():
        raise refusal
    return int(minor)
