"""Money on its way back, as Paystack tells it: refunds and disputes, as frozen values with the whole body in `raw`.

Id, status and amount of a refund, id, status and transaction of a dispute must be right. The rest is read leniently:
`transaction` is an object in one answer and a number in the next, amounts come as text, dates under two names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from ai_features.exceptions import PaystackBadResponse
from ai_features.paystack.answers import (
    _MAX_ID,
    MAX_REFERENCE_LENGTH,
    Body,
    _is_word,
    _mapping,
    _minor,
    _moment,
    _whole_number,
    plain_text,
)

ACCEPTED_RESOLUTIONS = ("merchant-accepted", "auto-accepted")
DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class PaystackRefund:
    """One refund of one transaction. Unknown statuses mean "not decided yet"."""

    id: int
    transaction_id: int | None
    reference: str
    status: str
    amount_minor: int
    currency: str
    dispute_id: int | None
    refund_reference: str
    note: str
    created_at: datetime | None
    refunded_at: datetime | None
    raw: Body = field(repr=False, hash=False)

    @classmethod
    def from_payload(cls, data: object, *, outcome_unknown: bool = False) -> Self:
        """Read the `data` of a create, retry, fetch or list answer; the events have no id and tell less.

        Raises PaystackBadResponse without a usable id, status or amount; `outcome_unknown` says that it was a write.
        """
        body = _mapping(data)
        number = _whole_number(body.get("id"), _MAX_ID)
        amount_minor = _minor(body.get("amount"))
        status = body.get("status")
        if number is None or amount_minor is None or not _is_word(status, 40):
            message = "Paystack described a refund without a usable id, status or amount."
            raise PaystackBadResponse(message, outcome_unknown=outcome_unknown)
        return cls(
            id=number,
            transaction_id=_id_in(body.get("transaction")),
            reference=_reference_in(body),
            status=str(status),
            amount_minor=amount_minor,
            currency=plain_text(body.get("currency")).upper(),
            dispute_id=_id_in(body.get("dispute")),
            refund_reference=plain_text(body.get("refund_reference") or body.get("bank_reference")),
            note=plain_text(body.get("merchant_note") or body.get("customer_note")),
            created_at=_moment(body, "created_at", "createdAt"),
            refunded_at=_moment(body, "refunded_at", "refundedAt"),
            raw=body,
        )


@dataclass(frozen=True, slots=True)
class PaystackDispute:
    """One dispute, from an event, a fetch or a list answer. `refund_amount_minor` is what the payer wants back.

    `reference` is the transaction's, which the events carry inside `transaction` alone (Paystack docs, Disputes).
    """

    id: int
    transaction_id: int | None
    reference: str
    status: str
    resolution: str
    category: str
    refund_amount_minor: int | None
    currency: str
    mode: str
    transaction_status: str
    due_at: datetime | None
    resolved_at: datetime | None
    created_at: datetime | None
    raw: Body = field(repr=False, hash=False)

    @classmethod
    def from_payload(cls, data: object) -> Self:
        """Raises PaystackBadResponse without a usable id, status or transaction."""
        body = _mapping(data)
        paid = _mapping(body.get("transaction"))
        number, status = _whole_number(body.get("id"), _MAX_ID), body.get("status")
        transaction_id, reference = _id_in(body.get("transaction")), _reference_in(body)
        if number is None or not _is_word(status, 40) or not (reference or transaction_id):
            raise PaystackBadResponse("Paystack described a dispute without a usable id, status or transaction.")
        return cls(
            id=number,
            transaction_id=transaction_id,
            reference=reference,
            status=str(status),
            resolution=plain_text(body.get("resolution")),
            category=plain_text(body.get("category")),
            refund_amount_minor=_minor(body.get("refund_amount")),
            currency=plain_text(body.get("currency") or paid.get("currency")).upper(),
            mode=plain_text(body.get("domain")),
            transaction_status=plain_text(paid.get("status")),
            due_at=_moment(body, "dueAt", "due_at"),
            resolved_at=_moment(body, "resolvedAt", "resolved_at"),
            created_at=_moment(body, "created_at", "createdAt"),
            raw=body,
        )

    @property
    def is_open(self) -> bool:
        return self.status not in ("resolved", "archived")

    @property
    def is_accepted(self) -> bool:
        """Ended, and the payer has the money back: by us, because nobody answered in time, or by the bank."""
        if self.is_open or self.resolution == DECLINED:
            return False
        return self.resolution in ACCEPTED_RESOLUTIONS or self.transaction_status in ("reversed", "reversal-pending")


def reference_in_event(data: Mapping[str, object]) -> str:
    """The transaction's reference in the data of a refund or dispute event; "" where there is none."""
    return _reference_in(data)


def _id_in(value: object) -> int | None:
    """An id stands alone or in an object; in webhooks sometimes as text."""
    return _whole_number(value.get("id") if isinstance(value, Mapping) else value, _MAX_ID)


def _reference_in(body: Mapping[str, object]) -> str:
    found = _mapping(body.get("transaction")).get("reference") or body.get("transaction_reference")
    return str(found) if _is_word(found, MAX_REFERENCE_LENGTH) else ""
