"""What the clock does to subscriptions: invoices, charges, and a word about cards that run out."""

import json
from typing import TYPE_CHECKING

from paystack_sandbox import charging, subscribing
from paystack_sandbox.records import Authorization, Customer, Invoice, Plan, Subscription
from paystack_sandbox.state import Transaction, random_code

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

ORIGIN = "subscription"


def invoice_due(sandbox: "Sandbox", subscription_id: int) -> None:
    """Some days before the charge: the invoice, so that the payer knows."""
    subscription = sandbox.state.get(Subscription, subscription_id)
    if subscription.status in subscribing.RUNNING and subscribing.open_invoice(sandbox, subscription) is None:
        _make_invoice(sandbox, subscription)


def charge_due(sandbox: "Sandbox", subscription_id: int) -> None:
    """The day: charge the card, and set the next one. A subscription that isn't renewed ends instead."""
    subscription = sandbox.state.get(Subscription, subscription_id)
    if subscription.status == "non-renewing":
        subscribing.end(sandbox, subscription, "cancelled")
    if subscription.status not in subscribing.RUNNING:
        return
    with sandbox.state.transaction():
        invoice = subscribing.open_invoice(sandbox, subscription) or _make_invoice(sandbox, subscription)
        row = _charge(sandbox, subscription)
        _settle(sandbox, subscription, invoice, row)


def cards_expiring(sandbox: "Sandbox", integration_id: int) -> None:
    """At the start of each month: the subscriptions whose card runs out in it."""
    state, now = sandbox.state, sandbox.clock.now()
    where = "integration_id = ? AND status IN ('active', 'attention')"
    running = state.select(Subscription, where, [integration_id], order="id")
    expiring = [row for row in running if _expires(sandbox, row) == (f"{now.month:02d}", str(now.year))]
    if expiring:
        data = [_expiring_view(sandbox, row) for row in expiring]
        integration = state.integration(integration_id)
        sandbox.webhooks.enqueue(integration, "subscription.expiring_cards", None, data, expiring[0].id)
    if running:
        following = subscribing.start_of_next_month(sandbox.clock.now_ms())
        state.start_timer(subscribing.EXPIRING_CARDS, integration_id, following)


def _make_invoice(sandbox: "Sandbox", subscription: Subscription) -> Invoice:
    state, now = sandbox.state, sandbox.clock.now_ms()
    invoice_id = state.insert(
        Invoice.table,
        integration_id=subscription.integration_id,
        subscription_id=subscription.id,
        code=f"INV_{random_code(15)}",
        amount=subscription.amount,
        status="pending",
        period_start=subscription.next_payment_at,
        period_end=subscribing.next_payment_ms(subscription),
        created_at=now,
    )
    invoice = state.get(Invoice, invoice_id)
    _announce(sandbox, invoice, "create")
    return invoice


def _charge(sandbox: "Sandbox", subscription: Subscription) -> Transaction:
    state = sandbox.state
    plan = state.get(Plan, subscription.plan_id)
    reference = random_code(15)
    row = state.add_transaction(
        integration_id=subscription.integration_id,
        customer_id=subscription.customer_id,
        reference=reference,
        reference_key=sandbox.reference_key(reference),
        access_code=random_code(15),
        status="abandoned",
        currency=plan.currency,
        amount=subscription.amount,
        requested_amount=subscription.amount,
        metadata=json.dumps({"invoice_action": "create"}),
        gateway_response=charging.NOT_COMPLETED,
        created_at=sandbox.clock.now_ms(),
        origin=ORIGIN,
        plan_id=plan.id,
        subscription_id=subscription.id,
    )
    saved = state.get(Authorization, subscription.authorization_id)
    instrument, answers = charging.saved_instrument(saved)
    return charging.attempt(sandbox, row.id, instrument, answers, in_one_go=True, saved=saved)


def _settle(sandbox: "Sandbox", subscription: Subscription, invoice: Invoice, row: Transaction) -> None:
    """What the charge means for invoice and subscription. A failure is not tried again before the next date."""
    state, now = sandbox.state, sandbox.clock.now_ms()
    paid = row.is_paid
    count = subscription.payments_count + int(paid)
    state.update(
        Invoice.table,
        invoice.id,
        transaction_id=row.id,
        status="success" if paid else "failed",
        paid_at=row.paid_at,
    )
    state.update(
        Subscription.table,
        subscription.id,
        status="active" if paid else "attention",
        payments_count=count,
        updated_at=now,
    )
    finished = paid and 0 < subscription.invoice_limit <= count
    if not finished:
        subscribing.schedule(sandbox, subscription, subscribing.next_payment_ms(subscription))
    _announce(sandbox, state.get(Invoice, invoice.id), "update" if paid else "payment_failed")
    if finished:
        subscribing.end(sandbox, state.get(Subscription, subscription.id), "completed")


def _announce(sandbox: "Sandbox", invoice: Invoice, what: str) -> None:
    integration = sandbox.state.integration(invoice.integration_id)
    data = subscribing.invoice_view(sandbox, invoice)
    if what == "payment_failed":
        # Unpaid invoices are `pending` in the sample, though nobody tries again.
        data["status"] = "pending"
    sandbox.webhooks.enqueue(integration, f"invoice.{what}", None, data)


def _expires(sandbox: "Sandbox", subscription: Subscription) -> tuple[str, str]:
    card = subscribing.authorization_view(sandbox, subscription)
    return card["exp_month"], card["exp_year"]


def _expiring_view(sandbox: "Sandbox", subscription: Subscription) -> dict[str, object]:
    card = subscribing.authorization_view(sandbox, subscription)
    plan = sandbox.state.get(Plan, subscription.plan_id)
    customer = sandbox.state.get(Customer, subscription.customer_id)
    fields = subscribing.subscription_fields(subscription)
    return {
        "expiry_date": f"{card['exp_month']}/{card['exp_year']}",
        "description": f"{card['brand']} ending with {card['last4']}",
        "brand": card["brand"],
        "subscription": {
            **{name: fields[name] for name in ("id", "subscription_code", "amount", "next_payment_date")},
            "plan": {"interval": plan.interval, "id": plan.id, "name": plan.name, "plan_code": plan.code},
        },
        "customer": {
            "id": customer.id,
            "first_name": customer.first_name,
            "last_name": customer.last_name,
            "email": customer.email,
            "customer_code": customer.code,
        },
    }
