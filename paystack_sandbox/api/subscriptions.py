"""Subscriptions (OpenAPI document; errors as seen in other integrators' tests of the service)."""

import json
from datetime import UTC, datetime
from typing import Any

from paystack_sandbox import subscribing
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.customers import find_customer
from paystack_sandbox.api.fields import read_text, require_text
from paystack_sandbox.api.lists import Filters, list_answer
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.charging import NOT_COMPLETED
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.money import CURRENCIES
from paystack_sandbox.present import plan_object
from paystack_sandbox.records import Authorization, Customer, Invoice, Plan, Subscription
from paystack_sandbox.state import Transaction, random_code


def create(call: Call) -> Answer:
    """Subscribe a customer who paid by a reusable card before. One running subscription a plan."""
    customer = find_customer(call, require_text(call.body, "customer"))
    plan = _plan(call, require_text(call.body, "plan"))
    saved = _authorization(call, customer)
    first_payment_at = _start_date(call, plan)
    sandbox = call.sandbox
    with sandbox.state.transaction():
        if subscribing.running_subscription(sandbox, plan.id, customer.id) is not None:
            raise PaystackError("subscription_duplicate")
        row = subscribing.subscribe(sandbox, plan, customer.id, saved.id, next_payment_at=first_payment_at)
    # Customer, plan and authorization are numbers here (OpenAPI document, seen).
    data = {
        **subscribing.short_view(call.sandbox, row),
        "authorization": saved.id,
        "metadata": None,
        "open_invoice": None,
    }
    return Answer("Subscription successfully created", data)


def list_subscriptions(call: Call) -> Answer:
    """`customer` and `plan` are numeric ids; codes match nothing (seen)."""
    filters = Filters(call)
    filters.number("customer", "customer_id")
    filters.number("plan", "plan_id")
    filters.period()
    return list_answer(call, Subscription, filters, "Subscriptions retrieved", lambda row: _list_view(call, row))


def fetch(call: Call) -> Answer:
    """By code or id, with the invoices so far."""
    row = _find(call, call.path["code"])
    invoices = call.sandbox.state.select(Invoice, "subscription_id = ?", [row.id])
    data = {
        **_list_view(call, row),
        "cancelledAt": iso(row.cancelled_at),
        "invoices": [_invoice(call, row, invoice) for invoice in invoices],
        "invoices_history": [],
    }
    return Answer("Subscription retrieved successfully", data)


def disable(call: Call) -> Answer:
    """By code and email token: no charges from now on, and `cancelled` when the next would have been due."""
    row = _by_token(call)
    if row is None or row.status not in subscribing.RUNNING:
        raise PaystackError("subscription_inactive")
    with call.sandbox.state.transaction():
        subscribing.disable(call.sandbox, row)
    return Answer("Subscription disabled successfully")


def enable(call: Call) -> Answer:
    """Take a disabled subscription up again, if it was ever charged and its period isn't over (seen)."""
    row = _by_token(call)
    if row is None:
        raise PaystackError("subscription_inactive")
    if row.status in ("cancelled", "completed") or (row.status == "non-renewing" and not row.payments_count):
        raise PaystackError("subscription_cancelled")
    sandbox, now = call.sandbox, call.sandbox.clock.now_ms()
    if row.status == "non-renewing":
        with sandbox.state.transaction():
            sandbox.state.update(Subscription.table, row.id, status="active", cancelled_at=None, updated_at=now)
            subscribing.schedule(sandbox, row, row.next_payment_at or now)
    return Answer("Subscription enabled successfully")


def manage_link(call: Call) -> Answer:
    """A page where the payer gives another card, by paying the least there is with it."""
    row = _find(call, call.path["code"], by_id=False)
    payment = _card_update(call, row)
    return Answer("Link generated", {"link": call.sandbox.checkout_url(payment, call.base_url)})


def manage_email(call: Call) -> Answer:
    """The sandbox sends no email; the payment it would lead to is among the transactions."""
    _card_update(call, _find(call, call.path["code"], by_id=False))
    return Answer("Email successfully sent")


def _plan(call: Call, code: str) -> Plan:
    found = call.sandbox.state.find(Plan, "code = ? AND integration_id = ?", code, call.integration.id)
    if found is None:
        raise PaystackError("plan_not_found")
    return found


def _authorization(call: Call, customer: Customer) -> Authorization:
    """The one named, or the customer's newest that can be charged again."""
    code, state = read_text(call.body, "authorization"), call.sandbox.state
    usable = "customer_id = ? AND reusable AND active"
    if code is not None:
        found = state.find(Authorization, f"{usable} AND code = ?", customer.id, code)
        if found is None:
            raise PaystackError("subscription_authorization")
        return found
    newest = state.find(Authorization, f"{usable} ORDER BY id DESC", customer.id)
    if newest is None:
        raise PaystackError("customer_without_authorization")
    return newest


def _start_date(call: Call, plan: Plan) -> int:
    text, sandbox = read_text(call.body, "start_date"), call.sandbox
    if text is None:
        now = sandbox.clock.now()
        first = now if sandbox.settings.subscription_charges_at_once else subscribing.after(now, plan.interval)
        return int(first.timestamp() * 1000)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(int(moment.astimezone(UTC).timestamp() * 1000), sandbox.clock.now_ms())
    except (ValueError, OverflowError) as error:
        raise PaystackError("bad_value", '"start_date" must be a valid date') from error


def _find(call: Call, id_or_code: str, *, by_id: bool = True) -> Subscription:
    state, number = call.sandbox.state, read_id(id_or_code)
    found = state.find(Subscription, "code = ? AND integration_id = ?", id_or_code, call.integration.id)
    if found is None and by_id and number is not None:
        found = state.find(Subscription, "id = ? AND integration_id = ?", number, call.integration.id)
    if found is None:
        raise PaystackError("subscription_not_found")
    return found


def _by_token(call: Call) -> Subscription | None:
    code, token = require_text(call.body, "code"), require_text(call.body, "token")
    where = "code = ? AND email_token = ? AND integration_id = ?"
    return call.sandbox.state.find(Subscription, where, code, token, call.integration.id)


def _card_update(call: Call, row: Subscription) -> Transaction:
    plan = call.sandbox.state.get(Plan, row.plan_id)
    reference = random_code(15)
    amount = CURRENCIES[plan.currency].minimum_minor
    return call.sandbox.state.add_transaction(
        integration_id=row.integration_id,
        customer_id=row.customer_id,
        reference=reference,
        reference_key=call.sandbox.reference_key(reference),
        access_code=random_code(15),
        status="abandoned",
        currency=plan.currency,
        amount=amount,
        requested_amount=amount,
        channels=json.dumps(["card"]),
        metadata=json.dumps({"subscription_code": row.code}),
        gateway_response=NOT_COMPLETED,
        created_at=call.sandbox.clock.now_ms(),
        origin="card_update",
        subscription_id=row.id,
    )


def _list_view(call: Call, row: Subscription) -> dict[str, Any]:
    plan = call.sandbox.state.get(Plan, row.plan_id)
    newest = call.sandbox.state.find(Invoice, "subscription_id = ? ORDER BY id DESC", row.id)
    return {
        **subscribing.short_view(call.sandbox, row),
        "plan": {
            **plan_object(plan),
            "domain": call.integration.domain,
            "integration": plan.integration_id,
            "createdAt": iso(plan.created_at),
            "updatedAt": iso(plan.updated_at),
        },
        "customer": subscribing.customer_view(call.sandbox, row),
        "payments_count": row.payments_count,
        "most_recent_invoice": _invoice(call, row, newest) if newest else None,
        "metadata": None,
    }


def _invoice(call: Call, row: Subscription, invoice: Invoice) -> dict[str, Any]:
    """Whatever it belongs to is a number here."""
    ahead_ms = call.sandbox.settings.invoice_days_ahead * 24 * 3600 * 1000
    return {
        "subscription": row.id,
        "integration": invoice.integration_id,
        "domain": call.integration.domain,
        "invoice_code": invoice.code,
        "customer": row.customer_id,
        "transaction": invoice.transaction_id,
        "amount": invoice.amount,
        "period_start": iso(invoice.period_start),
        "period_end": iso(invoice.period_end),
        "status": invoice.status,
        "paid": invoice.paid_at is not None,
        "retries": int(invoice.transaction_id is not None),
        "authorization": row.authorization_id,
        "paid_at": iso(invoice.paid_at),
        "next_notification": iso(invoice.period_end - ahead_ms),
        "notification_flag": None,
        "description": None,
        "id": invoice.id,
        "createdAt": iso(invoice.created_at),
        "updatedAt": iso(invoice.paid_at or invoice.created_at),
    }
