"""Units. Money is an integer in the currency's subunit, credits are an integer of micro-credits.

`Decimal` appears only at the Python and JSON edge, and a float nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

from ai_features.exceptions import (
    AmountOutOfRange,
    CreditsNegative,
    CreditsNotANumber,
    CreditsOutOfRange,
    CreditsTooPrecise,
    CreditsZero,
)

MICRO = 1_000_000
MAX_MICRO = 9_000_000_000_000_000_000
"""No balance grows past this: the database's 64-bit integer ends at 9.22 × 10^18."""

_MAX_CREDITS = Decimal(MAX_MICRO).scaleb(-6)

# The default context would round a 29th digit away in silence.
_EXACT = Context(prec=60, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow])

# Paystack docs, "Supported currencies" and "Transaction limits": at most 10,000,000 major units a transaction.
MAX_AMOUNT_MINOR = 10_000_000 * 100


@dataclass(frozen=True, slots=True)
class Currency:
    """`whole_units`: sent to Paystack times 100 like the others, but only whole major units can be paid."""

    code: str
    minimum_minor: int
    whole_units: bool = False


# Paystack docs, "Supported currencies": the smallest payment in each.
CURRENCIES = {
    currency.code: currency
    for currency in (
        Currency("GHS", 10),
        Currency("NGN", 50_00),
        Currency("KES", 3_00),
        Currency("ZAR", 1_00),
        Currency("XOF", 1_00, whole_units=True),
        Currency("USD", 2_00),
    )
}


@dataclass(frozen=True, slots=True)
class Tax:
    """One line of tax on top of a price; `rate` 0.15 is 15 %."""

    name: str
    rate: Decimal


@dataclass(frozen=True, slots=True)
class TaxLine:
    name: str
    rate: Decimal
    amount_minor: int


def to_minor(amount: Decimal | int | str, currency: str, *, minimum_minor: int = 0) -> int:
    """Major units to the subunit, exactly.

    Raises AmountOutOfRange for anything that is no amount of this currency: NaN, a third decimal place, half a
    franc, below Paystack's minimum (or the higher one given) or above its maximum.
    """
    rules = CURRENCIES.get(currency)
    try:
        minor = _EXACT.multiply(Decimal(amount), Decimal(100))
    except (ArithmeticError, ValueError, TypeError) as error:
        raise AmountOutOfRange("The amount is not a number.") from error
    if rules is None:
        raise AmountOutOfRange(f"Nothing is sold in the currency {currency!r}.", currency=currency)
    least = max(minimum_minor, rules.minimum_minor)
    if not minor.is_finite() or not least <= minor <= MAX_AMOUNT_MINOR:
        minimum, maximum = to_major(least), to_major(MAX_AMOUNT_MINOR)
        raise AmountOutOfRange(
            f"The amount must be between {currency} {minimum} and {currency} {maximum:,}.",
            currency=currency,
            minimum=minimum,
            maximum=maximum,
        )
    if minor % (100 if rules.whole_units else 1):
        places = "no decimal places" if rules.whole_units else "at most 2 decimal places"
        raise AmountOutOfRange(f"An amount in {currency} has {places}.", currency=currency)
    return int(minor)


def to_major(amount_minor: int) -> Decimal:
    """Subunit to major units with two places: 8000 → Decimal("80.00")."""
    return Decimal(amount_minor).scaleb(-2)


def to_micro(credits_: Decimal | int | str | float) -> int:
    """Credits to micro-credits, exactly. A float counts as what it prints: 0.1 is 0.1.

    Raises a CreditsOutOfRange unless positive, with at most 6 places, and no more than a wallet can hold.
    """
    if isinstance(credits_, bool) or not isinstance(credits_, Decimal | int | str | float):
        raise CreditsNotANumber
    try:
        number = Decimal(str(credits_) if isinstance(credits_, float) else credits_)
    except (ArithmeticError, ValueError) as error:
        raise CreditsNotANumber from error
    if not number.is_finite():
        raise CreditsNotANumber
    if number <= 0:
        raise CreditsNegative if number else CreditsZero
    if number > _MAX_CREDITS:
        raise CreditsOutOfRange
    try:
        return int(_EXACT.to_integral_exact(_EXACT.multiply(number, Decimal(MICRO))))
    except Inexact as error:
        raise CreditsTooPrecise from error


def to_credits(micro: int) -> Decimal:
    """Micro-credits to credits, without trailing zeros but with one place: Decimal("145.5"), Decimal("100.0")."""
    tenths, rest = divmod(micro, MICRO // 10)
    return Decimal(micro).scaleb(-6).normalize() if rest else Decimal(tenths).scaleb(-1)


def tax_lines(price_minor: int, taxes: tuple[Tax, ...], currency: str) -> tuple[TaxLine, ...]:
    """Each tax on the price alone, rounded half up to the subunit, or up to the whole unit where there is none."""
    return tuple(TaxLine(tax.name, tax.rate, _rounded(price_minor * tax.rate, currency)) for tax in taxes)


def _rounded(amount_minor: Decimal, currency: str) -> int:
    if CURRENCIES[currency].whole_units:
        return int((amount_minor / 100).to_integral_value(ROUND_CEILING)) * 100
    return int(amount_minor.to_integral_value(ROUND_HALF_UP))
