"""The life of a purchase up to the payment: quote, record, open the checkout.

The row is committed before Paystack is asked and no HTTP call happens inside a transaction (law 7), which
`durable=True` enforces: inside a host's own transaction `start` raises RuntimeError.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal

import orjson
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from ai_features.billing import ledger
from ai_features.billing.packages import CUSTOM
from ai_features.billing.reconcile import ensure_scheduled
from ai_features.billing.requests import checked_key, is_plain_text
from ai_features.conf import ai_credits
from ai_features.exceptions import (
    CallbackUrlRefused,
    EmailUnusable,
    IdempotencyConflict,
    PackageUnknown,
    PaymentMethodUnknown,
    PaystackError,
    PaystackRefused,
    PaystackUnavailable,
    PurchaseInProgress,
)
from ai_features.models import Package, Purchase, PurchaseStatus, Wallet
from ai_features.money import TaxLine, tax_lines, to_major, to_micro, to_minor
from ai_features.paystack import PaystackService
from ai_features.signals import purchase_failed

# Longer than the longest call to Paystack: a checkout not opened by then never will be.
CHECKOUT_OPENS_WITHIN = timedelta(seconds=60)
REPEAT_WAITS_SECONDS = 20.0
TEXT_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Order:
    """What a buyer asks for. `custom_amount` is in major units, before tax."""

    package: str
    custom_amount: Decimal | None = None
    payment_method: str = ""
    callback_url: str = ""
    cancel_url: str = ""
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for two requests that ask for the same; what the site itself fills in does not count."""
        asked = [self.package, str(self.custom_amount or ""), self.payment_method]
        return hashlib.sha256(orjson.dumps(asked)).hexdigest()


@dataclass(frozen=True, slots=True)
class Quote:
    """A price with its tax, and the credits for it: money in the subunit, credits in micro-credits."""

    package_code: str
    name: str
    currency: str
    price_minor: int
    tax_lines: tuple[TaxLine, ...]
    credits: int
    bonus_credits: int

    @property
    def tax_minor(self) -> int:
        return sum(line.amount_minor for line in self.tax_lines)

    @property
    def amount_minor(self) -> int:
        return self.price_minor + self.tax_minor


def quotes(currency: str | None = None) -> list[Quote]:
    """Everything for sale, in the order staff gave it; of one currency if one is named."""
    packages: Iterable[Package] = Package.objects.filter(is_active=True)
    return [_quote_package(package) for package in packages if currency in (None, package.currency)]


def quote(order: Order) -> Quote:
    """The price of an order. Raises PackageUnknown, AmountOutOfRange, CreditsOutOfRange."""
    if order.package == CUSTOM:
        return _quote_custom(order.custom_amount)
    package = Package.objects.filter(code=order.package, is_active=True).first()
    if package is None:
        raise PackageUnknown
    return _quote_package(package)


def start(wallet: Wallet, buyer: AbstractBaseUser, order: Order) -> Purchase:
    """Record a purchase and open its checkout at Paystack; afterwards it has an `authorization_url`.

    Safe to repeat with the same `idempotency_key`: the same purchase and address come back, also while the first
    request is still at work. Raises EmailUnusable, PackageUnknown, PaymentMethodUnknown, AmountOutOfRange,
    CallbackUrlRefused, IdempotencyKeyUnusable, IdempotencyConflict, PurchaseInProgress, or a PaystackError, after which
    the purchase is kept as `failed` and its key is free again.
    """
    _refuse_what_is_no_text(order)
    purchase = _started_before(wallet, order)
    if purchase is None:
        if order.payment_method and order.payment_method not in ai_credits().payment_methods:
            raise PaymentMethodUnknown(f"Choose one of: {', '.join(ai_credits().payment_methods)}.")
        purchase, is_new = _record(wallet, buyer, usable_email(buyer), quote(order), order)
        if is_new:
            ensure_scheduled()
            return _open_checkout(purchase, order)
    return _wait_for_checkout(purchase)


def _refuse_what_is_no_text(order: Order) -> None:
    if not is_plain_text(order.package, TEXT_LONGEST):
        raise PackageUnknown
    if not is_plain_text(order.payment_method, TEXT_LONGEST):
        raise PaymentMethodUnknown
    if not all(is_plain_text(url or "", TEXT_LONGEST) for url in (order.callback_url, order.cancel_url)):
        raise CallbackUrlRefused
    checked_key(order.idempotency_key)


def usable_email(buyer: AbstractBaseUser) -> str:
    """The buyer's address as Paystack accepts it. Raises EmailUnusable; Paystack refuses `.local`, as seen live."""
    email = str(getattr(buyer, buyer.get_email_field_name(), "") or "").strip()
    try:
        validate_email(email)
    except ValidationError as error:
        raise EmailUnusable from error
    if email.endswith((".local", "@localhost")):
        raise EmailUnusable
    return email


def new_reference() -> str:
    """`AI-CREDIT-<unix seconds>-<64 random bits>`: unguessable, and of letters, digits and hyphens only."""
    return f"AI-CREDIT-{int(time.time())}-{secrets.token_hex(8)}"


def fail(reference: str, reason: str) -> Purchase:
    """Close a pending purchase whose checkout was not opened and free its key; others stay as they are."""
    with transaction.atomic():
        purchase = ledger.lock_purchase(reference)
        if purchase.status == PurchaseStatus.PENDING:
            purchase.move_to(PurchaseStatus.FAILED, reason)
            purchase.idempotency_key = None
            purchase.save(update_fields=["status", "status_reason", "idempotency_key"])
            transaction.on_commit(lambda: purchase_failed.send_robust(Purchase, purchase=purchase))
    return purchase


def _quote_package(package: Package) -> Quote:
    return Quote(
        package_code=package.code,
        name=package.name,
        currency=package.currency,
        price_minor=package.price_minor,
        tax_lines=tax_lines(package.price_minor, ai_credits().taxes, package.currency),
        credits=package.credits,
        bonus_credits=package.bonus_credits,
    )


def _quote_custom(amount: Decimal | None) -> Quote:
    rules = ai_credits()
    minimum_minor = to_minor(rules.custom_minimum, rules.currency)
    price_minor = to_minor(Decimal(0) if amount is None else amount, rules.currency, minimum_minor=minimum_minor)
    lines = tax_lines(price_minor, rules.taxes, rules.currency)
    to_minor(to_major(price_minor + sum(line.amount_minor for line in lines)), rules.currency)
    return Quote(
        package_code=CUSTOM,
        name=CUSTOM,
        currency=rules.currency,
        price_minor=price_minor,
        tax_lines=lines,
        credits=to_micro(to_major(price_minor) * rules.custom_credits_per_unit),
        bonus_credits=0,
    )


def _started_before(wallet: Wallet, order: Order) -> Purchase | None:
    """What the key brought about earlier, whatever has become of package, price or address since."""
    if order.idempotency_key is None:
        return None
    purchase = Purchase.objects.filter(wallet=wallet, idempotency_key=order.idempotency_key).first()
    if purchase is not None:
        _refuse_other_request(purchase, order)
        if _was_orphaned(purchase):
            fail(purchase.reference, "The checkout was never opened.")
            return None
    return purchase


def _refuse_other_request(purchase: Purchase, order: Order) -> None:
    if purchase.fingerprint != order.fingerprint:
        raise IdempotencyConflict(reference=purchase.reference)


def _record(wallet: Wallet, buyer: AbstractBaseUser, email: str, quoted: Quote, order: Order) -> tuple[Purchase, bool]:
    sold = {
        "reference": new_reference(),
        "buyer": buyer,
        "email": email,
        "mode": PaystackService.from_settings().mode,
        "package_code": quoted.package_code,
        "currency": quoted.currency,
        "price_minor": quoted.price_minor,
        "tax_lines": [asdict(line) | {"rate": str(line.rate)} for line in quoted.tax_lines],
        "amount_minor": quoted.amount_minor,
        "credits": quoted.credits,
        "bonus_credits": quoted.bonus_credits,
        "payment_method": order.payment_method,
        "fingerprint": order.fingerprint,
    }
    with transaction.atomic(durable=True):
        if order.idempotency_key is None:
            return Purchase.objects.create(wallet=wallet, **sold), True
        purchase, is_new = Purchase.objects.get_or_create(
            wallet=wallet, idempotency_key=order.idempotency_key, defaults=sold
        )
    _refuse_other_request(purchase, order)
    return purchase, is_new


def _was_orphaned(purchase: Purchase) -> bool:
    return (
        purchase.status == PurchaseStatus.PENDING
        and not purchase.authorization_url
        and purchase.created_at < timezone.now() - CHECKOUT_OPENS_WITHIN
    )


def _open_checkout(purchase: Purchase, order: Order) -> Purchase:
    try:
        checkout = PaystackService.initialize_transaction(
            email=purchase.email,
            amount=to_major(purchase.amount_minor),
            currency=purchase.currency,
            reference=purchase.reference,
            callback_url=order.callback_url or None,
            channels=[order.payment_method] if order.payment_method else None,
            metadata={"package": purchase.package_code},
            cancel_action=order.cancel_url or None,
        )
    except PaystackError as error:
        # Whatever Paystack did with it, the buyer never sees its address: a new attempt gets a new reference.
        fail(purchase.reference, f"{error.code}: {error.paystack_message or error.message}")
        raise _in_the_buyers_words(error) from error
    purchase.authorization_url = checkout.authorization_url
    purchase.access_code = checkout.access_code
    purchase.save(update_fields=["authorization_url", "access_code"])
    return purchase


def _in_the_buyers_words(error: PaystackError) -> Exception:
    if isinstance(error, PaystackRefused) and "email" in f"{error.paystack_code} {error.paystack_message}".lower():
        return EmailUnusable()
    return error


def _wait_for_checkout(purchase: Purchase) -> Purchase:
    """A double click meets the first request in mid-air; both shall leave with the same address."""
    give_up_at = time.monotonic() + REPEAT_WAITS_SECONDS
    while not purchase.authorization_url and time.monotonic() < give_up_at:
        if purchase.status == PurchaseStatus.FAILED:
            raise PaystackUnavailable(f"The checkout could not be opened ({purchase.status_reason}). Try again.")
        time.sleep(0.05)
        purchase.refresh_from_db()
    if not purchase.authorization_url:
        raise PurchaseInProgress(reference=purchase.reference)
    return purchase
