"""What Paystack paid out to the merchant, as frozen values. Paystack calls a payout a settlement (Paystack docs)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from ai_features.exceptions import PaystackBadResponse
from ai_features.paystack.answers import _MAX_ID, Body, _mapping, _minor, _moment, _whole_number, plain_text


@dataclass(frozen=True, slots=True)
class PaidOut:
    """One payout, in the subunit. `effective_minor` reached the bank: what was paid less fees and deductions."""

    id: int
    status: str
    currency: str
    mode: str
    total_processed_minor: int
    total_fees_minor: int
    effective_minor: int
    settled_at: datetime | None
    raw: Body = field(repr=False, hash=False)

    @classmethod
    def from_payload(cls, data: object) -> Self:
        """Raises PaystackBadResponse without a usable id, currency or sum."""
        body = _mapping(data)
        number = _whole_number(body.get("id"), _MAX_ID)
        processed, fees, effective = (
            _minor(body.get(name)) for name in ("total_processed", "total_fees", "effective_amount")
        )
        currency = plain_text(body.get("currency")).upper()
        if number is None or processed is None or fees is None or effective is None or len(currency) != 3:
            raise PaystackBadResponse("Paystack described a payout without a usable id, currency or sum.")
        return cls(
            id=number,
            status=plain_text(body.get("status")),
            currency=currency,
            mode=plain_text(body.get("domain")),
            total_processed_minor=processed,
            total_fees_minor=fees,
            effective_minor=effective,
            settled_at=_moment(body, "settlement_date", "createdAt"),
            raw=body,
        )

    @property
    def deducted_minor(self) -> int:
        return self.total_processed_minor - self.total_fees_minor - self.effective_minor


@dataclass(frozen=True, slots=True)
class Deduction:
    """A refund that was taken out of a payout. `transaction_id` is that of the payment, where Paystack tells it."""

    payout_id: int
    amount_minor: int
    transaction_id: int | None

    @classmethod
    def from_payload(cls, data: object) -> Self:
        """Raises PaystackBadResponse for a refund that no payout has taken out yet."""
        body = _mapping(data)
        payout_id, amount_minor = _whole_number(body.get("settlement"), _MAX_ID), _minor(body.get("amount"))
        if payout_id is None or amount_minor is None:
            raise PaystackBadResponse("Paystack listed a refund that is in no payout.")
        return cls(payout_id, amount_minor, _transaction_id(body))


def _transaction_id(body: Body) -> int | None:
    """An integer in a list, an object elsewhere."""
    given = body.get("transaction")
    return _whole_number(given.get("id") if isinstance(given, dict) else given, _MAX_ID)
