"""Which lots a wallet's entries used, and what that was worth. Pure; micro-credits and the currency's subunit.

The ledger charges lots lazily and does not write down when a spend met which lot, so it is worked out again from the
entries, by the same order of use. An entry that names its lot – expiry, refund – is exact in any case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import NamedTuple

from ai_features.models import EntryKind

_NEVER = datetime.max.replace(tzinfo=UTC)
_USE = frozenset({EntryKind.SPEND, EntryKind.CAPTURE, EntryKind.DEBT_PAYMENT})
_IN = {EntryKind.PURCHASE: "credits_sold", EntryKind.BONUS: "credits_bonus", EntryKind.GRANT: "credits_granted"}


class Book(NamedTuple):
    """Whose statement a figure is in. Test and live share nothing; what nobody paid for, and debt, has neither part."""

    currency: str = ""
    mode: str = ""


class Entry(NamedTuple):
    """`change` is that of the balance: the amount, and what debt took on."""

    kind: str
    change: int
    debt_change: int
    lot_id: int | None
    created_at: datetime


@dataclass(slots=True)
class LotState:
    """`value_minor` is what all of it was sold for; 0 for credits that were given."""

    id: int
    amount: int
    remaining: int
    expires_at: datetime | None
    is_purchased: bool
    book: Book
    value_minor: int

    @property
    def value_left_minor(self) -> int:
        """Rounded down, the same way each time: what a part was worth is the difference of two of these."""
        return self.value_minor * self.remaining // self.amount

    @property
    def turn(self) -> tuple[datetime, bool, int]:
        return self.expires_at or _NEVER, self.is_purchased, self.id


@dataclass(slots=True)
class Moved:
    """What moved in one book."""

    sold_minor: int = 0
    used_minor: int = 0
    breakage_minor: int = 0
    returned_minor: int = 0
    credits_sold: int = 0
    credits_bonus: int = 0
    credits_granted: int = 0
    credits_spent: int = 0
    credits_expired: int = 0
    credits_taken_back: int = 0
    debt_change: int = 0

    @property
    def deferred_change_minor(self) -> int:
        return self.sold_minor - self.used_minor - self.breakage_minor - self.returned_minor

    @property
    def credits_change(self) -> int:
        came = self.credits_sold + self.credits_bonus + self.credits_granted
        return came - self.credits_spent - self.credits_expired - self.credits_taken_back

    def as_dict(self) -> dict[str, int]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


def by_book() -> defaultdict[Book, Moved]:
    return defaultdict(Moved)


@dataclass(slots=True)
class WalletState:
    """One wallet's lots with something left, and those that the entries are about."""

    lots: dict[int, LotState]
    changed: set[int] = field(default_factory=set)
    _order: list[LotState] | None = None

    def apply(self, entries: Iterable[Entry], moved: defaultdict[Book, Moved]) -> None:
        for entry in entries:
            if entry.debt_change:
                moved[Book()].debt_change += entry.debt_change
            if entry.change > 0:
                assert entry.lot_id is not None, "credits come in lots"
                self._come(self.lots[entry.lot_id], entry, moved)
            elif entry.change < 0:
                for lot, amount in self._leave(entry):
                    self._book_out(lot, amount, entry.kind, moved[lot.book])

    def _come(self, lot: LotState, entry: Entry, moved: defaultdict[Book, Moved]) -> None:
        before = lot.value_left_minor
        self._set(lot, lot.remaining + entry.change)
        if not lot.remaining - entry.change:
            self._order = None
        gained, book = lot.value_left_minor - before, moved[lot.book]
        if name := _IN.get(EntryKind(entry.kind)):
            setattr(book, name, getattr(book, name) + entry.change)
            book.sold_minor += gained
        else:
            book.credits_taken_back -= entry.change
            book.returned_minor -= gained

    def _leave(self, entry: Entry) -> Iterator[tuple[LotState, int]]:
        amount = -entry.change
        if entry.lot_id is not None:
            own = self.lots[entry.lot_id]
            part = min(amount, own.remaining)
            if part:
                yield own, part
            amount -= part
        for lot in self._in_order_of_use(entry) if amount else ():
            part = min(amount, lot.remaining)
            yield lot, part
            amount -= part
            if not amount:
                return

    def _in_order_of_use(self, entry: Entry) -> Iterator[LotState]:
        """Lots past their time are there for the reservations that hold them, and so for captures; else only last."""
        if self._order is None:
            self._order = sorted((lot for lot in self.lots.values() if lot.remaining), key=lambda lot: lot.turn)
        elif self._order and not self._order[0].remaining:
            self._order = [lot for lot in self._order if lot.remaining]
        overdue = []
        for lot in self._order:
            if entry.kind != EntryKind.CAPTURE and lot.expires_at is not None and lot.expires_at <= entry.created_at:
                overdue.append(lot)
            elif lot.remaining:
                yield lot
        yield from (lot for lot in overdue if lot.remaining)

    def _book_out(self, lot: LotState, amount: int, kind: str, book: Moved) -> None:
        before = lot.value_left_minor
        self._set(lot, lot.remaining - amount)
        lost = before - lot.value_left_minor
        if kind in _USE:
            book.credits_spent += amount
            book.used_minor += lost
        elif kind == EntryKind.EXPIRY:
            book.credits_expired += amount
            book.breakage_minor += lost
        else:
            book.credits_taken_back += amount
            book.returned_minor += lost

    def _set(self, lot: LotState, remaining: int) -> None:
        lot.remaining = remaining
        self.changed.add(lot.id)


def values_of_lots(price_minor: int, credits_: int, bonus_credits: int) -> tuple[int, int]:
    """What the purchased lot and the bonus lot were sold for: the price, spread evenly over all credits."""
    bonus_minor = price_minor * bonus_credits // (credits_ + bonus_credits)
    return price_minor - bonus_minor, bonus_minor
