"""Paystack's error answers, one row a case.

`source` says how sure the row is: "seen" was recorded from the service, "documented" stands in its
documentation, "unconfirmed" fills a gap. Where code or next step is not known, the pair Paystack uses for
bad values stands in (facts 1.3); rows with neither are answered with status and message alone.
"""

from dataclasses import dataclass
from typing import Any

_BAD_VALUE = "Ensure that the value(s) you're passing are valid."


@dataclass(frozen=True, slots=True)
class ErrorRow:
    http_status: int
    message: str
    code: str | None
    next_step: str | None
    source: str
    type: str = "validation_error"


ERRORS: dict[str, ErrorRow] = {
    "invalid_key": ErrorRow(
        401,
        "Invalid key",
        "invalid_Key",
        "Ensure that you provide the correct authorization key for the request",
        "seen",
    ),
    "no_authorization": ErrorRow(401, "No Authorization Header was found", None, None, "documented; body unconfirmed"),
    "email_missing": ErrorRow(
        400,
        "Email Address is required",
        "missing_params",
        "Provide all required params",
        "documented; live body unconfirmed",
    ),
    "email_empty": ErrorRow(
        400, "Email is not allowed to be empty", "invalid_params", _BAD_VALUE, "documented; rest unconfirmed"
    ),
    "email_invalid": ErrorRow(
        400,
        "Invalid Email Address Passed",
        "invalid_email_address",
        _BAD_VALUE,
        "seen; next step unconfirmed",
    ),
    "amount_invalid": ErrorRow(400, "Invalid Amount Sent", "invalid_params", _BAD_VALUE, "seen; rest unconfirmed"),
    "amount_fraction": ErrorRow(
        400, '"amount" must be an integer', "invalid_params", _BAD_VALUE, "seen; rest unconfirmed"
    ),
    "amount_limit": ErrorRow(
        400,
        "Transaction amount limit exceeded",
        "invalid_params",
        _BAD_VALUE,
        "documented; rest unconfirmed",
    ),
    "duplicate_reference": ErrorRow(
        400,
        "Duplicate Transaction Reference",
        "duplicate_reference",
        "Try and create the Transaction or Charge with a new reference",
        "seen",
    ),
    "reference_character": ErrorRow(
        400,
        "Invalid character in transaction reference",
        "invalid_character_in_reference",
        "Ensure that you aren't using any characters that aren't alphanumeric or contained in "
        '"-,., =" in your reference',
        "seen",
    ),
    "reference_length": ErrorRow(400, "Transaction reference is too long", "invalid_params", _BAD_VALUE, "unconfirmed"),
    "reference_not_found": ErrorRow(
        400,
        "Transaction reference not found.",
        "transaction_not_found",
        "Ensure that you're passing the reference of a transaction that exists on this integration",
        "seen",
    ),
    "transaction_not_found": ErrorRow(
        404,
        "Transaction not found",
        "transaction_not_found",
        "Ensure that you're passing the reference of a transaction that exists on this integration",
        "message seen; rest unconfirmed",
    ),
    "transaction_id_not_numeric": ErrorRow(
        400,
        "Transaction ID should be numeric.",
        "invalid_params",
        _BAD_VALUE,
        "message seen; rest unconfirmed",
    ),
    "timeline_not_found": ErrorRow(400, "Transaction ID or reference is invalid", None, None, "documented"),
    "currency_not_supported": ErrorRow(
        403,
        "Currency not supported by merchant",
        "unsupported_currency",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "plan_not_found": ErrorRow(404, "Plan not found", "not_found", _BAD_VALUE, "unconfirmed"),
    "field_missing": ErrorRow(
        400, "Required parameter is missing", "missing_params", "Provide all required params", "usual pair"
    ),
    "currency_not_supported_by_charge": ErrorRow(
        400,
        "Currency not supported by merchant",
        "unsupported_currency",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "authorization_invalid": ErrorRow(
        400, "Authorization code is invalid", "invalid_params", _BAD_VALUE, "message and status seen; rest unconfirmed"
    ),
    "authorization_mismatch": ErrorRow(
        400,
        "Email does not match Authorization code. Authorization may be inactive or belong to a different email. "
        "Please confirm.",
        "invalid_params",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "authorization_not_found": ErrorRow(404, "Authorization code not found.", None, None, "documented"),
    "partial_debit_currency": ErrorRow(
        400,
        "Currency {currency} is not supported for Partial Debit",
        "invalid_params",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "partial_debit_customer": ErrorRow(400, "Customer not found", None, None, "documented"),
    "charge_without_email": ErrorRow(
        400, "Email address is required for association with card", None, None, "documented"
    ),
    "charge_without_instrument": ErrorRow(
        400,
        "Provide one of card, bank, mobile_money, ussd, qr, eft, bank_transfer, capitec_pay or authorization_code",
        "missing_params",
        "Provide all required params",
        "unconfirmed",
    ),
    "charge_reference": ErrorRow(400, "Transaction reference is invalid", None, None, "documented"),
    "charge_not_waiting": ErrorRow(
        400, "The charge is not waiting for this", "invalid_params", _BAD_VALUE, "unconfirmed"
    ),
    "customer_not_found": ErrorRow(
        404, "Customer email is invalid for your {domain} domain.", None, None, "documented"
    ),
    "risk_action_forbidden": ErrorRow(
        403, "You cannot modify risk level of customers on this integration", None, None, "documented"
    ),
    "bvn_invalid": ErrorRow(400, "Invalid BVN", None, None, "documented"),
    "refund_not_found": ErrorRow(404, "Refund not found", "not_found", _BAD_VALUE, "unconfirmed"),
    "refund_of_unpaid": ErrorRow(
        400, "Only successful transactions can be refunded", "invalid_params", _BAD_VALUE, "unconfirmed"
    ),
    "refund_minimum": ErrorRow(
        400,
        "The minimum amount you may send in a single refund at this time is: {minimum}",
        "invalid_params",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "refund_nothing_left": ErrorRow(
        400,
        "Cannot refund less than {least}",
        "invalid_params",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "refund_too_much": ErrorRow(
        400,
        "Total refund amount cannot exceed original transaction amount",
        "invalid_params",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "refund_currency": ErrorRow(
        400,
        "Transaction currency must match refund currency",
        "invalid_params",
        _BAD_VALUE,
        "message and status seen; rest unconfirmed",
    ),
    "refund_state": ErrorRow(
        422,
        'Invalid Refund state, refund status should be "needs-attention"',
        "invalid_params",
        _BAD_VALUE,
        "documented",
    ),
    "dispute_not_found": ErrorRow(404, "Dispute not found", "not_found", _BAD_VALUE, "unconfirmed"),
    "dispute_amount": ErrorRow(
        400, "Refund amount cannot be greater than initial amount", "invalid_params", _BAD_VALUE, "documented"
    ),
    "dispute_closed": ErrorRow(400, "Dispute has been resolved", "invalid_params", _BAD_VALUE, "unconfirmed"),
    "no_disputes": ErrorRow(404, "No disputes found", "not_found", _BAD_VALUE, "message and status seen"),
    "interval_invalid": ErrorRow(400, "Invalid interval selected", "invalid_params", _BAD_VALUE, "message seen"),
    "subscription_not_found": ErrorRow(404, "Subscription not found", "not_found", _BAD_VALUE, "unconfirmed"),
    "subscription_inactive": ErrorRow(
        404, "Subscription with code not found or already inactive", "not_found", _BAD_VALUE, "seen"
    ),
    "subscription_duplicate": ErrorRow(
        400, "This subscription is already in place.", "duplicate_subscription", _BAD_VALUE, "seen"
    ),
    "subscription_cancelled": ErrorRow(
        400, "Subscription has been cancelled, and cannot be reactivated", "invalid_params", _BAD_VALUE, "seen"
    ),
    "subscription_authorization": ErrorRow(
        400,
        "Authorization specified is invalid or does not belong to customer",
        "invalid_params",
        _BAD_VALUE,
        "seen",
    ),
    "customer_without_authorization": ErrorRow(
        400, "This customer has no saved authorizations", "invalid_params", _BAD_VALUE, "unconfirmed"
    ),
    "bank_code_unknown": ErrorRow(
        400,
        "Unknown bank code: {code}",
        "invalid_bank_code",
        "Ensure that you're passing the correct bank code. Use the List Banks Endpoint to get the list of all "
        "available banks and their corresponding bank codes",
        "code and next step seen; message unconfirmed",
    ),
    "account_unresolved": ErrorRow(
        422, "Could not resolve account name. Check parameters or try again.", "invalid_params", _BAD_VALUE, "seen"
    ),
    "bin_invalid": ErrorRow(400, "Invalid Card BIN", "invalid_params", _BAD_VALUE, "unconfirmed"),
    "file_not_found": ErrorRow(404, "File not found", None, None, "unconfirmed"),
    "file_expired": ErrorRow(403, "Request has expired", None, None, "unconfirmed"),
    "settlement_not_found": ErrorRow(404, "Settlement not found", "not_found", _BAD_VALUE, "unconfirmed"),
    "webhook_event_not_found": ErrorRow(404, "Webhook event not found", None, None, "documented"),
    "webhook_reference_missing": ErrorRow(400, "reference is required", None, None, "documented"),
    "webhook_cursors": ErrorRow(400, "Invalid query: must be one of next or previous", None, None, "documented"),
    "webhook_ids": ErrorRow(400, "ids must be a non-empty array", None, None, "documented"),
    "bad_value": ErrorRow(400, "Invalid parameters passed", "invalid_params", _BAD_VALUE, "usual pair for bad values"),
    "unreadable_body": ErrorRow(400, "The request body could not be read", "invalid_params", _BAD_VALUE, "unconfirmed"),
    "body_too_large": ErrorRow(413, "The request body is too large", "invalid_params", _BAD_VALUE, "unconfirmed"),
    "rate_limited": ErrorRow(
        429,
        "Rate limit exceeded!",
        "rate_limited",
        "Wait a few minutes and try the API call again",
        "documented",
        type="api_error",
    ),
}


class PaystackError(Exception):
    """An error Paystack answers with. `row` names a line of ERRORS; `message` replaces its message, and
    `values` fill the places in it."""

    def __init__(self, row: str, message: str | None = None, **values: str) -> None:
        self.row = ERRORS[row]
        self.message = message or (self.row.message.format(**values) if values else self.row.message)
        super().__init__(self.message)

    @property
    def http_status(self) -> int:
        return self.row.http_status

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"status": False, "message": self.message}
        if self.row.next_step is not None:
            body["meta"] = {"nextStep": self.row.next_step}
        if self.row.code is not None:
            body["type"] = self.row.type
            body["code"] = self.row.code
        return body


class NotInSandbox(Exception):
    """The client asked for a part of Paystack's API that the sandbox does not have."""

    def __init__(self, method: str, path: str) -> None:
        self.method, self.path = method, path
        super().__init__(f"The sandbox does not have {method} {path}. docs/SANDBOX.md lists what it has.")
