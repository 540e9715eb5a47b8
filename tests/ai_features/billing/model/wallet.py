from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.ai_features.billing.model.values import (
    MOST,
    Asked,
    Caller,
    Cap,
    Entry,
    Lot,
    Prices,
    Refused,
    Reservation,
    credits_of,
    text_of,
)


class WalletModel:
    def __init__(self, now: datetime, prices: Prices) -> None:
        self.now = now
        self.prices = prices
        self.debt = 0
        self.lots: list[Lot] = []
        self.entries: list[Entry] = []
        self.reservations: list[Reservation] = []
        self.caps: list[Cap] = []
        self.keys: dict[str, tuple[dict[str, Any], Any]] = {}

    # What there is

    @property
    def balance(self) -> int:
        return sum(lot.left for lot in self.lots)

    @property
    def open(self) -> list[Reservation]:
        return [one for one in self.reservations if one.status == "open"]

    @property
    def held(self) -> int:
        return sum(one.credits for one in self.open)

    @property
    def available(self) -> int:
        return 0 if self.debt else self.balance - self.held

    @property
    def expiring(self) -> list[tuple[Decimal, datetime]]:
        left: dict[datetime, int] = {}
        for lot in self._usable():
            if lot.expires_at is not None:
                left[lot.expires_at] = left.get(lot.expires_at, 0) + lot.left
        return [(credits_of(micro), moment) for moment, micro in sorted(left.items())]

    def check(self, asked: Asked) -> tuple[bool, int, int, int]:
        cost = self.prices.cost(asked)
        suffices = self.available >= cost
        return suffices, self.available, cost, 0 if suffices else cost - self.available + self.debt

    def used_by_feature(self, since: datetime) -> dict[str, tuple[Decimal, int]]:
        used: dict[str, tuple[Decimal, int]] = {}
        for entry in self.entries:
            if entry.kind in ("spend", "capture") and entry.at >= since:
                before, calls = used.get(entry.feature, (Decimal(0), 0))
                used[entry.feature] = before + credits_of(-entry.amount), calls + 1
        return used

    # Time

    def coming(self) -> list[datetime]:
        ends = [one.expires_at for one in self.open]
        return sorted(ends + [lot.expires_at for lot in self.lots if lot.left and lot.expires_at and not lot.is_past])

    def move_to(self, now: datetime) -> None:
        """A reservation ends before what expires at the same moment."""
        while (moments := self.coming()) and moments[0] <= now:
            ending = [one for one in self.open if one.expires_at == moments[0]]
            if ending:
                self._end(ending[0], "expired")
            else:
                self._expire(next(lot for lot in self._usable() if lot.expires_at == moments[0]))
            self._pay_debt()
        self.now = now

    def _expire(self, lot: Lot) -> None:
        """What is held stays: the first in order of use."""
        kept = min(lot.left, self.held - sum(one.kept for one in self.open))
        lot.is_past = True
        self._lose(lot, lot.left - kept)
        for one in self.open:
            part = min(kept, one.credits - one.kept)
            one.kept += part
            kept -= part

    def _lose(self, lot: Lot, amount: int) -> None:
        if amount:
            lot.left -= amount
            self._enter("expiry", -amount)

    def _end(self, one: Reservation, status: str) -> None:
        one.status = status
        kept, one.kept = one.kept, 0
        for lot in self._past():
            part = min(kept, lot.left)
            kept -= part
            self._lose(lot, part)

    # Lots

    def _usable(self) -> list[Lot]:
        return sorted((lot for lot in self.lots if lot.left and not lot.is_past), key=lambda lot: lot.order)

    def _past(self) -> list[Lot]:
        return sorted((lot for lot in self.lots if lot.left and lot.is_past), key=lambda lot: lot.order)

    def _take(self, lots: list[Lot], amount: int) -> None:
        for lot in lots:
            part = min(amount, lot.left)
            lot.left -= part
            amount -= part
        assert amount == 0

    def _pay_debt(self, reference: str | None = None) -> None:
        payment = min(self.debt, self.balance - self.held)
        if payment:
            self._take(self._usable(), payment)
            self.debt -= payment
            self._enter("debt_payment", 0, -payment, reference=reference)

    def _enter(self, kind: str, amount: int, debt_change: int = 0, **about: Any) -> None:
        self.entries.append(Entry(kind, amount, debt_change, self.balance, self.now, **about))

    # Keys

    def once(self, key: str | None, request: dict[str, Any], work: Callable[[], Any]) -> Any:
        """The first answer again for the same request, and a conflict for another."""
        if key is not None and key in self.keys:
            first, answer = self.keys[key]
            if first != request:
                raise Refused("idempotency_conflict", first_request=first, this_request=request)
            return answer
        answer = work()
        if key is not None:
            self.keys[key] = request, answer
        return answer

    # Credits in

    def grant(self, amount: int, expires_at: datetime | None, key: str | None) -> Any:
        return self.once(
            key,
            {
                "operation": "grant",
                "credits": text_of(amount),
                "reason": "trial",
                "expires_at": expires_at and expires_at.isoformat(),
            },
            lambda: self._add([("grant", "granted", amount)], expires_at)[0],
        )

    def settle(self, credits_: int, bonus: int, expires_at: datetime | None, reference: str) -> None:
        new = [("purchase", "purchased", credits_), ("bonus", "bonus", bonus)]
        self._add([one for one in new if one[2]], expires_at, reference)

    def _add(
        self, new: Sequence[tuple[str, str, int]], expires_at: datetime | None, reference: str | None = None
    ) -> list[int]:
        if self.balance + sum(amount for _, _, amount in new) > MOST:
            raise Refused("credits_out_of_range")
        made = []
        for kind, source, amount in new:
            self.lots.append(Lot(source, amount, amount, expires_at, len(self.lots)))
            made.append(len(self.entries))
            self._enter(kind, amount, reference=reference)
        self._pay_debt(reference)
        return made

    # Credits out

    def spend(self, asked: Asked, caller: Caller, key: str | None, metadata: Any) -> Any:
        """The number of the entry, what it cost, the balance after it."""

        def work() -> Any:
            cost = self.prices.cost(asked)
            self._require([(cost, asked.feature)], caller)
            return self._charge("spend", [(cost, asked.feature, metadata)], caller)[0], cost, self.balance

        return self.once(key, {"operation": "spend", **asked.request}, work)

    def spend_many(self, asked: list[Asked], caller: Caller, key: str | None) -> Any:
        def work() -> Any:
            costs = [(self.prices.cost(one), one.feature) for one in asked]
            self._require(costs, caller)
            made = self._charge("spend", [(cost, feature, None) for cost, feature in costs], caller)
            return made, sum(cost for cost, _ in costs), self.balance

        return self.once(key, {"operation": "spend_many", "uses": [one.request for one in asked]}, work)

    def reserve(self, asked: Asked, ttl: int, caller: Caller, key: str | None) -> Any:
        """The reservation, its credits, when it expires."""

        def work() -> Any:
            cost = self.prices.cost(asked)
            self._require([(cost, asked.feature)], caller)
            until = self.now + timedelta(seconds=ttl)
            one = Reservation(cost, asked.feature, caller, self.now, until)
            self.reservations.append(one)
            return one, cost, until

        return self.once(key, {"operation": "reserve", **asked.request, "ttl_seconds": ttl}, work)

    def capture(self, one: Reservation, number: int, asked: Asked, caller: Caller, key: str | None, note: Any) -> Any:
        """The number of the entry, what was charged, the balance after, and whether it had expired.

        `number` is what the app calls the reservation.
        """

        def work() -> Any:
            cost = self.prices.cost(asked)
            if one.status == "captured" and one.charged == cost:
                return one.answer["capture"]
            was_expired = one.status == "expired"
            made = self.charge(one, [(cost, asked.feature, note)], caller)
            one.answer["capture"] = made[0], cost, self.entries[made[0]].balance_after, was_expired
            return one.answer["capture"]

        return self.once(key, {"operation": "capture", "reservation": number, **asked.request}, work)

    def charge(
        self,
        one: Reservation,
        charges: list[tuple[int, str, Any]],
        caller: Caller,
        stays_open_until: datetime | None = None,
    ) -> list[int]:
        """Capture, of a reservation that ends with it or stays open for more."""
        self._refuse_ended(one, "open", "expired")
        total = sum(cost for cost, _, _ in charges)
        if self.debt + total > MOST:
            raise Refused("credits_out_of_range")
        was_open = one.status == "open"
        own = min(total, one.credits) if was_open else 0
        kept = min(own, one.kept)
        self._take(self._past(), kept)
        one.kept -= kept
        others = self.held - one.credits if was_open else self.held
        before = self.balance + kept
        extra = min(total - own, max(0, before - own - others))
        self._take(self._usable(), own - kept + extra)
        made = self._enter_charges("capture", charges, caller, before, own + extra)
        one.charged += total
        if was_open and stays_open_until is not None:
            one.credits -= own
            one.expires_at = stays_open_until
        else:
            self._end(one, "captured")
        self._pay_debt()
        return made

    def release(self, one: Reservation) -> int:
        self._refuse_ended(one, "open", "released", "expired")
        if one.status == "open":
            self._end(one, "released")
            self._pay_debt()
        return self.balance

    def renew(self, one: Reservation, ttl: int) -> datetime:
        self._refuse_ended(one, "open")
        one.expires_at = self.now + timedelta(seconds=ttl)
        return one.expires_at

    def _refuse_ended(self, one: Reservation, *good: str) -> None:
        if one.status not in good:
            raise Refused("reservation_ended", status=one.status, captured=credits_of(one.charged))

    def _require(self, costs: list[tuple[int, str]], caller: Caller) -> None:
        total = sum(cost for cost, _ in costs)
        if total > self.available:
            raise self.insufficient(total)
        for cap in self.caps:
            asked = sum(cost for cost, feature in costs if cap.covers(feature, caller))
            if asked and self.counted(cap) + asked > cap.limit:
                raise Refused(
                    "spending_cap_reached",
                    scope=cap.scope,
                    subject=cap.subject,
                    period=cap.period,
                    limit=credits_of(cap.limit),
                    used=credits_of(self.counted(cap)),
                    retry_after_seconds=cap.seconds_left(self.now),
                )

    def insufficient(self, amount: int) -> Refused:
        more = {"debt": credits_of(self.debt)} if self.debt else {}
        return Refused(
            "insufficient_credits",
            current_balance=credits_of(self.available),
            required_credits=credits_of(amount),
            shortage=credits_of(amount - self.available + self.debt),
            **more,
        )

    def _charge(self, kind: str, charges: list[tuple[int, str, Any]], caller: Caller) -> list[int]:
        before, total = self.balance, sum(cost for cost, _, _ in charges)
        self._take(self._usable(), total)
        return self._enter_charges(kind, charges, caller, before, total)

    def _enter_charges(
        self, kind: str, charges: list[tuple[int, str, Any]], caller: Caller, balance: int, funds: int
    ) -> list[int]:
        """One entry each; what the funds don't pay is debt."""
        made = []
        for cost, feature, metadata in charges:
            paid = min(cost, funds)
            funds -= paid
            balance -= paid
            self.debt += cost - paid
            made.append(len(self.entries))
            self.entries.append(Entry(kind, -cost, cost - paid, balance, self.now, feature, caller, metadata))
        return made

    # Caps

    def set_cap(self, scope: str, subject: str, period: str, limit: int | None) -> None:
        old = next((cap for cap in self.caps if (cap.scope, cap.subject, cap.period) == (scope, subject, period)), None)
        if limit is None:
            self.caps = [cap for cap in self.caps if cap is not old]
        elif old is not None:
            old.limit = limit
        else:
            self.caps.append(Cap(scope, subject, period, limit, len(self.entries)))

    def counted(self, cap: Cap) -> int:
        """What was charged in this period since it was set, and what reservations of this period still set aside."""
        start = cap.start(self.now)
        charged = sum(
            -entry.amount
            for entry in self.entries[cap.since :]
            if entry.kind in ("spend", "capture") and entry.at >= start and cap.covers(entry.feature, entry.caller)
        )
        return charged + sum(
            one.credits for one in self.open if one.made_at >= start and cap.covers(one.feature, one.caller)
        )

    # The app's own note

    def redact(self, before: datetime) -> None:
        for entry in self.entries:
            if entry.at < before:
                entry.metadata = None
