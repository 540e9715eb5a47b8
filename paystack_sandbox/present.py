"""A transaction as Paystack shows it: verify, fetch, list, charge, webhook (facts 3.5, 3.7, 3.9, 4.4, 8.3, 8.4)."""

import json
from typing import Any

from paystack_sandbox.clock import iso
from paystack_sandbox.records import Plan
from paystack_sandbox.settings import Settings
from paystack_sandbox.state import Integration, Transaction

_API_SOURCE = {
    "source": "merchant_api",
    "type": "api",
    "identifier": None,
    "entry_point": "transaction_initialize",
}
_CHECKOUT_SOURCE = {
    "type": "web",
    "source": "checkout",
    "identifier": None,
    "entry_point": "transaction_initialize",
}


def verify_view(
    row: Transaction, integration: Integration, settings: Settings, plan: Plan | None = None
) -> dict[str, Any]:
    """`data` of verify: the sample of facts 3.5, field for field."""
    created = iso(row.created_at)
    return {
        **_head(row, integration),
        "receipt_number": None,
        "channel": row.channel or settings.unpaid_channel,
        "metadata": json.loads(row.metadata),
        **_money(row),
        "authorization": json.loads(row.authorization),
        "customer": customer_view(row),
        "plan": plan.code if plan else None,
        "split": {},
        "order_id": None,
        "paidAt": iso(row.paid_at),
        "createdAt": created,
        "requested_amount": row.requested_amount,
        "pos_transaction_data": None,
        "source": None,
        "fees_breakdown": None,
        "connect": None,
        "transaction_date": created,
        "plan_object": plan_object(plan),
        "subaccount": {},
    }


def fetch_view(
    row: Transaction, integration: Integration, settings: Settings, plan: Plan | None = None
) -> dict[str, Any]:
    """As verify, with the plan as an object (facts 3.8)."""
    data = verify_view(row, integration, settings)
    data["authorization"] = _with_receiver(data["authorization"])
    return {**data, "plan": plan_object(plan), "plan_object": plan_object(plan), "helpdesk_link": None}


def charge_view(
    row: Transaction, integration: Integration, settings: Settings, plan: Plan | None = None
) -> dict[str, Any]:
    """`data` of a charge that is paid. A phone's authorization has numbers and no signature here (facts 3.5)."""
    data = verify_view(row, integration, settings, plan)
    data["authorization"] = _with_receiver(data["authorization"])
    if row.channel == "mobile_money":
        wallet = {field: value for field, value in data["authorization"].items() if field != "signature"}
        data["authorization"] = {**wallet, "exp_month": 12, "exp_year": 9999}
    return {**data, "redirect_url": None}


def _with_receiver(authorization: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document has two more fields in some answers."""
    receiver = {"receiver_bank_account_number": None, "receiver_bank": None}
    return {**receiver, **authorization} if authorization else authorization


def saved_charge_view(row: Transaction, integration: Integration) -> dict[str, Any]:
    """`data` of charge_authorization, shorter than verify's (facts 3.9)."""
    return {
        "amount": row.amount,
        "currency": row.currency,
        "transaction_date": iso(row.created_at),
        "status": row.status,
        "reference": row.reference,
        "domain": integration.domain,
        "metadata": json.loads(row.metadata),
        "gateway_response": row.gateway_response,
        "message": row.message,
        "channel": row.channel,
        "ip_address": row.ip_address,
        "log": None,
        "fees": row.fees,
        "authorization": json.loads(row.authorization),
        "customer": customer_view(row),
        "plan": None,
        "id": row.id,
    }


def plan_object(plan: Plan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    return {
        "id": plan.id,
        "name": plan.name,
        "plan_code": plan.code,
        "description": plan.description,
        "amount": plan.amount,
        "interval": plan.interval,
        "send_invoices": bool(plan.send_invoices),
        "send_sms": bool(plan.send_sms),
        "currency": plan.currency,
    }


def list_view(row: Transaction, integration: Integration, settings: Settings) -> dict[str, Any]:
    """A row of the list: without verify's later additions, and with `null` for no metadata (facts 3.3, 3.7)."""
    metadata = json.loads(row.metadata)
    return {
        **_head(row, integration),
        "channel": row.channel or settings.unpaid_channel,
        "metadata": None if metadata == "" else metadata,
        **_money(row),
        "customer": customer_view(row),
        "authorization": json.loads(row.authorization),
        "plan": {},
        "split": {},
        "subaccount": {},
        "order_id": None,
        "paidAt": iso(row.paid_at),
        "createdAt": iso(row.created_at),
        "requested_amount": row.requested_amount,
        "source": _API_SOURCE if row.origin == "initialize" else {**_API_SOURCE, "entry_point": row.origin},
        "connect": None,
        "pos_transaction_data": None,
    }


def webhook_view(
    row: Transaction, integration: Integration, settings: Settings, plan: Plan | None = None
) -> dict[str, Any]:
    """`data` of charge.success: today's fields, `source` saying the hosted page or the API."""
    as_string = settings.webhook_metadata_is_json_string and row.metadata != '""'
    return {
        **_head(row, integration),
        "channel": row.channel,
        "metadata": row.metadata if as_string else json.loads(row.metadata),
        "fees_breakdown": None,
        **_money(row),
        "authorization": json.loads(row.authorization),
        "customer": customer_view(row),
        "plan": plan_object(plan),
        "subaccount": {},
        "split": {},
        "order_id": None,
        "paidAt": iso(row.paid_at),
        "requested_amount": row.requested_amount,
        "pos_transaction_data": None,
        "source": _CHECKOUT_SOURCE if row.origin == "initialize" else {**_API_SOURCE, "entry_point": row.origin},
    }


def rejected_transfer_view(row: Transaction, integration: Integration, sent_minor: int) -> dict[str, Any]:
    """`data` of bank.transfer.rejected (facts 8.5): the sum and the transaction's id are strings there."""
    return {
        "bank_transfer": {
            "amount": str(sent_minor),
            "message": "incorrect amount sent",
            "message_type": "INCORRECT_AMOUNT",
            "transaction_id": str(row.id),
        },
        "customer": {
            "email": row.email,
            "customer_code": row.customer_code,
            "id": row.customer_id,
            "domain": integration.domain,
        },
    }


def sandbox_view(
    row: Transaction, integration: Integration, settings: Settings, authorization_url: str
) -> dict[str, Any]:
    """Verify's fields and what only the sandbox knows: the checkout, and what the payer is doing."""
    pending = json.loads(row.pending) if row.pending else None
    return {
        **verify_view(row, integration, settings),
        "access_code": row.access_code,
        "authorization_url": authorization_url,
        "callback_url": row.callback_url,
        "channels": json.loads(row.channels) if row.channels else None,
        "waiting_for": pending["step"] if pending else None,
    }


def _head(row: Transaction, integration: Integration) -> dict[str, Any]:
    return {
        "id": row.id,
        "domain": integration.domain,
        "status": row.status,
        "reference": row.reference,
        "amount": row.amount,
        "message": row.message,
        "gateway_response": row.gateway_response,
        "paid_at": iso(row.paid_at),
        "created_at": iso(row.created_at),
        "currency": row.currency,
        "ip_address": row.ip_address,
    }


def _money(row: Transaction) -> dict[str, Any]:
    # The log of an unpaid transaction, and of mobile money, is null here; the timeline shows it (3.5).
    shows_log = row.is_paid and row.channel == "card" and row.log
    return {
        "log": json.loads(row.log) if shows_log and row.log else None,
        "fees": row.fees,
        "fees_split": None,
    }


def customer_view(row: Transaction) -> dict[str, Any]:
    return {
        "id": row.customer_id,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "email": row.email,
        "customer_code": row.customer_code,
        "phone": row.phone,
        "metadata": json.loads(row.customer_metadata) if row.customer_metadata else None,
        "risk_action": row.risk_action,
        "international_format_phone": None,
    }
