"""What the buyers know: what they were told and what they did. The checker holds the app to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MICRO = 1_000_000


@dataclass(slots=True)
class Bought:
    """A purchase that the app has acknowledged. `paid_at` is by the clock of this machine, when Paystack said so."""

    buyer: str
    reference: str
    amount_minor: int
    credits: int
    paid_at: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """`entry` is None where no answer came, however often it was asked: it happened once or not at all."""

    buyer: str
    credits: int
    entry: int | None


@dataclass
class Notes:
    bought: dict[str, Bought] = field(default_factory=dict)
    spent: list[Spent] = field(default_factory=list)
    strangers: set[str] = field(default_factory=set)
    """Payments at Paystack that no buyer of ours made."""
    did: Counter[str] = field(default_factory=Counter)
    felt: Counter[str] = field(default_factory=Counter)
    """What went wrong for buyers, by status or kind of error."""
    promises: dict[str, str] = field(default_factory=dict)
    """Reference → what `verify` said last, where it said success."""
