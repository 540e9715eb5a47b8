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
    def plain_kind(self) -> str | None:
        """`spend`, `reserve` or `capture` where many of it can share one statement: without a key, with one charge, and
        the last of its reservation. None is for `one_by_one`."""
        return self.op if self.key is None and len(self.charges) == 1 and self.closes else None

    def elements(self) -> tuple[Element, ...]:
        """What it adds to each array of the function of its plain kind. Written once, by its caller before it lines
        up: whoever carries out a batch keeps all others waiting."""
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


@dataclass(frozen=True, slots=True)
class Reply(Generic[Given]):
    """What came of a batch, in its order; None was left alone, which no call was where it `is_complete`. To read it
    takes a while, as with `round_trip.Answer`, and may be repeated."""

    read: Callable[[], list[Given | None]]
    is_complete: bool = False


def in_order(asked: Sequence[Any], answer: Answer, make: Callable[..., Given | None]) -> Reply[Given]:
    """What came of a batch, from rows that begin with the number of the call, from 1."""
    return Reply(partial(_in_places, len(asked), answer.rows, make), is_complete=answer.count == len(asked))


def _in_places(size: int, rows: Callable[[], list[Row]], make: Callable[..., Given | None]) -> list[Given | None]:
    outcomes: list[Given | None] = [None] * size
    for number, *row in rows():
        outcomes[number - 1] = make(*row)
    return outcomes


class Busy:
    """The outcome of an operation whose wallet another transaction holds, where it may not wait."""


BUSY = Busy()


def _elements_of(operation: Operation) -> tuple[Element, ...]:
    """In the order of the parameters of its function."""
    (charge,) = operation.charges
    if operation.digest:
        return operation.digest, *elements_of_entry(charge)[:-1]
    mark = "true" if operation.over_http else None
    if operation.op == "reserve":
        until = None if operation.expires_at is None else operation.expires_at.isoformat()
        about = charge.amount, quoted(charge.feature), quoted(key_text(charge.member_id)), quoted(charge.token or None)
        return operation.wallet_id, *about, until, mark
    if operation.op == "capture":
        return operation.wallet_id, *elements_of_entry(charge), operation.reservation_id, mark
    return operation.wallet_id, *elements_of_entry(charge)


def elements_of_entry(charge: Charge) -> tuple[Element, ...]:
    about = json_text(charge.pricing), json_text(charge.metadata), key_text(charge.member_id)
    return charge.amount, *map(quoted, (charge.feature, *about))


def as_row(number: int, operation: Operation) -> dict[str, Any]:
    """Keys as in the record of `hot_path.sql`."""
    row: dict[str, Any] = {"n": number, "op": operation.op, "w": operation.wallet_id, "c": operation.credits}
    if operation.key is not None:
        row |= {"k": operation.key, "q": operation.request}
    if operation.reservation_id is not None:
        row["r"] = operation.reservation_id
    if operation.over_http:
        row["h"] = True
    if operation.expires_at is not None:
        row["e"] = operation.expires_at
    for charge in operation.charges:
        row |= {"f": charge.feature, "t": charge.token}
        about = {"p": charge.pricing, "d": charge.metadata, "m": charge.member_id}
        row |= {name: value for name, value in about.items() if value is not None}
    return row


def key_text(key: UserKey | None) -> str | None:
    return None if key is None else str(key)


def json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
