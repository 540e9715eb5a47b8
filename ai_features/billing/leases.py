"""A reservation spent locally, for a process that charges thousands of calls a second on one wallet.

What the calls cost is counted here and written in steps, each one capture with an entry for every call. Whoever finds
a step full writes it, and the others go on with the next meanwhile. A process that dies leaves a reservation that
expires by itself: its buyer has paid for what was written, and for nothing else.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from django.utils import timezone

from ai_features.billing import notices, pricing, usage
from ai_features.billing.ledger import Charge, hot_path, open_account
from ai_features.billing.ledger.operations import Operation
from ai_features.billing.pricing import Use
from ai_features.billing.reservations import Reserved, checked_ttl, release, reserve
from ai_features.billing.spending import Caller, charge_for
from ai_features.exceptions import InsufficientCredits, ReservationEnded, SpendingCapReached
from ai_features.models import ReservationStatus
from ai_features.money import to_credits, to_micro

WRITE_EVERY_CALLS = 1000
"""A process that dies loses at most twice as many: those on their way to the database and those that came since."""


@dataclass(slots=True)
class _Step:
    """What is written together. The key stays the same until the answer has come: a write whose answer was lost is
    not done again."""

    charges: list[Charge] = field(default_factory=list)
    micro: int = 0
    key: str = ""

    def add(self, other: _Step) -> None:
        self.charges += other.charges
        self.micro += other.micro

    def request(self, reserved: Reserved) -> dict[str, Any]:
        return {"operation": "lease", "reservation": reserved.id, "calls": len(self.charges)}


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
        self._has_changed = threading.Condition(self._guard)
        self._pending = _Step()
        self._sent: _Step | None = None
        """What was taken to be written, until it is known that it was."""
        self._is_writing = False
        """Somebody writes `_sent` without holding the guard; nothing but `_pending` and `_left` changes meanwhile."""
        self._left = 0
        self._reserved: Reserved | None = None
        self._reserved_feature = ""
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
            while not self._can_pay(charge):
                if self._is_writing:
                    self._has_changed.wait()
                elif self._sent is not None:
                    self._write(closes=False)
                elif self._is_due():
                    self._write_aside()
                else:
                    self._reserve_for(charge.amount, charge.feature)
            self._left -= charge.amount
            self._pending.charges.append(charge)
            self._pending.micro += charge.amount

    def flush(self) -> None:
        """Write what was used so far."""
        with self._guard:
            self._wait_for_writer()
            self._write(closes=False)

    def close(self) -> None:
        """Write what was used and let go of the rest. Safe to repeat."""
        with self._guard:
            self._wait_for_writer()
            self._write(closes=True)

    def __enter__(self) -> Self:
        with self._guard:
            self._wait_for_writer()
            self._reserve_for(self._step, self._feature)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _can_pay(self, charge: Charge) -> bool:
        """Whether the charge can be counted now, with nothing to be done before."""
        return (
            charge.amount <= self._left
            and not self._is_due()
            and (self._is_writing or self._sent is None)
            and self._may_pay_for(charge.feature)
        )

    def _is_due(self) -> bool:
        is_late = not self._is_writing and time.time() >= self._write_at
        return self._reserved is not None and (is_late or len(self._pending.charges) >= WRITE_EVERY_CALLS)

    def _may_pay_for(self, feature: str) -> bool:
        """Where there are caps, what was reserved, and counted, for one feature is for no other."""
        return self._reserved is None or not self._reserved.is_capped or feature == self._reserved_feature

    def _wait_for_writer(self) -> None:
        while self._is_writing:
            self._has_changed.wait()

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

    def _write_aside(self) -> None:
        """Write what is pending, and let the others go on meanwhile."""
        reserved = self._reserved
        if reserved is None or not self._left or not self._pending.charges:
            self._write(closes=False)
            return
        step = self._take()
        self._is_writing = True
        self._has_changed.notify_all()
        self._guard.release()
        try:
            is_written = self._write_at_once(reserved, step, closes=False)
        finally:
            self._guard.acquire()
            self._is_writing = False
            self._has_changed.notify_all()
        if is_written:
            self._sent = None
            self._write_at = time.time() + self._ttl.total_seconds() / 3
        else:
            self._write(closes=False)

    def _write(self, *, closes: bool) -> None:
        """Write everything, while nobody else can do anything."""
        if self._reserved is None:
            return
        # One with nothing left is of no more use, and nobody would end it.
        closes = closes or not self._left
        still_open = True
        if self._sent is None and not self._pending.charges and not closes:
            still_open = self._renew(self._reserved)
        while self._sent is not None or self._pending.charges:
            step = self._sent or self._take()
            still_open = self._capture(self._reserved, step, closes=closes and not self._pending.charges)
            self._sent = None
        # Also where a write that was to keep it open had been done before, and only its answer was lost.
        if closes and still_open:
            with suppress(ReservationEnded):
                release(self.wallet_id, self._reserved.id)
            still_open = False
        self._write_at = time.time() + self._ttl.total_seconds() / 3
        if not still_open:
            self._reserved, self._left = None, 0

    def _take(self) -> _Step:
        self._pending.key = f"lease-{uuid4()}"
        self._sent, self._pending = self._pending, _Step()
        return self._sent

    def _renew(self, reserved: Reserved) -> bool:
        """Whether it is open, and now for longer. If not, by its time or by somebody, nothing used was in it."""
        try:
            reserved.renew(int(self._ttl.total_seconds()))
        except ReservationEnded:
            return False
        return True

    def _capture(self, reserved: Reserved, step: _Step, *, closes: bool) -> bool:
        """Write a step; says whether the reservation is still open."""
        if self._write_at_once(reserved, step, closes=closes):
            return not closes
        return self._write_exactly(reserved, step, closes=closes)

    def _write_at_once(self, reserved: Reserved, step: _Step, *, closes: bool) -> bool:
        """Whether that was possible. Needs no guard."""
        until = timezone.now() + self._ttl
        operation = Operation(
            "capture",
            self.wallet_id,
            step.micro,
            step.charges,
            key=step.key,
            request=step.request(reserved),
            reservation_id=reserved.id,
            expires_at=until,
            closes=closes,
        )
        applied = hot_path.apply_one(operation)
        if applied is None:
            return False
        reserved.expires_at = until
        notices.watch(self.wallet_id, applied.available + step.micro, applied.available, applied.low_balance)
        usage.keep_up(self.wallet_id, applied.ids)
        return True

    def _write_exactly(self, reserved: Reserved, step: _Step, *, closes: bool) -> bool:
        """The same on the exact path. Whether the reservation is still open."""
        until = timezone.now() + self._ttl
        with open_account(self.wallet_id) as account:
            reservation = account.reservation(reserved.id)
            if account.earlier_answer(step.key, step.request(reserved)) is None:
                # One that has expired can be written to only once.
                step.add(self._pending)
                self._pending = _Step()
                entries = account.capture(reservation, step.charges, closes=closes, expires_at=until)
                ids = [entry.pk for entry in entries]
                account.remember(step.key, step.request(reserved), {"ids": ids, "balance": account.wallet.balance})
                usage.keep_up(self.wallet_id, ids)
        reserved.expires_at = until
        reserved.is_capped = account.wallet.is_capped
        return reservation.status == ReservationStatus.OPEN
