"""Every choice of the sandbox that is not Paystack's own, and every behaviour nobody has confirmed.

Numbers in brackets name the section of the facts page the choice comes from; "unconfirmed" means that
the real service was never observed doing it, so no integration should depend on the value.
"""

from dataclasses import dataclass, field

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Settings:
    """How the sandbox behaves where Paystack's behaviour is unknown or a matter of configuration."""

    merchant_name: str = "Sandbox Merchant"
    callback_url: str | None = None
    """Where the payer goes when a transaction names no callback, as in the dashboard's settings."""
    pass_fees_to_payer: bool = False
    """As the dashboard's switch: `amount` becomes larger than `requested_amount` (3.5)."""

    public_bank_list: bool = True
    """`GET /bank` and `GET /country` without a key (1, unconfirmed)."""
    metadata_numbers_become_strings: bool = True
    """Numbers in metadata sent as an object (3.3)."""
    webhook_metadata_is_json_string: bool = False
    """Some integrators report it (3.3, unconfirmed)."""
    reference_max_length: int = 100
    """(3.2, unconfirmed)"""
    reference_is_case_sensitive: bool = True
    """(3.2, unconfirmed)"""
    enforce_minimum_amount: bool = False
    """(11.1: not enforced at initialize in test)"""

    unpaid_channel: str | None = "card"
    """`channel` of a transaction nobody has tried to pay (unconfirmed)."""
    status_while_asked: dict[str, str] = field(
        default_factory=lambda: {
            "pin": "abandoned",
            "otp": "ongoing",
            "phone": "ongoing",
            "birthday": "ongoing",
            "bank_page": "ongoing",
            "address": "ongoing",
            "phone_prompt": "pending",
            "transfer": "ongoing",
            "ussd": "pending",
            "qr": "pending",
            "app_prompt": "pending",
            "processing": "pending",
            "queue": "queued",
        }
    )
    """Status while the payer has to act (3.4; which channels show which is unconfirmed, 13.3)."""
    wrong_answer_ends_checkout: bool = False
    """Wrong PIN or OTP on the hosted page. 3.4 saw `failed` for it, through the charge API; 9 says that a
    failed attempt leaves the payer on the page, free to try again, with verify answering `abandoned`.
    False follows 9. True gives `failed`, and the page takes no further attempt."""
    mobile_money_prompt_seconds: int = 180
    """How long a payer may take to approve on the phone (4.4)."""
    mobile_money_responses: dict[str, str] = field(
        default_factory=lambda: {
            "decline": "APPROVAL_REJECTED",
            "timeout": "EXPIRED",
            "low_balance": "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED",
        }
    )
    """`gateway_response` of a failed mobile-money payment (3.4 for low_balance; the others unconfirmed)."""
    telecel_voucher: bool = False
    """Telecel's older flow, which asks for a voucher by `send_otp` (4.4; whether it is live is unconfirmed)."""
    bank_processing_seconds: int = 10
    """How long a bank that answers `pending` takes (4.2 asks for ten seconds between checks)."""
    queued_charge_seconds: int = 60
    """How long a charge with `queue` waits (3.4, unconfirmed)."""
    partial_debit_currencies: frozenset[str] = frozenset({"NGN"})
    """(3.10: GHS is documented, and was refused)"""
    may_set_risk_action: bool = True
    """False answers 403, as some integrations get (1.4)."""
    identification_seconds: int = 60
    """How long the check of a customer's identity takes (7.3, unconfirmed)."""
    cancel_action_gets_reference: bool = False
    """Append `trxref` and `reference` to `metadata.cancel_action` (9, unconfirmed)."""
    fee_rounding: str = "ROUND_HALF_UP"
    """A rounding of the decimal module (11.2, unconfirmed)."""

    refund_pending_seconds: int = 180
    """From `pending` to `processing` (5: minutes, in test)."""
    refund_processing_seconds: int = 180
    """From `processing` to its end (5, unconfirmed)."""
    refund_expected_days: int = 10
    """`expected_at` (5: up to ten working days)."""
    minimum_refund_minor: int = 100
    """(5: seen for GHS)"""
    least_refundable_minor: int = 50
    """Less than this left, and nothing can be refunded (5: seen for GHS)."""

    dispute_reminder_hours: int = 4
    """(6)"""
    dispute_answer_hours: dict[str, int] = field(
        default_factory=lambda: {"NGN": 16, "GHS": 48, "ZAR": 48, "KES": 48, "": 48}
    )
    """Hours of working days until a dispute is accepted for the merchant (6; others unconfirmed)."""

    invoice_days_ahead: int = 3
    """`invoice.create` comes so long before the charge, where the interval is longer (documented)."""
    subscription_charges_at_once: bool = True
    """A subscription made by the API without `start_date` is charged at once (unconfirmed)."""

    settlement_working_days: int = 1
    """(11.3: next working day in Nigeria; others unconfirmed. Paystack's test mode settles nothing.)"""
    settlement_pending_seconds: int = 8 * HOUR
    """From `pending` to `success` (unconfirmed)."""

    export_valid_seconds: int = 60
    """(3.8)"""
    upload_valid_seconds: int = 1800
    """(6, from the sample's signed address)"""

    webhook_timeout_seconds: float = 30.0
    """(8.1; documented for test mode only)"""
    webhook_delivered_statuses: frozenset[int] = frozenset({200})
    """(8.1: only 200 is documented)"""
    webhook_retry_offsets_test: tuple[int, ...] = tuple(hour * HOUR for hour in range(1, 11))
    """Seconds after the first attempt: hourly for 10 hours (8.1)."""
    webhook_retry_offsets_live: tuple[int, ...] = (
        180,
        360,
        540,
        *(540 + hour * HOUR for hour in range(1, 73)),
    )
    """Every three minutes for the first four tries, then hourly for 72 hours (8.1)."""

    body_limit_bytes: int = 1024 * 1024
    fault_hold_seconds: float = 90.0
    """How long the `timeout_rate` fault keeps a request before it cuts the connection."""
