"""What apps ask of the hot path, call by call, what comes of it, and how both are written down for the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from ai_features.billing.ledger.accounts import Charge, UserKey
from ai_features.billing.ledger.arrays import quoted
from ai_features.billing.round_trip import Answer, Row

Given = TypeVar("Given")
Element = int | str | None


@dataclass(slots=True)
class Operation:
    """One call in the function's words: `op` is spend, reserve, capture or release; credits are micro-credits.

    `charges` are the entries a spend or capture makes; a capture that does not close keeps the reservation open.
    """

    op: str
    wallet_id: int
    credits: int
    charges: Sequence[Charge] = ()
    key: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    reservation_id: int | None = None
    expires_at: datetime | None = None
    closes: bool = True
    over_http: bool = False
    digest: str = ""
    """Of a token, where the wallet is not known: then that of its user."""
    _elements: tuple[Element, ...] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def is_plain_spend(self) -> bool:
        """Whether its first elements say it all."""
        return self.op == "spend" and self.key is None

    def elements(self) -> tuple[Element, ...]:
        """What it adds to each array, where it has one charge at most. Written once, by its caller before it lines up:
        whoever carries out a batch keeps all others waiting."""
        if self._elements is None:
            self._elements = _elements_of(self)
        return self._elements


class Applied(NamedTuple):
    """The ids of the entries made, or of the reservation; `available` and `low_balance` are for notices."""

    ids: list[int]
    balance: int
    available: int
    low_balance: int | None
    wallet_id: int | None = None
    """Where the operation did not say it."""


class Busy:
    """The outcome of an operation whose wallet another transaction holds, or may hold, where it may not wait."""


Outcome = Applied | Busy
BUSY: Outcome = Busy()


@dataclass(frozen=True, slots=True)
class Reply(Generic[Given]):
    """What came of a batch, in its order; None was left alone. To read it takes a while, as with `round_trip.Answer`,
    and may be repeated."""

    read: Callable[[], list[Given | None]]


def in_order(asked: Sequence[Any], answer: Answer, make: Callable[..., Given]) -> Reply[Given]:
    """What came of a batch, from rows that begin with the number of the call, from 1."""
    return Reply(partial(_in_places, len(asked), answer.rows, make))


def _in_places(size: int, rows: Callable[[], list[Row]], make: Callable[..., Given]) -> list[Given | None]:
    outcomes: list[Given | None] = [None] * size
    for number, *row in rows():
        outcomes[number - 1] = make(*row)
    return outcomes


SPEND_COLUMNS = 6


def _elements_of(operation: Operation) -> tuple[Element, ...]:
    """In the order of the parameters of `apply.sql`, of which `spend_each.sql` has the first `SPEND_COLUMNS`; or, by
    token, of the function for that (`lean.py`)."""
    charge = operation.charges[0] if operation.charges else Charge(0)
    about = elements_of_entry(charge)
    if operation.digest:
        return operation.digest, *about[:-1]
    until = None if operation.expires_at is None else operation.expires_at.isoformat()
    mark = "true" if operation.over_http else None
    which = operation.op, quoted(charge.token or None), operation.reservation_id, until, mark
    request = None if operation.key is None else json_text(operation.request)
    return operation.wallet_id, *about, *which, quoted(operation.key), quoted(request)


def elements_of_entry(charge: Charge) -> tuple[Element, ...]:
    about = json_text(charge.pricing), json_text(charge.metadata), key_text(charge.member_id)
    return charge.amount, *map(quoted, (charge.feature, *about))


def key_text(key: UserKey | None) -> str | None:
    return None if key is None else str(key)


def json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
