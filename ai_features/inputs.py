"""What a request asks for, read and checked before a view acts on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import Serializer

from ai_features import serializers
from ai_features.billing import Use
from ai_features.billing.requests import is_plain_text
from ai_features.exceptions import CreditsNotANumber, InvalidRequest
from ai_features.money import CURRENCIES

_QUANTITIES = ("units", "tokens_in", "tokens_out")
_QUANTITIES_ARE = f"How much was used is told by {', '.join(_QUANTITIES)}."
_OF_A_USE = {*serializers.ReserveRequest().fields, "csrfmiddlewaretoken"}


def read(form: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated input. Raises REST framework's ValidationError, which becomes a 422."""
    filled = form(data=data)
    filled.is_valid(raise_exception=True)
    return dict(filled.validated_data)


def currency_in(request: Request) -> str | None:
    """That a question is about, if it names one. Raises InvalidRequest for what is none of Paystack's."""
    currency = request.query_params.get("currency", "").upper() or None
    if currency is not None and currency not in CURRENCIES:
        raise InvalidRequest(fields={"currency": [f"Choose one of: {', '.join(CURRENCIES)}."]})
    return currency


def use_of(data: Any) -> tuple[Use, dict[str, Any] | None]:
    """What a body says was used, and the app's note on it. Raises InvalidRequest or a CreditsOutOfRange."""
    if not isinstance(data, dict):
        raise InvalidRequest(fields={"credits": ["Send a JSON object."]})
    credits_, feature, metadata = data.get("credits"), data.get("feature", ""), data.get("metadata")
    if credits_ is not None and (isinstance(credits_, bool) or not isinstance(credits_, int | Decimal)):
        raise CreditsNotANumber
    if not isinstance(feature, str):
        raise InvalidRequest(fields={"feature": ["A feature's code."]})
    if credits_ is None:
        _refuse_others(data)
    quantities = {name: whole_number(data, name) for name in _QUANTITIES}
    return Use(
        credits_, feature, quantities["units"], quantities["tokens_in"] or 0, quantities["tokens_out"] or 0
    ), metadata


def _refuse_others(data: dict[str, Any]) -> None:
    """Where the fields make the price, a name that is misspelled would be charged as nothing."""
    others = {name if is_plain_text(name, 40) else "?" for name in data.keys() - _OF_A_USE}
    if others:
        raise InvalidRequest(fields={name: [f"No field of this. {_QUANTITIES_ARE}"] for name in sorted(others)[:10]})


def whole_number(data: Any, name: str) -> int | None:
    """Raises InvalidRequest; None where it is not there."""
    value = data.get(name) if isinstance(data, dict) else None
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InvalidRequest(fields={name: ["A whole number."]})
