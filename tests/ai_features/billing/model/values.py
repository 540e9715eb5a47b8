from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

MOST = 9_000_000_000_000_000_000
NEVER = datetime.max.replace(tzinfo=UTC)


def credits_of(micro: int) -> Decimal:
    return Decimal(micro) / 1_000_000


def text_of(micro: int) -> str:
    whole, rest = divmod(micro, 1_000_000)
    return f"{whole}." + (f"{rest:06}".rstrip("0") or "0")


class Refused(Exception):
    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


@dataclass
class Lot:
    source: str
    amount: int
    left: int
    expires_at: datetime | None
    number: int
    is_past: bool = False
    """What is left in it is only kept for reservations."""

    @property
    def order(self) -> tuple[datetime, bool, int]:
        return self.expires_at or NEVER, self.source == "purchased", self.number


@dataclass(frozen=True)
class Caller:
    member: int | None = None
    token: str = ""


@dataclass(frozen=True)
class Asked:
    """Credits, or what the feature costs for so many tokens."""

    micro: int | None = None
    feature: str = ""
    tokens_out: int = 0

    @property
    def request(self) -> dict[str, Any]:
        said = {"credits": None if self.micro is None else text_of(self.micro)}
        said |= {"feature": self.feature, "tokens_out": self.tokens_out}
        return {name: value for name, value in said.items() if value}


@dataclass
class Reservation:
    credits: int
    feature: str
    caller: Caller
    made_at: datetime
    expires_at: datetime
    kept: int = 0
    """How much of it is in lots past their expiry."""
    charged: int = 0
    status: str = "open"
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass
class Entry:
    kind: str
    amount: int
    debt_change: int
    balance_after: int
    at: datetime
    feature: str = ""
    caller: Caller = Caller()
    metadata: Any = None
    reference: str | None = None


@dataclass
class Cap:
    scope: str
    subject: str
    period: str
    limit: int
    since: int
    """How many entries there were when it was set."""

    def covers(self, feature: str, caller: Caller) -> bool:
        mine = {"feature": feature, "member": str(caller.member), "token": caller.token}
        return mine[self.scope] == self.subject

    def start(self, now: datetime) -> datetime:
        return now.replace(hour=0, minute=0, second=0, microsecond=0, **({"day": 1} if self.period == "month" else {}))

    def seconds_left(self, now: datetime) -> int:
        end = self.start(now) + timedelta(days=1)
        while self.period == "month" and end.month == now.month:
            end += timedelta(days=1)
        return int((end - now).total_seconds()) + 1


@dataclass
class Prices:
    """Per call, and per 1,000 tokens out."""

    of: dict[str, tuple[int, int]]

    def cost(self, asked: Asked) -> int:
        if asked.micro is not None:
            return asked.micro
        if asked.feature not in self.of:
            raise Refused("feature_unknown", feature=asked.feature)
        per_call, per_1000 = self.of[asked.feature]
        cost = per_call * 1000 + per_1000 * asked.tokens_out
        return cost // 1000 + (1 if cost % 1000 else 0)
