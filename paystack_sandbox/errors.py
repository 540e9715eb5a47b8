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
    "plan_not_found": ErrorRow(400, "Plan not found", "invalid_params", _BAD_VALUE, "unconfirmed"),
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
    """An error Paystack answers with. `row` names a line of ERRORS; `message` replaces its message."""

    def __init__(self, row: str, message: str | None = None) -> None:
        self.row = ERRORS[row]
        self.message = message or self.row.message
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
