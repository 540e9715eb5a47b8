"""What Paystack answers, as frozen values with the whole body kept in `raw`.

The reference, status, amount and currency of a transaction must be right, as money hangs on them. All else is read
leniently: Paystack sends `{}`, `""`, `0` or null where nothing is set, numbers as text, and one date under two
names (Paystack docs, Verify Transaction, and its webhook samples of 2016 to 2024).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from ai_features.exceptions import PaystackBadResponse

if TYPE_CHECKING:
    from ai_features.paystack.reversals import PaystackRefund

Body = Mapping[str, Any]

MAX_REFERENCE_LENGTH = 100
"""Paystack documents no limit; ours are at most 50."""

_WHOLE_NUMBER = re.compile(r"(\d{1,20})(?:\.0+)?", re.ASCII)
_CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)
_MAX_MINOR = 10**15
_MAX_ID = 2**64 - 1


@dataclass(frozen=True, slots=True)
class InitializedTransaction:
    """A checkout that was opened. Its address serves this one transaction and is never given again: store it."""

    authorization_url: str
    access_code: str
    reference: str
    raw: Body = field(repr=False, hash=False)

    @classmethod
    def from_payload(cls, data: object) -> Self:
        """Raises PaystackBadResponse, with `outcome_unknown`: a transaction was made, but cannot be used."""
        body = _mapping(data)
        url, code, reference = (body.get(key) for key in ("authorization_url", "access_code", "reference"))
        if not (_is_web_address(url) and _is_word(code, 100) and _is_word(reference, MAX_REFERENCE_LENGTH)):
            raise PaystackBadResponse("Paystack opened a checkout without a usable address.", outcome_unknown=True)
        return cls(authorization_url=str(url), access_code=str(code), reference=str(reference), raw=body)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction as Paystack sees it now.

    `amount_minor` is what was paid, or is to be paid, in the subunit (8000 is GHS 80.00). With the fee passed on to
    the payer it is larger than `requested_amount_minor`, which is what was asked for. `mode` is Paystack's
    `domain`: test or live. Unknown statuses mean "not decided yet". Personal data stays out of the repr.
    """

    id: int | None
    reference: str
    status: str
    amount_minor: int
    requested_amount_minor: int | None
    currency: str
    mode: str
    channel: str
    paid_at: datetime | None
    created_at: datetime | None
    fees_minor: int | None
    gateway_response: str
    message: str
    customer_email: str = field(repr=False)
    authorization: Body = field(repr=False, hash=False)
    metadata: Body = field(repr=False, hash=False)
    raw: Body = field(repr=False, hash=False)
    refunds: tuple[PaystackRefund, ...] = ()
    """Where they were read with it; none of Paystack's answers about a transaction tells them."""

    @classmethod
    def from_payload(cls, data: object) -> Self:
        """Read the `data` of a verify, fetch or list answer, or of a webhook about a charge.

        Raises PaystackBadResponse if reference, status, amount or currency cannot be used, and nothing else.
        """
        body = _mapping(data)
        reference, status, currency = (body.get(key) for key in ("reference", "status", "currency"))
        amount_minor = _minor(body.get("amount"))
        if not _is_word(reference, MAX_REFERENCE_LENGTH):
            raise PaystackBadResponse("Paystack described a transaction without a usable reference.")
        if not _is_word(status, 40):
            raise PaystackBadResponse(f"Paystack gave no usable status for {reference}.")
        if amount_minor is None:
            raise PaystackBadResponse(f"Paystack gave no usable amount for {reference}.")
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            raise PaystackBadResponse(f"Paystack gave no usable currency for {reference}.")
        return cls(
            id=_whole_number(body.get("id"), _MAX_ID),
            reference=str(reference),
            status=str(status),
            amount_minor=amount_minor,
            requested_amount_minor=_minor(body.get("requested_amount")),
            currency=currency.upper(),
            mode=plain_text(body.get("domain")),
            channel=plain_text(body.get("channel")),
            paid_at=_moment(body, "paid_at", "paidAt"),
            created_at=_moment(body, "created_at", "createdAt", "transaction_date"),
            fees_minor=_minor(body.get("fees")),
            gateway_response=plain_text(body.get("gateway_response")),
            message=plain_text(body.get("message")),
            customer_email=plain_text(_mapping(body.get("customer")).get("email")),
            authorization=_mapping(body.get("authorization")),
            metadata=_mapping(_parsed(body.get("metadata"))),
            raw=body,
        )

    @property
    def is_paid(self) -> bool:
        return self.status == "success"

    @property
    def was_reversed(self) -> bool:
        """Paid, then refunded or charged back, wholly or in part, or about to be."""
        return self.status in ("reversal-pending", "reversed")

    @property
    def is_failed(self) -> bool:
        """Final for this reference. `abandoned` is not: it is where every checkout starts."""
        return self.status == "failed"


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """One page of Paystack's list, newest first. `following` asks for the next one; "" after the last."""

    transactions: tuple[Transaction, ...]
    following: str


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank or a mobile-money provider. `type` is mobile_money, ghipss, nuban, kepss or basa."""

    name: str
    code: str
    slug: str
    currency: str
    type: str
    country: str
    active: bool
    raw: Body = field(repr=False, hash=False)

    @classmethod
    def from_payload(cls, data: object) -> Self:
        """Raises PaystackBadResponse for a row without name or code."""
        body = _mapping(data)
        texts = {key: plain_text(body.get(key)) for key in ("name", "code", "slug", "currency", "type", "country")}
        if not texts["name"] or not texts["code"]:
            raise PaystackBadResponse("Paystack listed a bank without name or code.")
        return cls(**texts, active=body.get("active") is not False and not body.get("is_deleted"), raw=body)


def plain_text(value: object) -> str:
    """Text that any database and any page can hold: NUL and halves of characters are replaced; "" for no text."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode().replace("\0", "?").strip()


def _mapping(value: object) -> Body:
    return value if isinstance(value, Mapping) else {}


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _minor(value: object) -> int | None:
    return _whole_number(value, _MAX_MINOR)


def _whole_number(value: object, maximum: int) -> int | None:
    """100, "100", 100.0 and "100.0" are 100; a bool, a fraction, NaN, or anything below 0 or above is none."""
    if isinstance(value, str) and (match := _WHOLE_NUMBER.fullmatch(value)):
        value = int(match[1])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= maximum else None


def _moment(body: Body, *names: str) -> datetime | None:
    for name in names:
        try:
            moment = datetime.fromisoformat(body.get(name) or "")
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def _is_word(value: object, max_length: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= max_length and value.isprintable()


def _is_web_address(value: object) -> bool:
    if not isinstance(value, str) or not _is_word(value, 2000) or " " in value:
        return False
    try:
        address = urlsplit(value)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname)
