"""Which lots pay: pure functions over what is left in them, all amounts in micro-credits.

Worked example, with the lots of one wallet (docs/LEDGER.md has more):

    lot   source      left   expires
    1     purchased   80     30 June
    2     bonus       20     30 June
    3     granted     5      31 May
    4     purchased   30     never

Spending 90 takes 5 from lot 3 (soonest expiry), 20 from lot 2 (given before paid for), 65 from lot 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

_NEVER = datetime.max.replace(tzinfo=UTC)


class LotLeft(NamedTuple):
    """What is left in one lot. Lots are numbered as they came in."""

    id: int
    remaining: int
    expires_at: datetime | None
    is_purchased: bool


@dataclass(frozen=True, slots=True)
class Taken:
    lot: LotLeft
    amount: int

    @property
    def left(self) -> int:
        return self.lot.remaining - self.amount


def order_of_use(lot: LotLeft) -> tuple[datetime, bool, int]:
    """Soonest expiry, then bonus and granted before purchased, then oldest; as the database's `ORDER_OF_USE`."""
    return lot.expires_at or _NEVER, lot.is_purchased, lot.id


def take(lots: Iterable[LotLeft], amount: int) -> list[Taken]:
    """Take `amount` from lots that stand in order of use, or all there is; asks for no more lots than it needs."""
    taken = []
    source = iter(lots)
    while amount > 0 and (lot := next(source, None)) is not None:
        part = min(amount, lot.remaining)
        taken.append(Taken(lot, part))
        amount -= part
    return taken


def left_after(lots: Iterable[LotLeft], amount: int) -> Iterable[LotLeft]:
    """What the lots will hold once `amount` has been taken, the used-up ones left out."""
    for lot in lots:
        part = min(amount, lot.remaining)
        amount -= part
        if part < lot.remaining:
            yield LotLeft(lot.id, lot.remaining - part, lot.expires_at, lot.is_purchased)


def in_proportion(amounts: Sequence[int], total: int) -> list[int]:
    """`total` split as the amounts are, in whole micro-credits: none gets more than its amount, none is lost.

    Raises ValueError for a total above their sum.
    """
    whole = sum(amounts)
    if total > whole:
        raise ValueError(f"{total} is more than {whole}")
    shares, before = [], 0
    for amount in amounts:
        upto = before + amount
        shares.append(total * upto // whole - total * before // whole if whole else 0)
        before = upto
    return shares


def due_for(credits_: int, refunded_minor: int, payment_minor: int) -> int:
    """What of a purchase's credits is due once so much of its payment went back: all of it, for all of it."""
    return credits_ * min(refunded_minor, payment_minor) // payment_minor
