"""Customers (facts 7.3)."""

import json
import re
from typing import Any

from paystack_sandbox import identifying, subscribing
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import read_email, read_metadata, read_text, require_text
from paystack_sandbox.api.lists import Filters, list_answer
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.present import list_view
from paystack_sandbox.records import Authorization, Customer, Subscription
from paystack_sandbox.state import Integration

RISK_ACTIONS = ("default", "allow", "deny")
_SHOWN = 50
_BVN = re.compile(r"2[0-9]{10,11}")
_NAMES = ("first_name", "last_name", "phone")


def create(call: Call) -> Answer:
    """A new customer, or the one with this email with the names as they are given now."""
    email, fields = read_email(call.body), _fields(call)
    state, now = call.sandbox.state, call.sandbox.clock.now_ms()
    with state.transaction():
        customer_id = state.customer_id(call.integration.id, email, now)
        if fields:
            state.update(Customer.table, customer_id, **fields, updated_at=now)
    return Answer("Customer created", _with_lists(state.get(Customer, customer_id), call.integration))


def list_customers(call: Call) -> Answer:
    """Newest first, by page or by cursor; `from` and `to`."""
    filters = Filters(call)
    filters.period()
    return list_answer(
        call,
        Customer,
        filters,
        "Customers retrieved",
        lambda customer: customer_object(customer, call.integration),
        cursor_prefix="customer",
    )


def fetch(call: Call) -> Answer:
    """By email or code, with everything that belongs to the customer, newest first, fifty at most."""
    customer = find_customer(call, call.path["email_or_code"])
    state, settings = call.sandbox.state, call.sandbox.settings
    totals = state.execute(
        "SELECT currency, transactions, volume FROM customer_totals WHERE customer_id = ?", customer.id
    )
    transactions = state.transactions("t.customer_id = ?", [customer.id], "t.id DESC", _SHOWN)
    subscriptions = state.select(Subscription, "customer_id = ?", [customer.id], limit=_SHOWN)
    active = "customer_id = ? AND reusable AND active"
    authorizations = state.select(Authorization, active, [customer.id], limit=_SHOWN)
    data = {
        **_with_lists(customer, call.integration),
        "transactions": [list_view(row, call.integration, settings) for row in transactions],
        "subscriptions": [subscribing.short_view(call.sandbox, row) for row in subscriptions],
        "authorizations": [json.loads(row.data) for row in authorizations],
        "created_at": iso(customer.created_at),
        "updated_at": iso(customer.updated_at or customer.created_at),
        "total_transactions": sum(row[1] for row in totals),
        "total_transaction_value": [{"currency": row[0], "amount": row[2]} for row in totals],
        "dedicated_account": None,
        "dedicated_accounts": [],
    }
    return Answer("Customer retrieved", data)


def update(call: Call) -> Answer:
    """Change the names, phone or metadata that are sent."""
    customer, fields = find_customer(call, call.path["code"]), _fields(call)
    call.sandbox.state.update(Customer.table, customer.id, **fields, updated_at=call.sandbox.clock.now_ms())
    return Answer("Customer updated", _with_lists(call.sandbox.state.get(Customer, customer.id), call.integration))


def set_risk_action(call: Call) -> Answer:
    """`deny` makes every later charge of the customer fail."""
    if not call.sandbox.settings.may_set_risk_action:
        raise PaystackError("risk_action_forbidden")
    customer = find_customer(call, require_text(call.body, "customer"))
    action = read_text(call.body, "risk_action") or "default"
    if action not in RISK_ACTIONS:
        raise PaystackError("bad_value", f'"risk_action" must be one of {", ".join(RISK_ACTIONS)}')
    now = call.sandbox.clock.now_ms()
    call.sandbox.state.update(Customer.table, customer.id, risk_action=action, updated_at=now)
    return Answer("Customer updated", _with_lists(call.sandbox.state.get(Customer, customer.id), call.integration))


def identify(call: Call) -> Answer:
    """Begin the check; its result comes as an event."""
    customer = find_customer(call, call.path["code"])
    first_name, last_name = require_text(call.body, "first_name"), require_text(call.body, "last_name")
    kind, country = require_text(call.body, "type"), require_text(call.body, "country").upper()
    bvn = read_text(call.body, "bvn") or read_text(call.body, "value") or ""
    if kind in ("bvn", "bank_account") and country == "NG" and not _BVN.fullmatch(bvn):
        raise PaystackError("bvn_invalid")
    asked = {"country": country, "type": kind, "bvn": bvn, "first_name": first_name, "last_name": last_name}
    if kind == "bank_account":
        asked |= {field: require_text(call.body, field) for field in ("account_number", "bank_code")}
    identifying.begin(call.sandbox, customer, asked)
    return Answer("Customer Identification in progress", http_status=202)


def deactivate_authorization(call: Call) -> Answer:
    """The card is not charged again; what was paid with it still shows it."""
    code = require_text(call.body, "authorization_code")
    state = call.sandbox.state
    saved = state.find(Authorization, "code = ? AND integration_id = ? AND active", code, call.integration.id)
    if saved is None:
        raise PaystackError("authorization_not_found")
    state.update(Authorization.table, saved.id, active=0)
    return Answer("Authorization has been deactivated")


def find_customer(call: Call, email_or_code: str) -> Customer:
    """By code, email or id. Raises PaystackError."""
    state, text = call.sandbox.state, email_or_code.strip()
    column, value = ("code", text) if text.startswith("CUS_") else ("email", text.lower())
    found = state.find(Customer, f"{column} = ? AND integration_id = ?", value, call.integration.id)
    if found is None and read_id(text) is not None:
        found = state.find(Customer, "id = ? AND integration_id = ?", read_id(text), call.integration.id)
    if found is None:
        raise PaystackError("customer_not_found", domain=call.integration.domain)
    return found


def _fields(call: Call) -> dict[str, Any]:
    """The columns the body sets; what it leaves out stays."""
    fields: dict[str, Any] = {name: read_text(call.body, name) for name in _NAMES if name in call.body}
    if "metadata" in call.body:
        fields["metadata"] = _metadata(call.body["metadata"])
    return fields


def _metadata(value: Any) -> str | None:
    """An object, also as JSON text: what Paystack says to anything else nobody has written down."""
    metadata = read_metadata(value, stringify=False)
    if metadata == "":
        return None
    if not isinstance(metadata, dict):
        raise PaystackError("bad_value", '"metadata" must be an object')
    return json.dumps(metadata)


def customer_object(customer: Customer, integration: Integration) -> dict[str, Any]:
    """A row of the list."""
    return {
        "integration": integration.id,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "email": customer.email,
        "phone": customer.phone,
        "metadata": json.loads(customer.metadata) if customer.metadata else None,
        "domain": integration.domain,
        "customer_code": customer.code,
        "risk_action": customer.risk_action,
        "id": customer.id,
        "createdAt": iso(customer.created_at),
        "updatedAt": iso(customer.updated_at or customer.created_at),
    }


def _with_lists(customer: Customer, integration: Integration) -> dict[str, Any]:
    return {
        "transactions": [],
        "subscriptions": [],
        "authorizations": [],
        **customer_object(customer, integration),
        "identified": identifying.is_identified(customer),
        "identifications": identifying.shown(customer),
    }
