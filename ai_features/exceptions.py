"""Every error this package raises on purpose; each is part of the API.

    AICreditsError
    ├── RequestRefused                 422  understood, and refused
    │   ├── InvalidRequest             422  a field is missing or unusable; `fields` says which
    │   ├── EmailUnusable              422
    │   ├── PackageUnknown             422
    │   ├── PaymentMethodUnknown       422
    │   ├── AmountOutOfRange           422
    │   ├── CreditsOutOfRange          422  more than a wallet can hold
    │   │   ├── CreditsZero            422
    │   │   ├── CreditsNegative        422
    │   │   ├── CreditsTooPrecise      422  a seventh decimal place
    │   │   └── CreditsNotANumber      422
    │   ├── FeatureUnknown             422
    │   ├── IdempotencyKeyUnusable     422
    │   ├── ApprovalRequired           422  more than one member of staff may grant alone; `limit`
    │   ├── SecondPersonRequired       422  who asked for it cannot decide it
    │   ├── CallbackUrlRefused         422
    │   ├── RefundRefused              422  not paid, nothing left, or more than is left; `refundable` says how much
    │   └── ReviewRefused              422  this decision does not fit this payment
    ├── WebhookRefused                 400  no key of ours signed it
    ├── InsufficientCredits            402  `current_balance`, `required_credits`, `shortage`, `buy_url`
    ├── PurchaseNotFound               404
    ├── ReservationNotFound            404
    ├── RefundNotFound                 404
    ├── ReviewItemNotFound             404
    ├── GrantRequestNotFound           404
    ├── GrantDecided                   409  somebody has decided it; `status` and `decided_by` say how and who
    ├── IdempotencyConflict            409  same key, other request; both are in the answer
    ├── ReservationEnded               409  captured, released or expired before; `status` says which
    ├── PurchaseInProgress             409  same key, first request still at work
    ├── ReviewDecided                  409  somebody has decided it; `status` and `decided_by` say how and who
    ├── SpendingCapReached             429  a cap of this token, member or feature; `retry_after_seconds`
    └── PaystackError
        ├── PaystackUnavailable        503  no connection, an answer of 5xx, or silence that enough wait in already
        │   ├── PaystackTimeout        503
        │   └── PaystackRateLimited    503  `retry_after_seconds`
        ├── PaystackBadResponse        502  an answer that cannot be read
        ├── PaystackKeyRefused         502  401 or 403 from Paystack
        └── PaystackRefused            502  any other 4xx; Paystack's own words are kept
            ├── TransactionNotFound    502
            └── DuplicateReference     502

`code` is stable and may be matched on; `message` is for people and says what to do. Values are attributes,
and `details()` gives those that belong in an answer. Wrong configuration is Django's `ImproperlyConfigured`
and stays outside this family: no caller should catch it.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AICreditsError(Exception):
    """The root: one stable `code`, the HTTP status it becomes, and a message a person can act on."""

    code: ClassVar[str] = "ai_credits_error"
    http_status: ClassVar[int] = 500
    default_message: ClassVar[str] = "Something went wrong."

    def __init__(self, message: str | None = None, **values: Any) -> None:
        self.message = message or self.default_message
        self.values = values
        vars(self).update(values)
        super().__init__(self.message)

    def details(self) -> dict[str, Any]:
        """Values that are safe and useful in an answer to the client."""
        return self.values


class RequestRefused(AICreditsError):
    code = "request_refused"
    http_status = 422


class InvalidRequest(RequestRefused):
    """`fields` maps each unusable field to what is wrong with it."""

    code = "invalid_request"
    default_message = "Some fields are missing or unusable; see `fields`."


class EmailUnusable(RequestRefused):
    code = "email_unusable"
    default_message = "Paystack needs a valid e-mail address for the receipt. Add one to your account and try again."


class PackageUnknown(RequestRefused):
    code = "package_unknown"
    default_message = "There is no such package for sale. Choose one from the list of packages."


class PaymentMethodUnknown(RequestRefused):
    code = "payment_method_unknown"
    default_message = "This payment method is not known."


class AmountOutOfRange(RequestRefused):
    """`minimum` and `maximum` in major units (Decimal), `currency`."""

    code = "amount_out_of_range"
    default_message = "The amount is outside what can be paid in this currency."


class CreditsOutOfRange(RequestRefused):
    code = "credits_out_of_range"
    default_message = "These are more credits than a wallet can hold."


class CreditsZero(CreditsOutOfRange):
    code = "credits_zero"
    default_message = "Credits must be more than zero."


class CreditsNegative(CreditsOutOfRange):
    code = "credits_negative"
    default_message = "Credits must be a positive number."


class CreditsTooPrecise(CreditsOutOfRange):
    code = "credits_too_precise"
    default_message = "Credits have at most 6 decimal places."


class CreditsNotANumber(CreditsOutOfRange):
    code = "credits_not_a_number"
    default_message = "Credits must be a number, as in 12.5."


class FeatureUnknown(RequestRefused):
    """`feature` as it was asked for."""

    code = "feature_unknown"
    default_message = "This feature has no price. Use one of the feature codes that staff has priced."


class IdempotencyKeyUnusable(RequestRefused):
    code = "idempotency_key_unusable"
    default_message = "An Idempotency-Key has 1 to 100 printable ASCII characters."


class ApprovalRequired(RequestRefused):
    """`limit` is how many credits one member of staff may grant a wallet alone within a day."""

    code = "approval_required"
    default_message = "This is more than one person may grant alone. Request it, and let another approve it."


class SecondPersonRequired(RequestRefused):
    code = "second_person_required"
    default_message = "You asked for this grant yourself. Another member of staff has to decide it."


class InsufficientCredits(AICreditsError):
    """`current_balance` is what can be spent now, `shortage` what is missing (debt included), all in credits."""

    code = "insufficient_credits"
    http_status = 402
    default_message = "There are too few credits for this. Buy more and try again."


class CallbackUrlRefused(RequestRefused):
    code = "callback_url_refused"
    default_message = "callback_url must be an http(s) address on one of this site's allowed hosts."


class RefundRefused(RequestRefused):
    """`refundable` is what may still be sent back, in major units of `currency`, where anything was paid."""

    code = "refund_refused"
    default_message = "This payment cannot be refunded."


class ReviewRefused(RequestRefused):
    code = "review_refused"
    default_message = "This cannot be decided so."


class WebhookRefused(AICreditsError):
    code = "invalid_signature"
    http_status = 400
    default_message = "x-paystack-signature does not match the body. Nothing was recorded."


class PurchaseNotFound(AICreditsError):
    code = "purchase_not_found"
    http_status = 404
    default_message = "You have no purchase with this reference. Check the reference in your receipt."


class GrantRequestNotFound(AICreditsError):
    code = "grant_request_not_found"
    http_status = 404
    default_message = "There is no requested grant with this id."


class GrantDecided(AICreditsError):
    """`status` is what was decided, `decided_by` who did."""

    code = "grant_decided"
    http_status = 409
    default_message = "Somebody has decided this already."


class ReservationNotFound(AICreditsError):
    code = "reservation_not_found"
    http_status = 404
    default_message = "You have no reservation with this id."


class RefundNotFound(AICreditsError):
    code = "refund_not_found"
    http_status = 404
    default_message = "There is no refund with this id."


class ReviewItemNotFound(AICreditsError):
    code = "review_item_not_found"
    http_status = 404
    default_message = "There is no payment to review with this id."


class ReviewDecided(AICreditsError):
    """`status` is what was decided, `decided_by` who did."""

    code = "review_decided"
    http_status = 409
    default_message = "Somebody has decided this already."


class ReservationEnded(AICreditsError):
    """`status` is how it ended, `captured` the credits charged for it."""

    code = "reservation_ended"
    http_status = 409
    default_message = "This reservation has ended. Make a new one."


class SpendingCapReached(AICreditsError):
    """`scope`, `subject`, `period`, and in credits `limit` and `used`; `retry_after_seconds` until the next period."""

    code = "spending_cap_reached"
    http_status = 429
    default_message = "This would pass a spending cap. Wait for the next period, or ask for a higher cap."


class IdempotencyConflict(AICreditsError):
    """`first_request` is what the key stands for, `this_request` what came with it now."""

    code = "idempotency_conflict"
    http_status = 409
    default_message = "This Idempotency-Key was used for another request. Use a new key for a new request."


class PurchaseInProgress(AICreditsError):
    code = "purchase_in_progress"
    http_status = 409
    default_message = (
        "The first request with this Idempotency-Key is still being worked on. Repeat it in a few seconds."
    )


class PaystackError(AICreditsError):
    """Anything that went wrong between this server and Paystack.

    `outcome_unknown` is true where a write may have been carried out although no usable answer came: such a
    call is never repeated blindly, its reference is verified instead, since Paystack knows no idempotency
    keys and refuses a reference it has seen (Paystack docs, Initialize Transaction).
    """

    code = "paystack_error"
    http_status = 502
    default_message = "Paystack could not be used for this request. Nothing was lost; try again."

    def __init__(
        self,
        message: str | None = None,
        *,
        outcome_unknown: bool = False,
        status_code: int | None = None,
        paystack_message: str = "",
        paystack_code: str = "",
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown
        self.status_code = status_code
        self.paystack_message = paystack_message
        self.paystack_code = paystack_code
        self.retry_after_seconds = retry_after_seconds

    def details(self) -> dict[str, Any]:
        return {"paystack_message": self.paystack_message} if self.paystack_message else {}


class PaystackUnavailable(PaystackError):
    code = "paystack_unavailable"
    http_status = 503
    default_message = "Paystack cannot be reached right now. Nothing was lost; try again in a minute."


class PaystackTimeout(PaystackUnavailable):
    code = "paystack_timeout"
    default_message = "Paystack did not answer in time. Nothing was lost; try again in a minute."


class PaystackRateLimited(PaystackUnavailable):
    code = "paystack_rate_limited"
    default_message = "Paystack is limiting our requests. Nothing was lost; try again in a minute."


class PaystackBadResponse(PaystackError):
    code = "paystack_bad_response"
    default_message = "Paystack gave an answer that could not be understood. Nothing was lost; try again in a minute."


class PaystackKeyRefused(PaystackError):
    code = "paystack_key_refused"
    default_message = "Paystack refused this site's key or permissions. Please tell the site's staff."


class PaystackRefused(PaystackError):
    code = "paystack_refused"
    default_message = "Paystack refused this payment. Try another package or way to pay, or tell the site's staff."


class TransactionNotFound(PaystackRefused):
    code = "paystack_transaction_not_found"
    default_message = "Paystack knows no transaction with this reference."


class DuplicateReference(PaystackRefused):
    code = "paystack_duplicate_reference"
    default_message = "Paystack has seen this reference before. Start again with a new one."
