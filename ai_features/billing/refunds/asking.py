"""We ask Paystack to send money back. The refund and its credits are on record before, and no HTTP call happens inside
a transaction (law 7), which `durable=True` enforces.

    Paystack                          the refund                        its credits
    --------------------------------  --------------------------------  ----------------------------------------
    takes it                          pending, with Paystack's id       stay taken
    refuses it, or was not reached    failed, with Paystack's words     given back, and the error is raised
    may have taken it: no answer      pending, unconfirmed              stay taken; it is never sent again by
                                                                        itself, `bring_in_line` finds it or ends it
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from ai_features.billing import later, ledger, refund_list, refund_moves
from ai_features.billing.refunds import following
from ai_features.billing.requests import checked_key
from ai_features.exceptions import IdempotencyConflict, InvalidRequest, PaystackError, RefundRefused
from ai_features.models import Purchase, PurchaseStatus, Refund, RefundStatus
from ai_features.money import CURRENCIES, MAX_AMOUNT_MINOR, to_major
from ai_features.paystack import PaystackService

LOOK_AGAIN_AFTER = timedelta(minutes=2)


def start(
    reference: str,
    amount: Decimal | int | str | None,
    *,
    reason: str,
    requested_by: AbstractBaseUser | None,
    key: str | None,
    seen_refundable: Decimal | None = None,
) -> Refund:
    """Send back `amount` major units of a purchase's payment, or all that is left of it.

    Afterwards the refund is pending or further. Safe to repeat with the same `key`. `seen_refundable` is what the
    caller saw as the rest: where somebody else has refunded meanwhile, the request is refused. Raises
    PurchaseNotFound, RefundRefused, InvalidRequest, IdempotencyConflict, or a PaystackError, after which the credits
    are back.
    """
    checked_key(key)
    with transaction.atomic(durable=True):
        purchase = ledger.lock_purchase(reference)
        earlier = None if key is None else Refund.objects.filter(reference=reference, idempotency_key=key).first()
        if earlier is not None:
            return _refuse_other_request(earlier, amount)
        refund = record(purchase, amount, reason=reason, by=requested_by, key=key, seen_refundable=seen_refundable)
    return ask(refund)


def record(
    purchase: Purchase,
    amount: Decimal | int | str | None,
    *,
    reason: str,
    by: AbstractBaseUser | None,
    key: str | None = None,
    seen_refundable: Decimal | None = None,
) -> Refund:
    """Write down a refund of a locked purchase and take its credits; `ask` is next, after the commit."""
    if not reason.strip() or len(reason) > refund_moves.REASON_LONGEST:
        raise InvalidRequest(fields={"reason": [f"Say why, in at most {refund_moves.REASON_LONGEST} characters."]})
    amount_minor = _checked_amount(purchase, amount, seen_refundable)
    currency = purchase.payment_currency
    return refund_moves.begin(
        purchase.reference, purchase, amount_minor, currency=currency, reason=reason, requested_by=by, key=key
    )


def ask(refund: Refund) -> Refund:
    """Send a refund that is on record to Paystack. Raises a PaystackError that says it was not taken."""
    try:
        answer = PaystackService.create_refund(
            transaction=refund.reference,
            amount=to_major(refund.amount_minor),
            currency=refund.currency,
            merchant_note=refund.reason,
        )
    except PaystackError as error:
        words = error.paystack_message or error.message
        if not error.outcome_unknown:
            _refused(refund, words)
            raise
        Refund.objects.filter(pk=refund.pk).update(problem=words[: refund_moves.REASON_LONGEST])
        later.queue(
            following.look_again, refund.reference, after=LOOK_AGAIN_AFTER, about={"reference": refund.reference}
        )
    except ImproperlyConfigured as error:
        _refused(refund, str(error))
        raise
    else:
        refund_list.note(refund, answer)
    refund.refresh_from_db()
    return refund


def retry(refund: Refund, *, account_number: str, bank_id: str) -> Refund:
    """Send a refund that needs attention to the payer's own account; its credits stay taken.

    `bank_id` is Paystack's, as `list_banks` gives it. Raises RefundRefused unless it needs attention, InvalidRequest,
    or a PaystackError; after one with `outcome_unknown`, read the refund again before another attempt.
    """
    if refund.status != RefundStatus.NEEDS_ATTENTION or refund.paystack_id is None:
        raise RefundRefused("Only a refund that needs the payer's account can be sent again.")
    given = {"account_number": account_number, "bank_id": bank_id}
    wrong = {name: ["Digits only."] for name, value in given.items() if not (value.isascii() and value.isdigit())}
    if wrong:
        raise InvalidRequest(fields=wrong)
    answer = PaystackService.retry_refund(int(refund.paystack_id), currency=refund.currency, **given)
    refund_list.note(refund, answer)
    refund.refresh_from_db()
    return refund


def _checked_amount(purchase: Purchase, amount: Decimal | int | str | None, seen_refundable: Decimal | None) -> int:
    rest, currency = refund_moves.refundable_minor(purchase), purchase.payment_currency
    values = {"refundable": to_major(rest), "currency": currency}
    if not (purchase.completed_at or purchase.status == PurchaseStatus.REVIEW):
        raise RefundRefused("Nothing was paid for this purchase, so nothing can be refunded.")
    if PaystackService.from_settings().mode != purchase.mode:
        raise RefundRefused(f"This was paid in {purchase.mode} mode, and the site's key is of the other.")
    if seen_refundable is not None and to_major(rest) != seen_refundable:
        raise RefundRefused("Somebody has refunded a part meanwhile. Look again before you go on.", **values)
    if not rest:
        raise RefundRefused("All of it was refunded already.", **values)
    amount_minor = rest if amount is None else _minor(amount, currency)
    if amount_minor > rest:
        raise RefundRefused(f"At most {currency} {to_major(rest)} can be refunded.", **values)
    return amount_minor


def _minor(amount: Decimal | int | str, currency: str) -> int:
    """As `to_minor`, without the minimum of a payment: how little it sends back is Paystack's to say."""
    rules = CURRENCIES.get(currency)
    places = 0 if rules is not None and rules.whole_units else 2
    try:
        minor = Decimal(amount).scaleb(2)
        fits = 0 < minor <= MAX_AMOUNT_MINOR and minor % 10 ** (2 - places) == 0
        usable = fits and not isinstance(amount, bool)
    except (ArithmeticError, ValueError, TypeError):
        usable = False
    if not usable:
        raise InvalidRequest(fields={"amount": [f"A positive amount with at most {places} decimal places."]})
    return int(minor)


def _refuse_other_request(earlier: Refund, amount: Decimal | int | str | None) -> Refund:
    if amount is not None and earlier.amount_minor != _minor(amount, earlier.currency):
        first, this = {"amount": to_major(earlier.amount_minor)}, {"amount": amount}
        raise IdempotencyConflict(first_request=first, this_request=this)
    return earlier


def _refused(refund: Refund, problem: str) -> None:
    """Unless Paystack has told of it after all."""
    with refund_list.locked(refund.reference) as purchase:
        fresh = refund_list.read(refund.pk, purchase)
        if fresh.paystack_id is None:
            refund_moves.move(fresh, RefundStatus.FAILED, problem=problem)
