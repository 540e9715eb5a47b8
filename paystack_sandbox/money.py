"""Currencies, countries and Paystack's fees. Amounts are integers of the subunit, a hundredth, in every
currency (XOF too, which has none; facts 11.1)."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

MAX_AMOUNT_MINOR = 10_000_000 * 100


@dataclass(frozen=True, slots=True)
class Currency:
    code: str
    country: str
    country_code: str
    minimum_minor: int
    channels: tuple[str, ...]
    providers: tuple[str, ...] = ()
    decimals: int = 2


CURRENCIES: dict[str, Currency] = {
    row.code: row
    for row in (
        Currency("GHS", "Ghana", "GH", 10, ("card", "mobile_money", "bank_transfer", "ussd"), ("mtn", "vod", "atl")),
        Currency("NGN", "Nigeria", "NG", 5000, ("card", "bank", "bank_transfer", "ussd")),
        Currency("KES", "Kenya", "KE", 300, ("card", "mobile_money", "bank_transfer"), ("mpesa", "atl")),
        Currency("ZAR", "South Africa", "ZA", 100, ("card", "eft", "qr", "bank_transfer")),
        Currency(
            "XOF",
            "Côte d'Ivoire",
            "CI",
            100,
            ("card", "mobile_money"),
            ("mtn", "orange", "wave"),
            decimals=0,
        ),
        Currency("USD", "Nigeria", "NG", 200, ("card",)),
        Currency("EGP", "Egypt", "EG", 100, ("card",)),
        Currency("RWF", "Rwanda", "RW", 100, ("card",)),
    )
}

# What a merchant of the country charges in at first; dollars are switched on by request (facts 11.1).
COUNTRIES: dict[str, tuple[str, ...]] = {
    "ghana": ("GHS",),
    "nigeria": ("NGN",),
    "kenya": ("KES",),
    "south-africa": ("ZAR",),
    "cote-divoire": ("XOF",),
}


@dataclass(frozen=True, slots=True)
class Price:
    """A rate and a flat part in the subunit, which is waived below `flat_from_minor`."""

    rate: Decimal
    flat_minor: int = 0
    flat_from_minor: int = 0
    cap_minor: int | None = None


# Local prices (facts 11.2, from Paystack's pricing articles). A channel without its own row pays "".
_PRICES: dict[str, dict[str, Price]] = {
    "GHS": {"": Price(Decimal("0.0195"))},
    "NGN": {"": Price(Decimal("0.015"), 10_000, 250_000, 200_000)},
    "KES": {"": Price(Decimal("0.029")), "mobile_money": Price(Decimal("0.015"))},
    "ZAR": {"": Price(Decimal("0.029"), 100)},
    "XOF": {"": Price(Decimal("0.032")), "mobile_money": Price(Decimal("0.0195"))},
    "USD": {"": Price(Decimal("0.039"))},
    "EGP": {"": Price(Decimal("0.027"), 250)},
    "RWF": {"": Price(Decimal("0.029"))},
}


def _price(currency: str, channel: str) -> Price:
    by_channel = _PRICES[currency]
    return by_channel.get(channel, by_channel[""])


def fee_minor(amount_minor: int, currency: str, channel: str, rounding: str) -> int:
    """Paystack's fee on `amount_minor`, in the subunit."""
    price = _price(currency, channel)
    fee = amount_minor * price.rate
    if price.flat_minor and amount_minor >= price.flat_from_minor:
        fee += price.flat_minor
    rounded = int(fee.to_integral_value(rounding=rounding))
    return rounded if price.cap_minor is None else min(rounded, price.cap_minor)


def amount_with_fee_minor(amount_minor: int, currency: str, channel: str) -> int:
    """What the payer is charged so that `amount_minor` is left after the fee: (amount + flat) / (1 - rate)."""
    price = _price(currency, channel)
    flat = price.flat_minor if amount_minor >= price.flat_from_minor else 0
    gross = int(((amount_minor + flat) / (1 - price.rate)).to_integral_value(rounding=ROUND_CEILING))
    return gross if price.cap_minor is None else min(gross, amount_minor + price.cap_minor)


def display(amount_minor: int, currency: str) -> str:
    """For people: `GHS 1,234.50`, `XOF 1,000`."""
    decimals = CURRENCIES[currency].decimals
    return f"{currency} {Decimal(amount_minor) / 100:,.{decimals}f}"
