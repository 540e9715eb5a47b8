"""POST /transaction/initialize (facts 3.1 to 3.3), and the new row every kind of charge begins with."""

import json
from collections.abc import Mapping
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import (
    read_amount,
    read_currency,
    read_email,
    read_metadata,
    read_reference,
    read_text,
    read_whole,
)
from paystack_sandbox.charging import CHECKOUT, NOT_COMPLETED
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.money import CURRENCIES
from paystack_sandbox.records import Plan
from paystack_sandbox.state import DuplicateReference, Transaction, random_code

_GENERATED_REFERENCE_LENGTH = 15
_ACCESS_CODE_LENGTH = 15


def initialize(call: Call) -> Answer:
    """Create a transaction nobody has paid yet."""
    email = read_email(call.body)
    row = start(call, email, {**_terms(call), **_options(call)})
    data = {
        "authorization_url": call.sandbox.checkout_url(row, call.base_url),
        "access_code": row.access_code,
        "reference": row.reference,
    }
    return Answer("Authorization URL created", data)


def start(call: Call, email: str, columns: Mapping[str, Any]) -> Transaction:
    """The new row, and its customer where the email is new. Raises PaystackError for a used reference."""
    sandbox, now = call.sandbox, call.sandbox.clock.now_ms()
    reference = read_reference(call) or random_code(_GENERATED_REFERENCE_LENGTH)
    stringify = sandbox.settings.metadata_numbers_become_strings
    try:
        with sandbox.state.transaction():
            return sandbox.state.add_transaction(
                integration_id=call.integration.id,
                customer_id=sandbox.state.customer_id(call.integration.id, email, now),
                reference=reference,
                reference_key=sandbox.reference_key(reference),
                access_code=random_code(_ACCESS_CODE_LENGTH),
                status="abandoned",
                gateway_response=NOT_COMPLETED,
                metadata=json.dumps(read_metadata(call.body.get("metadata"), stringify=stringify)),
                created_at=now,
                **columns,
            )
    except DuplicateReference as error:
        raise PaystackError("duplicate_reference") from error


def _terms(call: Call) -> dict[str, Any]:
    """What is to be paid. Checked in the order amount, currency, plan. A plan's own amount and currency win."""
    amount = read_amount(call.body.get("amount"))
    currency = read_currency(call)
    if call.sandbox.settings.enforce_minimum_amount and amount < CURRENCIES[currency].minimum_minor:
        raise PaystackError("amount_invalid")
    plan = _plan(call)
    if plan is not None:
        amount, currency = plan.amount, plan.currency
    return {
        "amount": amount,
        "requested_amount": amount,
        "currency": currency,
        "plan_id": plan.id if plan is not None else None,
        "invoice_limit": read_whole(call.body, "invoice_limit"),
        "origin": CHECKOUT,
    }


def _plan(call: Call) -> Plan | None:
    code = read_text(call.body, "plan")
    if code is None:
        return None
    plan = call.sandbox.state.find(Plan, "code = ? AND integration_id = ?", code, call.integration.id)
    if plan is None:
        raise PaystackError("plan_not_found")
    return plan


def _options(call: Call) -> dict[str, Any]:
    return {
        "channels": json.dumps(_read_channels(call.body)),
        "callback_url": read_text(call.body, "callback_url"),
        "label": read_text(call.body, "label"),
    }


def _read_channels(body: Mapping[str, Any]) -> list[str] | None:
    value = body.get("channels")
    if value is None or value == "":
        return None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PaystackError("bad_value", '"channels" must be an array')
    return names or None
