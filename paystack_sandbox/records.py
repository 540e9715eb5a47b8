"""What the sandbox remembers besides transactions: one frozen dataclass a table of schema.sql."""

from dataclasses import dataclass
from typing import ClassVar

from paystack_sandbox.state import Record


@dataclass(frozen=True, slots=True)
class Customer(Record):
    table: ClassVar[str] = "customers"
    id: int
    integration_id: int
    code: str
    email: str
    first_name: str | None
    last_name: str | None
    phone: str | None
    metadata: str | None
    risk_action: str
    created_at: int
    updated_at: int | None
    identification: str | None


@dataclass(frozen=True, slots=True)
class Authorization(Record):
    """A used instrument: `data` is the object Paystack shows, `instrument` what is behind it."""

    table: ClassVar[str] = "authorizations"
    id: int
    integration_id: int
    customer_id: int
    code: str
    data: str
    instrument: str
    reusable: int
    active: int
    declines: str | None
    balance: int | None
    asks_approval: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Refund(Record):
    """`ends` is where its life goes: processed, failed or needs-attention."""

    table: ClassVar[str] = "refunds"
    id: int
    integration_id: int
    transaction_id: int
    dispute_id: int | None
    settlement_id: int | None
    amount: int
    currency: str
    status: str
    ends: str
    customer_note: str
    merchant_note: str
    refund_reference: str | None
    account_details: str | None
    expected_at: int
    refunded_at: int | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Dispute(Record):
    table: ClassVar[str] = "disputes"
    id: int
    integration_id: int
    transaction_id: int
    refund_amount: int
    status: str
    resolution: str | None
    category: str
    attachments: str | None
    evidence: str | None
    history: str
    messages: str
    due_at: int
    resolved_at: int | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Plan(Record):
    table: ClassVar[str] = "plans"
    id: int
    integration_id: int
    code: str
    name: str
    description: str | None
    amount: int
    currency: str
    interval: str
    invoice_limit: int
    send_invoices: int
    send_sms: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Subscription(Record):
    table: ClassVar[str] = "subscriptions"
    id: int
    integration_id: int
    customer_id: int
    plan_id: int
    authorization_id: int
    code: str
    email_token: str
    status: str
    amount: int
    interval: str
    invoice_limit: int
    payments_count: int
    cron_expression: str
    anchor_day: int
    next_payment_at: int | None
    cancelled_at: int | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Invoice(Record):
    table: ClassVar[str] = "invoices"
    id: int
    integration_id: int
    subscription_id: int
    transaction_id: int | None
    code: str
    amount: int
    status: str
    period_start: int
    period_end: int
    paid_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Settlement(Record):
    table: ClassVar[str] = "settlements"
    id: int
    integration_id: int
    status: str
    currency: str
    total_processed: int
    total_fees: int
    effective_amount: int
    settlement_date: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class LedgerEntry(Record):
    table: ClassVar[str] = "ledger_entries"
    id: int
    integration_id: int
    currency: str
    difference: int
    balance: int
    reason: str
    model_responsible: str
    model_row: int
    created_at: int
