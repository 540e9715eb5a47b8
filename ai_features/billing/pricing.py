"""What a call costs: credits as the app says, or a feature's price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ai_features.billing.requests import is_plain_text
from ai_features.exceptions import CreditsOutOfRange, CreditsZero, FeatureUnknown, InvalidRequest
from ai_features.models import FeaturePrice
from ai_features.money import MAX_MICRO, to_credits, to_micro

FEATURE_LONGEST = 60
QUANTITY_MAX = 10**12

Credits = Decimal | int | str | float
Prices = dict[str, FeaturePrice]


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a feature: `credits` outright, or `feature` with how much of it was used.

    With both, the feature is only what the entry is filed under. `request` is what an idempotency key stands for.
    """

    credits: Credits | None = None
    feature: str = ""
    units: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def request(self) -> dict[str, Any]:
        asked: dict[str, Any] = {}
        if self.credits is not None:
            asked["credits"] = format(to_credits(to_micro(self.credits)), "f")
        if self.units is not None:  # none said is one, and 0 is none
            asked["units"] = self.units
        for name in ("feature", "tokens_in", "tokens_out"):
            if value := getattr(self, name):
                asked[name] = value
        return asked


@dataclass(frozen=True, slots=True)
class Price:
    """In micro-credits; `pricing` is how it came about, for the entry."""

    amount: int
    pricing: dict[str, Any] | None = None


def price(use: Use, prices: Prices | None = None) -> Price:
    """What it costs now, or by the `prices` that were read before and are added to.

    Raises a CreditsOutOfRange, FeatureUnknown or InvalidRequest.
    """
    _check(use)
    if use.credits is not None:
        return Price(to_micro(use.credits))
    if not use.feature:
        raise InvalidRequest(fields={"credits": ["Say how many credits, or which feature."]})
    found = _price_of(use.feature, {} if prices is None else prices)
    units = 1 if use.units is None and not (use.tokens_in or use.tokens_out) else use.units or 0
    parts = {
        "per_call": (found.per_call, 1, 1),
        "per_unit": (found.per_unit, units, 1),
        "per_1000_tokens_in": (found.per_1000_tokens_in, use.tokens_in, 1000),
        "per_1000_tokens_out": (found.per_1000_tokens_out, use.tokens_out, 1000),
    }
    thousandths = sum(rate * quantity * (1000 // per) for rate, quantity, per in parts.values())
    amount = -(-thousandths // 1000)
    if not amount:
        raise CreditsZero(f"This use of {use.feature} costs nothing; there is nothing to charge.")
    if amount > MAX_MICRO:
        raise CreditsOutOfRange
    pricing = {name: format(to_credits(rate), "f") for name, (rate, _, _) in parts.items() if rate}
    quantities = {"units": units, "tokens_in": use.tokens_in, "tokens_out": use.tokens_out}
    return Price(amount, pricing | {name: quantity for name, quantity in quantities.items() if quantity})


def _price_of(feature: str, prices: Prices) -> FeaturePrice:
    if feature not in prices:
        found = FeaturePrice.objects.filter(code=feature, is_active=True).first()
        if found is None:
            raise FeatureUnknown(feature=feature)
        prices[feature] = found
    return prices[feature]


def _check(use: Use) -> None:
    if not is_plain_text(use.feature, FEATURE_LONGEST):
        raise InvalidRequest(fields={"feature": [f"At most {FEATURE_LONGEST} printable characters."]})
    for name, value in (("units", use.units or 0), ("tokens_in", use.tokens_in), ("tokens_out", use.tokens_out)):
        if type(value) is not int or not 0 <= value <= QUANTITY_MAX:
            raise InvalidRequest(fields={name: [f"A whole number from 0 to {QUANTITY_MAX}."]})
