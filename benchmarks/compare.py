"""Each operation beside its yardsticks, turn by turn, and what comes of it: medians, spread, ratio, goal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

SWING_MAX = 0.30
"""A yardstick that swings by more says that the machine was busy with something else."""
ATTEMPTS = 4

Measure = Callable[[float], float]
"""For so many seconds; returns operations a second."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    name: str
    measure: Measure
    goal: float | None = None
    """The operation's rate is to be at least so many times the yardstick's; None: only told."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the goals' table."""

    name: str
    measure: Measure
    yardsticks: Sequence[Yardstick]


@dataclass(frozen=True, slots=True)
class Result:
    """Rates in operations a second, one a repeat; ratios are of the same repeat."""

    row: str
    yardstick: str
    goal: float | None
    rates: tuple[float, ...]
    yardstick_rates: tuple[float, ...]
    thrown_away: int

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(rate / yard for rate, yard in zip(self.rates, self.yardstick_rates, strict=True))

    @property
    def is_steady(self) -> bool:
        return swing(self.yardstick_rates) <= SWING_MAX

    @property
    def is_met(self) -> bool | None:
        return None if self.goal is None else median(self.ratios) >= self.goal

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": median(self.ratios), "is_steady": self.is_steady, "is_met": self.is_met}


def swing(rates: Sequence[float]) -> float:
    """How far the extremes are apart, as a part of the lower one."""
    return max(rates) / min(rates) - 1


def compare(row: Row, *, seconds: float, repeats: int) -> list[Result]:
    """Measure until a run has steady yardsticks, or the attempts are used up; the last one counts then, and says so."""
    thrown_away = 0
    while True:
        rates: list[float] = []
        yards: dict[str, list[float]] = {yardstick.name: [] for yardstick in row.yardsticks}
        for _ in range(repeats):
            for yardstick in row.yardsticks:
                yards[yardstick.name].append(yardstick.measure(seconds))
            rates.append(row.measure(seconds))
        if thrown_away + 1 == ATTEMPTS or all(swing(measured) <= SWING_MAX for measured in yards.values()):
            break
        print(f"  {row.name}: thrown away, a yardstick swings too much: {_rounded(yards)}", file=sys.stderr)
        thrown_away += 1
    return [
        Result(row.name, yard.name, yard.goal, tuple(rates), tuple(yards[yard.name]), thrown_away)
        for yard in row.yardsticks
    ]


def line(result: Result) -> str:
    """A row of a Markdown table."""
    ratios = result.ratios
    verdict = {None: "", True: "met", False: "**missed**"}[result.is_met]
    cells = [
        result.row,
        f"{median(result.rates):,.0f} ({min(result.rates):,.0f}–{max(result.rates):,.0f})",
        f"{result.yardstick} {median(result.yardstick_rates):,.0f}",
        f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
        "" if result.goal is None else f"{result.goal:.2f}",
        verdict + ("" if result.is_steady else " unsteady"),
    ]
    return f"| {' | '.join(cells)} |"


HEADING = """\
| operation | a second: median (spread) | yardstick | × yardstick: median (spread) | goal | |
|---|---|---|---|---|---|"""


def _rounded(yards: Mapping[str, Sequence[float]]) -> str:
    return "; ".join(f"{name} {', '.join(f'{rate:,.0f}' for rate in rates)}" for name, rates in yards.items())
