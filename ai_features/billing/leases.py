"""A reservation spent locally, for a process that charges thousands of calls a second on one wallet.

What the calls cost is counted here and written in steps, each one capture with an entry for every call. A process
that dies leaves a reservation that expires by itself: its buyer has paid for what was written, and for nothing else.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from django.utils import timezone

from ai_features.billing import notices, pricing, usage
from ai_features.billing.ledger import Charge, hot_path, open_account
from ai_features.billing.ledger.hot_path import Operation
from ai_features.billing.pricing import Use
from ai_features.billing.reservations import Reserved, checked_ttl, release, reserve
from ai_features.billing.spending import Caller, charge_for
from ai_features.exceptions import InsufficientCredits, SpendingCapReached
from ai_features.models import ReservationStatus
from ai_features.money import to_credits, to_micro

WRITE_EVERY_CALLS = 1000


class Lease:
    """Threads may share one. What is still to be written is written at the end, after an exception too.

    When its credits run out it writes what was used and reserves as many again; where the wallet has too few, the
    call that did not fit raises InsufficientCredits, and smaller ones may still fit.
    """

    def __init__(
        self, wallet_id: int, credits_: pricing.Credits, feature: str, ttl_seconds: int | None, caller: Caller
    ) -> None:
        self.wallet_id = wallet_id
        self._step = to_micro(credits_)
        self._feature = feature
        self._ttl = checked_ttl(ttl_seconds)
        self._caller = caller
        self._prices: pricing.Prices = {}
        self._guard = threading.Lock()
        self._pending: list[Charge] = []
        self._pending_micro = 0
        self._left = 0
        self._reserved: Reserved | None = None
        self._reserved_feature = ""
        self._write_key = ""
        self._write_at = 0.0

    def spend(
        self,
        credits: pricing.Credits | None = None,  # noqa: A002  the vocabulary's own word
        *,
        metadata: dict[str, Any] | None = None,
        **use: Any,
    ) -> None:
        """Charge one call, by credits or by a feature's price. Raises InsufficientCredits or a RequestRefused."""
        use.setdefault("feature", self._feature)
        charge = charge_for(Use(credits, **use), self._caller, metadata, self._prices)
        with self._guard:
            if self._write_key or time.time() >= self._write_at or len(self._pending) >= WRITE_EVERY_CALLS:
                self._write(closes=False)
            if charge.amount > self._left or not self._may_pay_for(charge.feature):
                self._reserve_for(charge.amount, charge.feature)
            self._left -= charge.amount
            self._pending_micro += charge.amount
            self._pending.append(charge)

    def flush(self) -> None:
        """Write what was used so far."""
        with self._guard:
            self._write(closes=False)

    def close(self) -> None:
        """Write what was used and let go of the rest. Safe to repeat."""
        with self._guard:
            self._write(closes=True)

    def __enter__(self) -> Self:
        with self._guard:
            self._reserve_for(self._step, self._feature)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _may_pay_for(self, feature: str) -> bool:
        """Where there are caps, what was reserved, and counted, for one feature is for no other."""
        return self._reserved is None or not self._reserved.is_capped or feature == self._reserved_feature

    def _reserve_for(self, amount: int, feature: str) -> None:
        """A new reservation in place of the one used up: a full step, or `amount` where that is all there is."""
        self._write(closes=True)
        try:
            self._reserved = self._reserve(max(self._step, amount), feature)
        except (InsufficientCredits, SpendingCapReached):
            self._reserved = self._reserve(amount, feature)
        self._reserved_feature = feature
        self._left = to_micro(self._reserved.credits)
        self._write_at = time.time() + self._ttl.total_seconds() / 3

    def _reserve(self, micro: int, feature: str) -> Reserved:
        use = Use(to_credits(micro), feature=feature)
        return reserve(self.wallet_id, use, self._caller, ttl_seconds=int(self._ttl.total_seconds()))

    def _write(self, *, closes: bool) -> None:
        if self._reserved is None:
            return
        if self._pending:
            still_open = self._capture(self._reserved, closes=closes)
            self._pending, self._pending_micro, self._write_key = [], 0, ""
        elif closes:
            release(self.wallet_id, self._reserved.id)
            still_open = False
        else:
            still_open = self._reserved.expires_at > timezone.now()
            if still_open:
                self._reserved.renew(int(self._ttl.total_seconds()))
        self._write_at = time.time() + self._ttl.total_seconds() / 3
        if not still_open:
            self._reserved, self._left = None, 0

    def _capture(self, reserved: Reserved, *, closes: bool) -> bool:
        """Write what is pending; says whether the reservation is still open.

        The key stays the same until the answer has come: a write whose answer was lost is not done again.
        """
        self._write_key = self._write_key or f"lease-{uuid4()}"
        until = timezone.now() + self._ttl
        operation = Operation(
            "capture",
            self.wallet_id,
            self._pending_micro,
            self._pending,
            key=self._write_key,
            request={"operation": "lease", "reservation": reserved.id, "calls": len(self._pending)},
            reservation_id=reserved.id,
            expires_at=until,
            closes=closes,
        )
        applied = hot_path.apply_one(operation)
        if applied is None:
            still_open = self._capture_exactly(operation, until)
        else:
            before = applied.available + self._pending_micro
            notices.watch(self.wallet_id, before, applied.available, applied.low_balance)
            usage.keep_up(self.wallet_id, applied.ids)
            still_open = not closes
        reserved.expires_at = until
        return still_open

    def _capture_exactly(self, operation: Operation, until: datetime) -> bool:
        assert operation.reservation_id is not None
        with open_account(self.wallet_id) as account:
            reservation = account.reservation(operation.reservation_id)
            if account.earlier_answer(operation.key, operation.request) is None:
                entries = account.capture(reservation, operation.charges, closes=operation.closes, expires_at=until)
                ids = [entry.pk for entry in entries]
                answer = {"ids": ids, "balance": account.wallet.balance}
                account.remember(operation.key, operation.request, answer)
                usage.keep_up(self.wallet_id, ids)
        return reservation.status == ReservationStatus.OPEN
