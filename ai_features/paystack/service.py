from __future__ import annotations

import json
import logging
import operator
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from email.utils import parsedate_to_datetime
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any, NoReturn, Self, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ai_features.exceptions import PaystackBadResponse, TransactionNotFound
from ai_features.paystack.answers import (
    MAX_REFERENCE_LENGTH,
    Bank,
    InitializedTransaction,
    Transaction,
    TransactionPage,
)
from ai_features.paystack.class_or_instance import on_class_or_instance
from ai_features.paystack.connection import Call, Connection, Patience
from ai_features.paystack.keys import Mode, SecretKey
from ai_features.paystack.payouts import Deduction, PaidOut
from ai_features.paystack.replies import Envelope, RateLimit
from ai_features.paystack.reversals import PaystackDispute, PaystackRefund

log = logging.getLogger("ai_features.paystack")

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"

BASE_URL = "https://api.paystack.co"
MAX_PER_PAGE = 100

T = TypeVar("T")

_CENTS = Decimal("0.01")
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])


class PaystackService:
    """What this project asks of Paystack, for one key.

    Every method but `close` may also be called on the class, which then works with the settings
    `PAYSTACK_SECRET_KEY`, `PAYSTACK_BASE_URL` and `PAYSTACK_PREVIOUS_SECRET_KEYS` as they are at that moment.

    Every method that asks Paystack raises PaystackUnavailable, PaystackTimeout, PaystackRateLimited,
    PaystackBadResponse, PaystackKeyRefused or PaystackRefused (see `ai_features.exceptions`), or
    ImproperlyConfigured where there is no secret key. It returns or raises within `total_timeout_seconds`, repeats
    included; `list_…` within that for each page.

    An instance may be shared by threads, and a forked process opens its own connections. `transport` replaces ours,
    for a proxy for example; its read timeout then starts anew with every byte of an answer's headers.
    """

    def __init__(
        self,
        *,
        secret_key: str,
        base_url: str = BASE_URL,
        previous_secret_keys: Sequence[str] = (),
        connect_timeout_seconds: float = 5,
        read_timeout_seconds: float = 15,
        total_timeout_seconds: float = 25,
        max_retries: int = 2,
        max_response_bytes: int = 2 * 2**20,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._key = SecretKey(secret_key)
        self._previous_keys = _secret_keys(previous_secret_keys)
        # Should something below fail, its traceback shows the arguments of this frame.
        del secret_key, previous_secret_keys
        self.base_url = base_url
        _refuse_unsafe_address(base_url, self._key)
        patience = Patience(
            connect_seconds=connect_timeout_seconds,
            read_seconds=read_timeout_seconds,
            total_seconds=total_timeout_seconds,
            max_retries=max_retries,
            max_response_bytes=max_response_bytes,
        )
        self._connection = Connection(self._key, base_url, patience, transport=transport, sleep=sleep, jitter=jitter)

    @classmethod
    def from_settings(cls) -> Self:
        """The service of the settings in force; the same one, with its open connections, while they stay the same.

        Raises ImproperlyConfigured for an unusable address; an unusable key is reported when it is needed.
        """
        key = SecretKey(getattr(settings, "PAYSTACK_SECRET_KEY", ""))
        base_url = getattr(settings, "PAYSTACK_BASE_URL", "") or BASE_URL
        previous_keys = _secret_keys(getattr(settings, "PAYSTACK_PREVIOUS_SECRET_KEYS", ()))
        configuration = (cls, key, base_url, previous_keys)
        if configuration not in _services:
            service = cls(
                secret_key=key.reveal(),
                base_url=base_url,
                previous_secret_keys=[previous.reveal() for previous in previous_keys],
            )
            _services.setdefault(configuration, service)
        found = _services[configuration]
        assert isinstance(found, cls)
        return found

    @property
    def mode(self) -> Mode:
        """`test` or `live`, from the key's prefix. Raises ImproperlyConfigured if it is no secret key."""
        return self._key.mode

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the last answer said of Paystack's limit; None where it said nothing."""
        return self._connection.rate_limit

    @property
    def clock(self) -> datetime | None:
        """Paystack's clock at its last answer, to the second; None where it did not say."""
        try:
            return parsedate_to_datetime(self._connection.date).astimezone(UTC)
        except ValueError:
            return None

    @on_class_or_instance
    def initialize_transaction(
        self,
        *,
        email: str,
        amount: Decimal | int,
        reference: str,
        currency: str = "GHS",
        callback_url: str | None = None,
        channels: Sequence[str] | None = None,
        metadata: Mapping[str, JSON] | None = None,
        cancel_action: str | None = None,
    ) -> InitializedTransaction:
        """Open a checkout for `amount` major units of the currency: Decimal("80.00") with GHS is 8000 pesewas.

        Afterwards Paystack knows the reference, for good: it refuses it a second time even if nobody pays.
        `channels` limits how it can be paid; `cancel_action` is where the payer goes on cancel. Numbers in
        `metadata` come back as numbers.

        Not safe to repeat after an error with `outcome_unknown`: ask `verify_transaction` for the reference, or go
        on with a new one. Raises DuplicateReference besides the class's errors; TypeError for a float, ValueError
        for an amount that is not positive or has a third decimal place (any, in XOF), and for a reference that
        cannot be one. Paystack docs: Initialize Transaction, Metadata, Supported currencies.
        """
        if _is_no_reference(reference):
            raise ValueError(f"A reference has 1 to {MAX_REFERENCE_LENGTH} characters and is more than dots.")
        body: dict[str, Any] = {
            "email": email,
            "amount": _to_minor(amount, currency),
            "currency": currency,
            "reference": reference,
        }
        if callback_url:
            body["callback_url"] = callback_url
        if channels:
            body["channels"] = list(channels)
        if notes := {**(metadata or {}), **({"cancel_action": cancel_action} if cancel_action else {})}:
            # As text: of an object Paystack keeps the numbers as strings.
            body["metadata"] = json.dumps(notes, allow_nan=False)
        call = Call("POST", "/transaction/initialize", body=json.dumps(body).encode(), reference=reference)
        opened = InitializedTransaction.from_payload(self._connection.perform(call).data)
        if opened.reference != reference:
            raise PaystackBadResponse("Paystack opened a checkout for another reference.", outcome_unknown=True)
        return opened

    @on_class_or_instance
    def verify_transaction(self, reference: str) -> Transaction:
        """The transaction as it is now; paid only if `is_paid`, and then compare amount, currency and mode.

        Right after initialize it says `abandoned`, which decides nothing. Safe to repeat. Raises
        TransactionNotFound, also (without a request) for what cannot be a reference: that is the true answer, and
        references come from visitors. Paystack docs: Verify Transaction.
        """
        if _is_no_reference(reference):
            raise TransactionNotFound
        path = f"/transaction/verify/{quote(reference, safe='')}"
        call = Call("GET", "/transaction/verify/{reference}", path, reference=reference)
        transaction = Transaction.from_payload(self._connection.perform(call).data)
        if transaction.reference != reference:
            raise PaystackBadResponse("Paystack answered for another reference.")
        return transaction

    @on_class_or_instance
    def fetch_transaction(self, transaction_id: int) -> Transaction:
        """The transaction with Paystack's own id, as `verify_transaction` gives it. Safe to repeat.

        Raises TransactionNotFound. Paystack docs: Fetch Transaction.
        """
        number = operator.index(transaction_id)
        call = Call("GET", "/transaction/{id}", f"/transaction/{number}", reference=str(number))
        transaction = Transaction.from_payload(self._connection.perform(call).data)
        if transaction.id != number:
            raise PaystackBadResponse("Paystack answered for another transaction.")
        return transaction

    @on_class_or_instance
    def list_transactions(
        self,
        *,
        status: str | None = None,
        from_: datetime | date | None = None,
        to: datetime | date | None = None,
        customer_id: int | None = None,
        channel: str | None = None,
        per_page: int = MAX_PER_PAGE,
    ) -> Iterator[Transaction]:
        """All transactions that match, newest first, each page asked for when it is needed. Safe to repeat.

        They are filtered by when they were started, not by when they were paid. `status` is success, failed, abandoned
        or reversed; datetimes must be aware; `customer_id` is the numeric id (for a CUS_… code Paystack lists nothing).
        The first error ends the iteration. A row that cannot be read is left out with a warning in the log, as it would
        hide all rows after it. Paystack docs: List Transactions, Pagination.
        """
        query = {
            "status": status,
            "from": None if from_ is None else _iso(from_),
            "to": None if to is None else _iso(to),
            "customer": None if customer_id is None else str(customer_id),
            "channel": channel,
            "perPage": str(per_page),
        }
        return _readable(self._rows("/transaction", query), Transaction.from_payload)

    @on_class_or_instance
    def page_of_transactions(
        self,
        *,
        status: str,
        from_: datetime,
        to: datetime | None = None,
        following: str = "",
        per_page: int = MAX_PER_PAGE,
    ) -> TransactionPage:
        """One page of what `list_transactions` gives: for who must be able to stop, and go on another day.

        `following` is that of the page before. Safe to repeat.
        """
        asked = {"status": status, "from": _iso(from_), "perPage": str(per_page), "use_cursor": "true"}
        if to is not None:
            asked["to"] = _iso(to)
        if following:
            name, _, value = following.partition("=")
            asked[name] = value
        page = self._connection.perform(Call("GET", "/transaction", query=asked))
        if not isinstance(page.data, list):
            raise PaystackBadResponse("Paystack answered with something else than a list.")
        next_page = "=".join(_page_after(page) or ())
        if next_page and next_page == following:
            raise PaystackBadResponse("Paystack's list leads back to a page that was read before.")
        return TransactionPage(tuple(_readable(iter(page.data), Transaction.from_payload)), next_page)

    @on_class_or_instance
    def list_banks(
        self, *, currency: str | None = None, country: str | None = None, bank_type: str | None = None
    ) -> list[Bank]:
        """All banks and mobile-money providers that match, inactive ones too. Safe to repeat.

        `country` in lower case ("south africa"); `bank_type` is mobile_money, ghipss, nuban, kepss or basa.
        Paystack docs: List Banks.
        """
        query = {"currency": currency, "country": country, "type": bank_type, "perPage": str(MAX_PER_PAGE)}
        return list(_readable(self._rows("/bank", query), Bank.from_payload))

    @on_class_or_instance
    def list_payouts(self, *, from_: datetime | date | None = None) -> Iterator[PaidOut]:
        """What Paystack paid out to us, newest first. Safe to repeat. Paystack docs: List Settlements."""
        query = {"from": None if from_ is None else _iso(from_), "subaccount": "none", "perPage": str(MAX_PER_PAGE)}
        return _readable(self._rows("/settlement", query), PaidOut.from_payload)

    @on_class_or_instance
    def list_payout_transactions(self, payout_id: int) -> Iterator[Transaction]:
        """The payments in one payout. Safe to repeat. Paystack docs: List Settlement Transactions."""
        path = f"/settlement/{operator.index(payout_id)}/transactions"
        return _readable(self._rows(path, {"perPage": str(MAX_PER_PAGE)}), Transaction.from_payload)

    @on_class_or_instance
    def list_deductions(self, *, from_: datetime | date) -> Iterator[Deduction]:
        """The refunds asked for since then that a payout has taken out. Safe to repeat. Paystack docs: List Refunds."""
        rows = self._rows("/refund", {"from": _iso(from_), "perPage": str(MAX_PER_PAGE)})
        taken_out = (row for row in rows if isinstance(row, Mapping) and row.get("settlement"))
        return _readable(taken_out, Deduction.from_payload)

    @on_class_or_instance
    def list_balances(self) -> dict[str, int]:
        """What Paystack holds for us before the next payout, in the subunit, by currency. Safe to repeat.

        A currency that is not here may still be enabled. Paystack docs: Fetch Balance.
        """
        data = self._connection.perform(Call("GET", "/balance")).data
        rows = data if isinstance(data, list) else []
        named = [row for row in rows if isinstance(row, Mapping) and isinstance(row.get("currency"), str)]
        return {row["currency"]: row["balance"] for row in named if isinstance(row.get("balance"), int)}

    @on_class_or_instance
    def list_mobile_money_providers(self, *, currency: str = "GHS") -> list[Bank]:
        """The wallets one can pay with in this currency. Safe to repeat. Paystack docs: List Banks."""
        return self.list_banks(currency=currency, bank_type="mobile_money")

    @on_class_or_instance
    def create_refund(
        self,
        *,
        transaction: str,
        amount: Decimal | int,
        currency: str,
        merchant_note: str = "",
        customer_note: str = "",
    ) -> PaystackRefund:
        """Send back `amount` major units of the transaction with this reference (or id, as text).

        The amount is always said, since Paystack refuses to guess it once a part went back. Not safe to repeat after
        an error with `outcome_unknown`: a refund may have been made, and `list_refunds` tells. Raises PaystackRefused
        with Paystack's words for an amount above the rest or below its minimum. Paystack docs: Create Refund.
        """
        body = {"transaction": transaction, "amount": _to_minor(amount, currency), "currency": currency}
        notes = {"merchant_note": merchant_note, "customer_note": customer_note}
        body |= {name: note for name, note in notes.items() if note}
        call = Call("POST", "/refund", body=json.dumps(body).encode(), reference=transaction)
        return PaystackRefund.from_payload(self._connection.perform(call).data, outcome_unknown=True)

    @on_class_or_instance
    def retry_refund(self, refund_id: int, *, currency: str, account_number: str, bank_id: str) -> PaystackRefund:
        """Send a refund that needs attention to the payer's account. `bank_id` is that of `list_banks`, as text.

        Paystack docs: Retry Refund.
        """
        number = operator.index(refund_id)
        details = {"currency": currency, "account_number": account_number, "bank_id": bank_id}
        call = Call(
            "POST",
            "/refund/retry_with_customer_details/{id}",
            f"/refund/retry_with_customer_details/{number}",
            body=json.dumps({"refund_account_details": details}).encode(),
            reference=str(number),
        )
        return PaystackRefund.from_payload(self._connection.perform(call).data, outcome_unknown=True)

    @on_class_or_instance
    def fetch_refund(self, refund_id: int) -> PaystackRefund:
        """The refund as it is now. Safe to repeat. Paystack docs: Fetch Refund."""
        number = operator.index(refund_id)
        call = Call("GET", "/refund/{id}", f"/refund/{number}", reference=str(number))
        refund = PaystackRefund.from_payload(self._connection.perform(call).data)
        if refund.id != number:
            raise PaystackBadResponse("Paystack answered for another refund.")
        return refund

    @on_class_or_instance
    def list_refunds(
        self,
        *,
        transaction_id: int | None = None,
        from_: datetime | date | None = None,
        to: datetime | date | None = None,
        per_page: int = MAX_PER_PAGE,
    ) -> Iterator[PaystackRefund]:
        """All refunds that match, newest first, each page asked for when it is needed. Safe to repeat.

        `transaction_id` is Paystack's number: for a reference it lists nothing. A row that cannot be read is an error
        here, as what is left out would count as not refunded. Paystack docs: List Refunds.
        """
        query = {
            "transaction": None if transaction_id is None else str(operator.index(transaction_id)),
            "from": None if from_ is None else _iso(from_),
            "to": None if to is None else _iso(to),
            "perPage": str(per_page),
        }
        return map(PaystackRefund.from_payload, self._rows("/refund", query))

    @on_class_or_instance
    def fetch_dispute(self, dispute_id: int) -> PaystackDispute:
        """The dispute as it is now. Safe to repeat. Paystack docs: Fetch Dispute."""
        number = operator.index(dispute_id)
        call = Call("GET", "/dispute/{id}", f"/dispute/{number}", reference=str(number))
        dispute = PaystackDispute.from_payload(self._connection.perform(call).data)
        if dispute.id != number:
            raise PaystackBadResponse("Paystack answered for another dispute.")
        return dispute

    @on_class_or_instance
    def list_disputes(
        self,
        *,
        transaction_id: int | None = None,
        status: str | None = None,
        from_: datetime | date | None = None,
        to: datetime | date | None = None,
        per_page: int = MAX_PER_PAGE,
    ) -> Iterator[PaystackDispute]:
        """All disputes that match, newest first. Safe to repeat. A row that cannot be read is left out with a warning.

        Paystack docs: List Disputes.
        """
        query = {
            "transaction": None if transaction_id is None else str(operator.index(transaction_id)),
            "status": status,
            "from": None if from_ is None else _iso(from_),
            "to": None if to is None else _iso(to),
            "perPage": str(per_page),
        }
        return _readable(self._rows("/dispute", query), PaystackDispute.from_payload)

    @on_class_or_instance
    def verify_webhook_signature(self, payload: bytes, signature: str | None) -> bool:
        """Whether Paystack signed exactly these bytes with our key, or with one of the previous keys.

        `payload` is the raw request body (TypeError for text: parsed and written again it has another signature);
        `signature` is the header x-paystack-signature. False without a usable secret key, whatever is sent. Takes
        as long for a wrong signature as for a right one. Paystack docs: Webhooks, Signature validation.
        """
        if not isinstance(payload, bytes):
            raise TypeError("The signature is over the raw body: pass bytes.")
        given = signature.encode("utf-8", "replace") if isinstance(signature, str) else b""
        keys = [key for key in (self._key, *self._previous_keys) if key.is_usable]
        matches = [compare_digest(key.signature_of(payload), given) for key in keys]
        return self._key.is_usable and any(matches)

    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        self._connection.close()

    def _rows(self, path: str, query: Mapping[str, str | None]) -> Iterator[object]:
        asked = {key: value for key, value in query.items() if value is not None} | {"use_cursor": "true"}
        seen = set()
        while True:
            page = self._connection.perform(Call("GET", path, query=asked))
            if not isinstance(page.data, list):
                raise PaystackBadResponse("Paystack answered with something else than a list.")
            yield from page.data
            following = _page_after(page)
            if following is None:
                return
            if following in seen:
                raise PaystackBadResponse("Paystack's list leads back to a page that was read before.")
            seen.add(following)
            asked |= dict([following])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.base_url}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A PaystackService is not pickled. Call PaystackService.from_settings() on the other side.")


# A process has one configuration, tests and multi-tenant hosts a handful.
_services: dict[tuple[type[PaystackService], SecretKey, str, tuple[SecretKey, ...]], PaystackService] = {}


def _secret_keys(values: Sequence[str]) -> tuple[SecretKey, ...]:
    if isinstance(values, str):
        raise ImproperlyConfigured("PAYSTACK_PREVIOUS_SECRET_KEYS is a list of keys, not one text.")
    return tuple(SecretKey(value) for value in values)


def _refuse_unsafe_address(base_url: str, key: SecretKey) -> None:
    try:
        address = httpx2.URL(base_url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ImproperlyConfigured("PAYSTACK_BASE_URL is not an address.") from error
    is_complete = address.host and (address.port or 443) < 65536 and not address.query and not address.fragment
    if address.scheme not in ("http", "https") or not is_complete:
        raise ImproperlyConfigured("PAYSTACK_BASE_URL is not an http(s) address.")
    if address.userinfo:
        raise ImproperlyConfigured("PAYSTACK_BASE_URL has a user or password in it. Leave it out.")
    if address.scheme == "http" and key.is_usable and key.mode == "live" and not is_this_machine(address.host):
        raise ImproperlyConfigured("PAYSTACK_BASE_URL would send a live key in the clear. Use https.")


def is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_no_reference(reference: str) -> bool:
    """True for what can't be a path segment of its own: dots alone would lead to another endpoint."""
    return not reference.strip(".") or len(reference) > MAX_REFERENCE_LENGTH or not reference.isprintable()


def _to_minor(amount: Decimal | int, currency: str) -> int:
    # Every currency times 100, also XOF, which has no subunit (Paystack docs, Supported currencies).
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise TypeError("An amount is a Decimal or an int in major units; a float is not exact.")
    try:
        major = _EXACT.quantize(Decimal(amount), _CENTS)
    except (Inexact, InvalidOperation) as error:
        raise ValueError(f"{amount} is not an amount of money with at most 2 decimal places.") from error
    if not major.is_finite() or major <= 0:
        raise ValueError("An amount must be a positive number.")
    minor = int(major.scaleb(2, _EXACT))
    if currency == "XOF" and minor % 100:
        raise ValueError("An amount in XOF has no decimal places.")
    return minor


def _iso(moment: datetime | date) -> str:
    if not isinstance(moment, datetime):
        return moment.isoformat()
    if moment.tzinfo is None:
        raise ValueError("A datetime must be aware: Paystack's times are UTC.")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _page_after(page: Envelope) -> tuple[str, str] | None:
    """The parameter that asks for the next page: cursor mode is asked for, but an offset answer is read too."""
    if not page.data:
        return None
    cursor = page.meta.get("next")
    if isinstance(cursor, str) and cursor:
        return "next", cursor
    try:
        number, count = int(page.meta["page"]), int(page.meta["pageCount"])
    except (KeyError, TypeError, ValueError):
        return None
    return ("page", str(number + 1)) if number < count else None


def _readable(rows: Iterator[object], read: Callable[[object], T]) -> Iterator[T]:
    for row in rows:
        try:
            yield read(row)
        except PaystackBadResponse as error:
            log.warning("A row of a list was left out: %s", error.message)
