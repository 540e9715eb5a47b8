"""Plans (OpenAPI document, facts 3.1)."""

from typing import Any

from paystack_sandbox import subscribing
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import (
    read_amount,
    read_currency,
    read_switch,
    read_text,
    read_whole,
    require_text,
)
from paystack_sandbox.api.lists import Filters, list_answer
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.records import Plan, Subscription
from paystack_sandbox.state import random_code

_SHOWN = 50


def create(call: Call) -> Answer:
    """A plan to subscribe to, from hourly to annually."""
    now = call.sandbox.clock.now_ms()
    plan_id = call.sandbox.state.insert(
        Plan.table,
        integration_id=call.integration.id,
        code=f"PLN_{random_code(15)}",
        name=require_text(call.body, "name"),
        description=read_text(call.body, "description"),
        amount=read_amount(call.body.get("amount")),
        currency=read_currency(call),
        interval=_interval(require_text(call.body, "interval")),
        invoice_limit=read_whole(call.body, "invoice_limit") or 0,
        send_invoices=int(read_switch(call.body, "send_invoices", default=True)),
        send_sms=int(read_switch(call.body, "send_sms", default=True)),
        created_at=now,
        updated_at=now,
    )
    return Answer(
        "Plan created", _fields(call.sandbox.state.get(Plan, plan_id), call.integration.domain), http_status=201
    )


def list_plans(call: Call) -> Answer:
    """Newest first; `interval`, `amount`, `from` and `to`."""
    filters = Filters(call)
    filters.equal("interval", "interval")
    filters.number("amount", "amount")
    filters.period()
    return list_answer(call, Plan, filters, "Plans retrieved", lambda plan: _list_view(call, plan))


def fetch(call: Call) -> Answer:
    """By code or id, with the plan's subscriptions and revenue."""
    plan = find_plan(call, call.path["code"])
    rows = _subscriptions(call, plan)
    active = sum(row.status in subscribing.RUNNING for row in rows)
    data = {
        **_list_view(call, plan),
        "pages_count": 0,
        "subscribers_count": len({row.customer_id for row in rows}),
        "subscriptions_count": len(rows),
        "active_subscriptions_count": active,
        "total_revenue": sum(row.payments_count * row.amount for row in rows),
        "subscribers": [],
    }
    return Answer("Plan retrieved", data)


def update(call: Call) -> Answer:
    """Change what is sent; running subscriptions follow unless `update_existing_subscriptions` is false."""
    plan, body = find_plan(call, call.path["code"]), call.body
    changes: dict[str, Any] = {}
    if read_text(body, "name") is not None:
        changes["name"] = read_text(body, "name")
    if body.get("amount"):
        changes["amount"] = read_amount(body["amount"])
    if read_text(body, "interval") is not None:
        changes["interval"] = _interval(require_text(body, "interval"))
    if body.get("currency"):
        changes["currency"] = read_currency(call)
    if "description" in body:
        changes["description"] = read_text(body, "description")
    if body.get("invoice_limit") is not None:
        changes["invoice_limit"] = read_whole(body, "invoice_limit") or 0
    for switch in ("send_invoices", "send_sms"):
        if body.get(switch) is not None:
            changes[switch] = int(read_switch(body, switch, default=True))
    state, now = call.sandbox.state, call.sandbox.clock.now_ms()
    affected = 0
    with state.transaction():
        state.update(Plan.table, plan.id, **changes, updated_at=now)
        if read_switch(body, "update_existing_subscriptions", default=True):
            affected = _update_subscriptions(call, plan, changes)
    return Answer(f"Plan updated. {affected} subscription(s) affected")


def find_plan(call: Call, id_or_code: str) -> Plan:
    state, number = call.sandbox.state, read_id(id_or_code)
    found = state.find(Plan, "code = ? AND integration_id = ?", id_or_code, call.integration.id)
    if found is None and number is not None:
        found = state.find(Plan, "id = ? AND integration_id = ?", number, call.integration.id)
    if found is None:
        raise PaystackError("plan_not_found")
    return found


def _update_subscriptions(call: Call, plan: Plan, changes: dict[str, Any]) -> int:
    followed = {field: changes[field] for field in ("amount", "interval", "invoice_limit") if field in changes}
    running = [row for row in _subscriptions(call, plan) if row.status in subscribing.RUNNING]
    for row in running:
        if followed:
            call.sandbox.state.update(Subscription.table, row.id, **followed)
    return len(running)


def _interval(text: str) -> str:
    if text not in subscribing.INTERVALS:
        raise PaystackError("interval_invalid")
    return text


def _subscriptions(call: Call, plan: Plan) -> list[Subscription]:
    return call.sandbox.state.select(Subscription, "plan_id = ?", [plan.id])


def _fields(plan: Plan, domain: str) -> dict[str, Any]:
    """`data` of create."""
    return {
        "currency": plan.currency,
        "name": plan.name,
        "amount": plan.amount,
        "interval": plan.interval,
        "integration": plan.integration_id,
        "domain": domain,
        "plan_code": plan.code,
        "invoice_limit": plan.invoice_limit,
        "send_invoices": bool(plan.send_invoices),
        "send_sms": bool(plan.send_sms),
        "hosted_page": False,
        "migrate": False,
        "is_archived": False,
        "id": plan.id,
        "createdAt": iso(plan.created_at),
        "updatedAt": iso(plan.updated_at),
    }


def _list_view(call: Call, plan: Plan) -> dict[str, Any]:
    rows = _subscriptions(call, plan)
    return {
        "subscriptions": [subscribing.short_view(call.sandbox, row) for row in rows[:_SHOWN]],
        "pages": [],
        **_fields(plan, call.integration.domain),
        "description": plan.description,
        "hosted_page_url": None,
        "hosted_page_summary": None,
        "is_deleted": False,
        "total_subscriptions": len(rows),
        "active_subscriptions": sum(row.status in subscribing.RUNNING for row in rows),
        "total_subscriptions_revenue": sum(row.payments_count * row.amount for row in rows),
    }
