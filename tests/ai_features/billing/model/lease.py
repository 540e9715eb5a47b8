from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.ai_features.billing.model.values import Asked, Caller, Refused, Reservation
from tests.ai_features.billing.model.wallet import WalletModel


class LeaseModel:
    """What a lease reserves and writes, and when."""

    def __init__(self, wallet: WalletModel, step: int, feature: str, ttl: int, caller: Caller) -> None:
        self.wallet = wallet
        self.step = step
        self.feature = feature
        self.ttl = ttl
        self.caller = caller
        self.pending: list[tuple[int, str, Any]] = []
        self.left = 0
        self.reserved: Reservation | None = None
        self.write_at = datetime.min.replace(tzinfo=UTC)

    def enter(self) -> None:
        self._reserve(self.step, self.feature)

    def spend(self, asked: Asked) -> None:
        cost = self.wallet.prices.cost(asked)
        if self.wallet.now >= self.write_at:
            self.flush()
        # Under a cap of its own, a feature must not pass for another.
        is_other = self.reserved is not None and self.reserved_under_caps and self.reserved.feature != asked.feature
        if cost > self.left or is_other:
            self._reserve(cost, asked.feature)
        self.left -= cost
        self.pending.append((cost, asked.feature, None))

    def flush(self) -> None:
        if self.reserved is None:
            return
        if not self.left:
            self.close()
            return
        until = self.wallet.now + timedelta(seconds=self.ttl)
        if self.pending:
            self._capture(until)
        elif self.reserved.status == "open":
            self.wallet.renew(self.reserved, self.ttl)
        self.write_at = self.wallet.now + timedelta(seconds=self.ttl / 3)
        if self.reserved.status != "open":
            self.reserved, self.left = None, 0

    def close(self) -> None:
        if self.reserved is None:
            return
        if self.pending:
            self._capture(None)
        elif self.reserved.status == "open":
            self.wallet.release(self.reserved)
        self.reserved, self.left = None, 0

    def _capture(self, until: datetime | None) -> None:
        assert self.reserved is not None
        self.wallet.charge(self.reserved, self.pending, self.caller, until)
        self.reserved_under_caps = bool(self.wallet.caps)
        self.pending = []

    def _reserve(self, cost: int, feature: str) -> None:
        """A full step, or as much as this call needs where that is all there is."""
        self.close()
        for amount in (max(self.step, cost), cost):
            try:
                self.reserved, self.left, _ = self.wallet.reserve(Asked(amount, feature), self.ttl, self.caller, None)
                break
            except Refused as refused:
                if amount == cost:
                    raise refused from None
        self.reserved_under_caps = bool(self.wallet.caps)
        self.write_at = self.wallet.now + timedelta(seconds=self.ttl / 3)
