"""Plans, subscriptions and invoices as rows and events; what charges them is in `renewing` (facts 8.2).

A subscription is active, attention (the last charge failed), non-renewing (ends with the paid period),
completed (all invoices paid) or cancelled.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from paystack_sandbox.clock import iso
from paystack_sandbox.present import plan_object
from paystack_sandbox.records import Authorization, Customer, Invoice, Plan, Subscription
from paystack_sandbox.state import Transaction, random_code

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

# Kinds of timers.
CHARGE_DUE = "subscription_charge"
INVOICE_DUE = "subscription_invoice"
EXPIRING_CARDS = "expiring_cards"

INTERVALS = ("hourly", "daily", "weekly", "monthly", "quarterly", "biannually", "annually")
RUNNING = ("active", "attention")
_MONTHS = {"monthly": 1, "quarterly": 3, "biannually": 6, "annually": 12}
_HOURS = {"hourly": 1, "daily": 24, "weekly": 168}
# Those of later days are charged on the 28th (documented).
_LAST_ANCHOR_DAY = 28


def subscribe(
    sandbox: "Sandbox",
    plan: Plan,
    customer_id: int,
    authorization_id: int,
    *,
    next_payment_at: int,
    invoice_limit: int | None = None,
    payments_count: int = 0,
) -> Subscription:
    """Begin, and announce it. `next_payment_at` is when the clock charges next."""
    state, now = sandbox.state, sandbox.clock.now_ms()
    anchor = _moment(next_payment_at)
    subscription_id = state.insert(
        Subscription.table,
        integration_id=plan.integration_id,
        customer_id=customer_id,
        plan_id=plan.id,
        authorization_id=authorization_id,
        code=f"SUB_{random_code(15)}",
        email_token=random_code(15),
        status="active",
        amount=plan.amount,
        interval=plan.interval,
        invoice_limit=plan.invoice_limit if invoice_limit is None else invoice_limit,
        payments_count=payments_count,
        cron_expression=cron(anchor, plan.interval),
        anchor_day=min(anchor.day, _LAST_ANCHOR_DAY),
        created_at=now,
        updated_at=now,
    )
    schedule(sandbox, state.get(Subscription, subscription_id), next_payment_at)
    state.start_timer(EXPIRING_CARDS, plan.integration_id, start_of_next_month(now))
    subscription = state.get(Subscription, subscription_id)
    integration = sandbox.state.integration(plan.integration_id)
    sandbox.webhooks.enqueue(integration, "subscription.create", None, event_view(sandbox, subscription))
    sandbox.wake()
    return subscription


def payment_made(sandbox: "Sandbox", paid: Transaction) -> None:
    """A transaction with a plan was paid: by a card that can be charged again, it begins a subscription.

    A transaction made to change a subscription's card does that.
    """
    state = sandbox.state
    saved = state.find(Authorization, "code = ?", json.loads(paid.authorization)["authorization_code"])
    if saved is None or not saved.reusable:
        return
    if paid.origin == "card_update" and paid.subscription_id is not None:
        state.update(Subscription.table, paid.subscription_id, authorization_id=saved.id)
    elif paid.plan_id is not None and paid.origin != "subscription":
        plan = state.get(Plan, paid.plan_id)
        running = running_subscription(sandbox, plan.id, paid.customer_id)
        if running is None:
            following = after(_moment(paid.paid_at or 0), plan.interval)
            subscribe(
                sandbox,
                plan,
                paid.customer_id,
                saved.id,
                next_payment_at=_ms(following),
                invoice_limit=paid.invoice_limit,
                payments_count=1,
            )


def running_subscription(sandbox: "Sandbox", plan_id: int, customer_id: int) -> Subscription | None:
    where = "plan_id = ? AND customer_id = ? AND status IN ('active', 'attention')"
    return sandbox.state.find(Subscription, where, plan_id, customer_id)


def schedule(sandbox: "Sandbox", subscription: Subscription, next_payment_at: int) -> None:
    """Charge then, and make the invoice some days before, where the interval is long enough."""
    state = sandbox.state
    state.update(Subscription.table, subscription.id, next_payment_at=next_payment_at)
    state.set_timer(CHARGE_DUE, subscription.id, next_payment_at)
    ahead = sandbox.settings.invoice_days_ahead * 24
    if _HOURS.get(subscription.interval, ahead + 1) > ahead:
        invoice_at = next_payment_at - ahead * 3600 * 1000
        state.set_timer(INVOICE_DUE, subscription.id, max(invoice_at, sandbox.clock.now_ms()))


def disable(sandbox: "Sandbox", subscription: Subscription) -> Subscription:
    """No further charges; it ends when the next one would have been due."""
    state, now = sandbox.state, sandbox.clock.now_ms()
    state.update(Subscription.table, subscription.id, status="non-renewing", cancelled_at=now, updated_at=now)
    state.clear_timer(INVOICE_DUE, subscription.id)
    fresh = state.get(Subscription, subscription.id)
    integration = state.integration(subscription.integration_id)
    data = {**event_view(sandbox, fresh), "next_payment_date": None}
    sandbox.webhooks.enqueue(integration, "subscription.not_renew", None, data)
    return fresh


def end(sandbox: "Sandbox", subscription: Subscription, status: str) -> None:
    """Over: `completed` with its last invoice, `cancelled` where it was not to be renewed."""
    state, now = sandbox.state, sandbox.clock.now_ms()
    for kind in (CHARGE_DUE, INVOICE_DUE):
        state.clear_timer(kind, subscription.id)
    state.update(Subscription.table, subscription.id, status=status, next_payment_at=None, updated_at=now)
    fresh = state.get(Subscription, subscription.id)
    data = event_view(sandbox, fresh)
    if status == "completed":
        # The event's sample says `complete`, the API `completed`.
        data["status"] = "complete"
    sandbox.webhooks.enqueue(state.integration(subscription.integration_id), "subscription.disable", None, data)


# Dates


def after(moment: datetime, interval: str, anchor_day: int | None = None) -> datetime:
    """One interval later; months keep to their day, the 28th at the latest."""
    if interval in _HOURS:
        return moment + timedelta(hours=_HOURS[interval])
    month = moment.month - 1 + _MONTHS[interval]
    day = anchor_day or min(moment.day, _LAST_ANCHOR_DAY)
    return moment.replace(year=moment.year + month // 12, month=month % 12 + 1, day=day)


def next_payment_ms(subscription: Subscription) -> int:
    assert subscription.next_payment_at is not None
    return _ms(after(_moment(subscription.next_payment_at), subscription.interval, subscription.anchor_day))


def cron(moment: datetime, interval: str) -> str:
    minute, hour, day = moment.minute, moment.hour, min(moment.day, _LAST_ANCHOR_DAY)
    return {
        "hourly": f"{minute} * * * *",
        "daily": f"{minute} {hour} * * *",
        "weekly": f"{minute} {hour} * * {moment.isoweekday() % 7}",
        "monthly": f"{minute} {hour} {day} * *",
        "quarterly": f"{minute} {hour} {day} */3 *",
        "biannually": f"{minute} {hour} {day} */6 *",
        "annually": f"{minute} {hour} {day} {moment.month} *",
    }[interval]


def start_of_next_month(now_ms: int) -> int:
    first = _moment(now_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return _ms(after(first, "monthly", 1))


def _moment(moment_ms: int) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1000, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# Views


def subscription_fields(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "status": subscription.status,
        "subscription_code": subscription.code,
        "email_token": subscription.email_token,
        "amount": subscription.amount,
        "cron_expression": subscription.cron_expression,
        "next_payment_date": iso(subscription.next_payment_at),
    }


def open_invoice(sandbox: "Sandbox", subscription: Subscription) -> Invoice | None:
    where = "subscription_id = ? AND status = 'pending' ORDER BY id DESC"
    return sandbox.state.find(Invoice, where, subscription.id)


def event_view(sandbox: "Sandbox", subscription: Subscription) -> dict[str, Any]:
    """`data` of subscription.create, .disable and .not_renew: the newest sample's fields."""
    state = sandbox.state
    invoice = open_invoice(sandbox, subscription)
    return {
        **subscription_fields(subscription),
        "domain": state.integration(subscription.integration_id).domain,
        "open_invoice": invoice.code if invoice else None,
        "integration": subscription.integration_id,
        "plan": plan_object(state.get(Plan, subscription.plan_id)),
        "authorization": authorization_view(sandbox, subscription),
        "customer": customer_view(sandbox, subscription),
        "invoices": [],
        "invoices_history": [],
        "invoice_limit": subscription.invoice_limit,
        "split_code": None,
        "most_recent_invoice": None,
        "createdAt": iso(subscription.created_at),
        "created_at": iso(subscription.created_at),
    }


def short_view(sandbox: "Sandbox", row: Subscription) -> dict[str, Any]:
    """With numbers for customer and plan: `data` of create, and a plan's list."""
    invoice = open_invoice(sandbox, row)
    return {
        "customer": row.customer_id,
        "plan": row.plan_id,
        "integration": row.integration_id,
        "domain": sandbox.state.integration(row.integration_id).domain,
        "start": row.created_at // 1000,
        "status": row.status,
        "quantity": 1,
        "amount": row.amount,
        "authorization": authorization_view(sandbox, row),
        "invoice_limit": row.invoice_limit,
        "split_code": None,
        "subscription_code": row.code,
        "email_token": row.email_token,
        "id": row.id,
        "cancelledAt": iso(row.cancelled_at),
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
        "cron_expression": row.cron_expression,
        "next_payment_date": iso(row.next_payment_at),
        "easy_cron_id": None,
        "open_invoice": invoice.code if invoice else None,
    }


def invoice_view(sandbox: "Sandbox", invoice: Invoice) -> dict[str, Any]:
    """`data` of the invoice events."""
    state = sandbox.state
    subscription = state.get(Subscription, invoice.subscription_id)
    row = state.transaction_by_id(invoice.transaction_id) if invoice.transaction_id else None
    still_open = open_invoice(sandbox, subscription)
    transaction = {}
    if row is not None and row.is_paid:
        fields = ("reference", "status", "amount", "currency")
        transaction = {field: getattr(row, field) for field in fields}
    return {
        "id": invoice.id,
        "domain": state.integration(invoice.integration_id).domain,
        "invoice_code": invoice.code,
        "amount": invoice.amount,
        "period_start": iso(invoice.period_start),
        "period_end": iso(invoice.period_end),
        "status": invoice.status,
        "paid": invoice.paid_at is not None,
        "paid_at": iso(invoice.paid_at),
        "description": row.gateway_response if row is not None and not row.is_paid else None,
        "authorization": authorization_view(sandbox, subscription),
        "subscription": {
            **subscription_fields(subscription),
            "open_invoice": still_open.code if still_open else None,
        },
        "customer": customer_view(sandbox, subscription),
        "transaction": transaction,
        "created_at": iso(invoice.created_at),
    }


def authorization_view(sandbox: "Sandbox", subscription: Subscription) -> dict[str, Any]:
    view: dict[str, Any] = json.loads(sandbox.state.get(Authorization, subscription.authorization_id).data)
    return view


def customer_view(sandbox: "Sandbox", subscription: Subscription) -> dict[str, Any]:
    customer = sandbox.state.get(Customer, subscription.customer_id)
    return {
        "id": customer.id,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "email": customer.email,
        "customer_code": customer.code,
        "phone": customer.phone,
        "metadata": json.loads(customer.metadata) if customer.metadata else None,
        "risk_action": customer.risk_action,
        "international_format_phone": None,
    }
