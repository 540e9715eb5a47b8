"""The exact path: one wallet, locked and brought up to date, and everything that can happen to it.

Every method checks before it writes: what it refuses has changed nothing but the upkeep that was due anyway.
All amounts are micro-credits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from ai_features.billing import lots
from ai_features.billing.ledger.locks import lock_wallet
from ai_features.billing.requests import earlier_answer
from ai_features.exceptions import (
    AICreditsError,
    CreditsOutOfRange,
    InsufficientCredits,
    ReservationEnded,
    ReservationNotFound,
    SpendingCapReached,
)
from ai_features.models import (
    ORDER_OF_USE,
    CapPeriod,
    CapScope,
    EntryKind,
    IdempotencyKey,
    LedgerEntry,
    Lot,
    LotSource,
    Purchase,
    Reservation,
    ReservationStatus,
    SpendingCap,
    Wallet,
)
from ai_features.money import MAX_MICRO, to_credits

UserKey = int | str | UUID
"""Of the project's own user model."""

LOTS_AT_A_TIME = 100

_ONE_DAY = timedelta(days=1)
_A_MOMENT = timedelta.resolution
_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewLot:
    """Credits about to come in: the lot, and what its ledger entry says."""

    kind: EntryKind
    source: LotSource
    amount: int
    expires_at: datetime | None
    purchase: Purchase | None = None
    reason: str = ""
    actor: AbstractBaseUser | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What one call of an app costs. `pricing` is kept in the entry for good, `metadata` until it is redacted."""

    amount: int
    feature: str = ""
    pricing: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    member_id: UserKey | None = None
    token: str = ""


@contextmanager
def open_account(wallet_id: int) -> Iterator[Account]:
    """Lock a wallet until the transaction ends, with everything that has fallen due done first.

    What an operation refuses (`AICreditsError`) is raised after the commit, so that the upkeep stays.
    """
    refusal = None
    with transaction.atomic(savepoint=False):
        account = Account(lock_wallet(wallet_id), timezone.now())
        account.bring_up_to_date()
        try:
            yield account
        except AICreditsError as error:
            refusal = error
        account.save()
    if refusal is not None:
        raise refusal


class Account:
    """A locked wallet. Only `save` writes its row, so a method may be called after another."""

    def __init__(self, wallet: Wallet, now: datetime) -> None:
        self.wallet = wallet
        self.now = now
        self._saved = self._row()

    @property
    def available(self) -> int:
        return self.wallet.available

    @property
    def free(self) -> int:
        """What no reservation holds, debt or not."""
        return self.wallet.balance - self.wallet.held

    def save(self) -> None:
        changed = [name for name, value in self._row().items() if self._saved[name] != value]
        if changed:
            self.wallet.save(update_fields=changed)

    def _row(self) -> dict[str, Any]:
        names = ("balance", "held", "overdue", "debt", "unallocated", "next_expiry_at", "is_capped")
        return {name: getattr(self.wallet, name) for name in names}

    # Upkeep

    def bring_up_to_date(self) -> None:
        """End the reservations and lots whose time has come, and pay debt from what that left.

        In the order of time, so that it makes no difference when somebody comes by. A reservation ends before a lot
        that expires at the same moment.
        """
        due = self.wallet.reservations.filter(status=ReservationStatus.OPEN, expires_at__lte=self.now)
        while self.wallet.held and (reservation := _locked(due.order_by("expires_at", "id")).first()) is not None:
            if self._expire_lots(before=reservation.expires_at):
                reservation.refresh_from_db(fields=["overdue"])
            self._end(reservation, ReservationStatus.EXPIRED)
            self.pay_debt()
        self._expire_lots(before=self.now + _A_MOMENT)
        self.pay_debt()

    def allocate(self) -> None:
        """Charge what was spent so far to the lots; before anything changes the set of them."""
        if self.wallet.unallocated:
            self._charge_lots()
            self.wallet.next_expiry_at = self.earliest_expiry(self.now)

    def _charge_lots(self) -> None:
        self._take(self.usable_lots(), self.wallet.unallocated)
        self.wallet.unallocated = 0

    def _expire_lots(self, *, before: datetime) -> bool:
        """Take due lots out, save what open reservations hold: those credits are the first in order of use.

        Says whether any was due.
        """
        if self.wallet.next_expiry_at is None or self.wallet.next_expiry_at >= before:
            return False
        self._charge_lots()
        protected = self.wallet.held - self.wallet.overdue
        for lot in list(self.usable_lots().filter(expires_at__lt=before)):
            kept = min(lot.remaining, protected)
            protected -= kept
            self._keep_for_reservations(kept)
            self.expire(lot, lot.remaining - kept)
        self.wallet.next_expiry_at = self.earliest_expiry(before)
        return True

    def _keep_for_reservations(self, amount: int) -> None:
        self.wallet.overdue += amount
        for reservation in self.wallet.reservations.filter(status=ReservationStatus.OPEN).order_by("id"):
            if not amount:
                break
            part = min(amount, reservation.credits - reservation.overdue)
            amount -= part
            reservation.overdue += part
            reservation.save(update_fields=["overdue"])

    def expire(self, lot: Lot, amount: int) -> None:
        if not amount:
            return
        lot.remaining -= amount
        lot.save(update_fields=["remaining"])
        self.wallet.balance -= amount
        self.enter(EntryKind.EXPIRY, -amount, lot=lot)

    def usable_lots(self) -> QuerySet[Lot]:
        """In order of use; without those that are only kept for the reservations that hold them."""
        usable = self.wallet.lots.filter(remaining__gt=0).order_by(*ORDER_OF_USE)
        if self.wallet.overdue:
            usable = usable.filter(Q(expires_at=None) | Q(expires_at__gte=self.wallet.next_expiry_at or _LAST_MOMENT))
        return usable

    def _overdue_lots(self) -> QuerySet[Lot]:
        overdue = self.wallet.lots.filter(remaining__gt=0, expires_at__lt=self.wallet.next_expiry_at or _LAST_MOMENT)
        return overdue.order_by(*ORDER_OF_USE)

    def earliest_expiry(self, since: datetime) -> datetime | None:
        usable = self.usable_lots().filter(expires_at__gte=since)
        return usable.values_list("expires_at", flat=True).first()

    def _take(self, source: QuerySet[Lot], amount: int) -> None:
        """Take `amount` out of lots, a few at a time, so that a wallet with thousands of them costs no more."""
        while amount:
            rows = source.values_list("id", "remaining", "expires_at", "source")[:LOTS_AT_A_TIME]
            found = [lots.LotLeft(pk, left, at, kind == LotSource.PURCHASED) for pk, left, at, kind in rows]
            taken = lots.take(found, amount)
            if not taken:
                raise RuntimeError(f"The lots of wallet {self.wallet.pk} hold less than its balance says.")
            Lot.objects.filter(pk__in=[one.lot.id for one in taken if not one.left]).update(remaining=0)
            if taken[-1].left:
                Lot.objects.filter(pk=taken[-1].lot.id).update(remaining=taken[-1].left)
            amount -= sum(one.amount for one in taken)

    # Credits coming in

    def add(self, new_lots: Sequence[NewLot]) -> list[LedgerEntry]:
        """New lots, one entry each, in order; debt is paid from them at once, by an entry of its own.

        The unique constraints on a purchase's entries and lots refuse a second time. Raises CreditsOutOfRange where
        the balance would pass the largest that can be held.
        """
        if self.wallet.balance + sum(new.amount for new in new_lots) > MAX_MICRO:
            raise CreditsOutOfRange
        self.allocate()
        rows = Lot.objects.bulk_create(
            Lot(
                wallet=self.wallet,
                source=new.source,
                amount=new.amount,
                remaining=new.amount,
                expires_at=new.expires_at,
                purchase=new.purchase,
            )
            for new in new_lots
        )
        self._expect_expiry(*(new.expires_at for new in new_lots))
        entries = []
        for new, lot in zip(new_lots, rows, strict=True):
            self.wallet.balance += new.amount
            about = {"purchase": new.purchase, "lot": lot, "reason": new.reason}
            actor_id = None if new.actor is None else new.actor.pk
            entries.append(self._entry(new.kind, new.amount, actor_id=actor_id, **about))
        LedgerEntry.objects.bulk_create(entries)
        self.pay_debt(new_lots[-1].purchase)
        return entries

    def put_back(self, lot: Lot, amount: int, kind: EntryKind, **about: Any) -> None:
        """What was taken out comes back to its lot; if the lot's time has come meanwhile, it expires at once."""
        lot.remaining += amount
        lot.save(update_fields=["remaining", "frozen"])
        self.wallet.balance += amount
        self.enter(kind, amount, lot=lot, **about)
        if lot.expires_at is not None and lot.expires_at <= self.now:
            self.expire(lot, amount)
        else:
            self._expect_expiry(lot.expires_at)

    def new_lot(self, source: LotSource, amount: int, expires_at: datetime | None) -> Lot:
        """The lot alone; its entry and the balance are the caller's."""
        self._expect_expiry(expires_at)
        return Lot.objects.create(
            wallet=self.wallet, source=source, amount=amount, remaining=amount, expires_at=expires_at
        )

    def _expect_expiry(self, *moments: datetime | None) -> None:
        known = [moment for moment in (self.wallet.next_expiry_at, *moments) if moment is not None]
        self.wallet.next_expiry_at = min(known, default=None)

    def pay_debt(self, purchase: Purchase | None = None) -> None:
        payment = min(self.wallet.debt, self.wallet.balance - self.wallet.held)
        if payment:
            self.wallet.debt -= payment
            self.wallet.balance -= payment
            self.wallet.unallocated += payment
            self.enter(EntryKind.DEBT_PAYMENT, 0, debt_change=-payment, purchase=purchase)

    # Credits going out

    def spend(self, charges: Sequence[Charge]) -> list[LedgerEntry]:
        """All charges or none. Raises InsufficientCredits or SpendingCapReached."""
        total = sum(charge.amount for charge in charges)
        self._require(total)
        self._count_against_caps(charges)
        self.wallet.unallocated += total
        return self._use(EntryKind.SPEND, charges, total)

    def reserve(self, charge: Charge, ttl: timedelta, *, over_http: bool = False) -> Reservation:
        """Set credits aside. Raises InsufficientCredits or SpendingCapReached."""
        self._require(charge.amount)
        self._count_against_caps([charge])
        self.wallet.held += charge.amount
        return Reservation.objects.create(
            wallet=self.wallet,
            credits=charge.amount,
            feature=charge.feature,
            member_id=charge.member_id,  # type: ignore[misc]  # the plugin knows one user model
            token=charge.token,
            over_http=over_http,
            expires_at=self.now + ttl,
            created_at=self.now,
        )

    def capture(
        self,
        reservation: Reservation,
        charges: Sequence[Charge],
        *,
        closes: bool = True,
        expires_at: datetime | None = None,
    ) -> list[LedgerEntry]:
        """Charge what the call really cost, and let go of the rest of the reservation, or keep it open for more,
        until `expires_at` where that is given.

        Above what is reserved the wallet pays, and what it lacks becomes debt. An expired reservation holds nothing
        any more and is charged all the same. Raises ReservationEnded after another capture or a release.
        """
        if reservation.status not in (ReservationStatus.OPEN, ReservationStatus.EXPIRED):
            raise ended(reservation)
        total = sum(charge.amount for charge in charges)
        if self.wallet.debt + total > MAX_MICRO:
            raise CreditsOutOfRange
        is_open = reservation.status == ReservationStatus.OPEN
        own = min(total, reservation.credits) if is_open else 0
        overdue = min(own, reservation.overdue)
        let_go = reservation.credits if is_open and closes else own
        self._take(self._overdue_lots(), overdue)
        reservation.overdue -= overdue
        reservation.credits -= 0 if closes else own
        reservation.captured += total
        self.wallet.overdue -= overdue
        self.wallet.held -= let_go
        extra = min(total - own, max(0, self.wallet.balance - own - self.wallet.held))
        self.wallet.unallocated += own - overdue + extra
        entries = self._use(EntryKind.CAPTURE, charges, own + extra, reservation)
        self._recount_caps(reservation, charges, counted=let_go)
        if closes or not is_open:
            self._expire_overdue(reservation)
            reservation.status = ReservationStatus.CAPTURED
            # Whether it had expired by then is known by this, and not by a clock that may have been another's.
            reservation.ended_at = reservation.ended_at or self.now
        else:
            reservation.expires_at = expires_at or reservation.expires_at
        reservation.save(update_fields=["status", "credits", "captured", "overdue", "ended_at", "expires_at"])
        self.pay_debt()
        return entries

    def release(self, reservation: Reservation) -> None:
        """Let go of it all. One that expired or was released stays so; raises ReservationEnded if captured."""
        if reservation.status == ReservationStatus.CAPTURED:
            raise ended(reservation)
        if reservation.status == ReservationStatus.OPEN:
            self._end(reservation, ReservationStatus.RELEASED)
            self.pay_debt()

    def renew(self, reservation: Reservation, ttl: timedelta) -> None:
        """Keep it open until `ttl` from now. Raises ReservationEnded."""
        if reservation.status != ReservationStatus.OPEN:
            raise ended(reservation)
        reservation.expires_at = self.now + ttl
        reservation.save(update_fields=["expires_at"])

    def reservation(self, reservation_id: int, *, over_http: bool = False) -> Reservation:
        """One of this wallet's own, locked; over HTTP only one made so. Raises ReservationNotFound."""
        found = _locked(self.wallet.reservations.filter(pk=reservation_id)).first()
        if found is None or (over_http and not found.over_http):
            raise ReservationNotFound
        return found

    def _end(self, reservation: Reservation, status: ReservationStatus) -> None:
        self.wallet.held -= reservation.credits
        self._recount_caps(reservation, [], counted=reservation.credits)
        self._expire_overdue(reservation)
        reservation.status = status
        reservation.ended_at = self.now
        reservation.save(update_fields=["status", "overdue", "ended_at"])

    def _expire_overdue(self, reservation: Reservation) -> None:
        """What was kept past its expiry for this reservation, and not used, expires now."""
        amount, reservation.overdue = reservation.overdue, 0
        self.wallet.overdue -= amount
        for lot in list(self._overdue_lots()) if amount else ():
            part = min(amount, lot.remaining)
            amount -= part
            self.expire(lot, part)

    def _require(self, amount: int) -> None:
        if self.available < amount:
            raise insufficient(self.wallet, amount)

    def _use(
        self, kind: EntryKind, charges: Sequence[Charge], funds: int, reservation: Reservation | None = None
    ) -> list[LedgerEntry]:
        """One entry a charge, paid from the balance as far as `funds` go, and by debt from there."""
        entries = []
        for charge in charges:
            paid = min(charge.amount, funds)
            funds -= paid
            self.wallet.balance -= paid
            self.wallet.debt += charge.amount - paid
            entries.append(
                self._entry(
                    kind,
                    -charge.amount,
                    debt_change=charge.amount - paid,
                    feature=charge.feature,
                    pricing=charge.pricing,
                    metadata=charge.metadata,
                    member_id=charge.member_id,
                    reservation=reservation,
                )
            )
        return LedgerEntry.objects.bulk_create(entries)

    def enter(self, kind: EntryKind, amount: int, **about: Any) -> None:
        self._entry(kind, amount, **about).save(force_insert=True)

    def _entry(self, kind: EntryKind, amount: int, **about: Any) -> LedgerEntry:
        return LedgerEntry(
            wallet=self.wallet,
            kind=kind,
            amount=amount,
            balance_after=self.wallet.balance,
            created_at=self.now,
            **about,
        )

    # Keys

    def earlier_answer(self, key: str | None, request: dict[str, Any]) -> dict[str, Any] | None:
        """As `billing.requests.earlier_answer`, and nobody can use the key meanwhile."""
        return earlier_answer(self.wallet.pk, key, request)

    def remember(self, key: str | None, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if key is not None:
            IdempotencyKey.objects.create(wallet=self.wallet, key=key, request=request, answer=answer)

    # Caps

    def _count_against_caps(self, charges: Sequence[Charge]) -> None:
        """Raises SpendingCapReached, with nothing counted, where any cap would be passed."""
        if not self.wallet.is_capped:
            return
        caps = list(self.wallet.caps.order_by("pk"))
        for cap in caps:
            start = period_start(cap.period, self.now.date())
            used = cap.used if cap.period_start == start else 0
            added = sum(charge.amount for charge in charges if _falls_under(cap, charge))
            if added and used + added > cap.limit:
                raise cap_reached(cap, used, self.now)
            cap.used, cap.period_start = used + added, start
        SpendingCap.objects.bulk_update(caps, ["used", "period_start"])

    def set_aside_under(self, cap: SpendingCap) -> int:
        """What open reservations hold that count in the cap's present period: what they let go of is taken off it."""
        return sum(
            reservation.credits
            for reservation in self.wallet.reservations.filter(status=ReservationStatus.OPEN)
            if reservation.created_at.date() >= cap.period_start and _falls_under(cap, _as_charge(reservation))
        )

    def _recount_caps(self, reservation: Reservation, charges: Sequence[Charge], *, counted: int) -> None:
        """A reservation was counted when it was made; what was charged in the end counts instead."""
        if not self.wallet.is_capped:
            return
        caps = list(self.wallet.caps.all())
        for cap in caps:
            start = period_start(cap.period, self.now.date())
            used = cap.used if cap.period_start == start else 0
            if reservation.created_at.date() >= start and _falls_under(cap, _as_charge(reservation)):
                used -= counted
            used += sum(charge.amount for charge in charges if _falls_under(cap, charge))
            cap.used, cap.period_start = min(max(0, used), MAX_MICRO), start
        SpendingCap.objects.bulk_update(caps, ["used", "period_start"])


def insufficient(wallet: Wallet, amount: int) -> InsufficientCredits:
    """The refusal of a wallet that cannot pay `amount` now."""
    values: dict[str, Any] = {"debt": to_credits(wallet.debt)} if wallet.debt else {}
    return InsufficientCredits(
        current_balance=to_credits(wallet.available),
        required_credits=to_credits(amount),
        shortage=to_credits(amount - wallet.available + wallet.debt),
        **values,
    )


def ended(reservation: Reservation) -> ReservationEnded:
    return ReservationEnded(status=reservation.status, captured=to_credits(reservation.captured))


def cap_reached(cap: SpendingCap, used: int, now: datetime) -> SpendingCapReached:
    until = datetime.combine(_next_period(cap.period, now.date()), time(), now.tzinfo)
    return SpendingCapReached(
        scope=cap.scope,
        subject=cap.subject,
        period=cap.period,
        limit=to_credits(cap.limit),
        used=to_credits(used),
        retry_after_seconds=int((until - now).total_seconds()) + 1,
    )


def period_start(period: str, day: date) -> date:
    return day.replace(day=1) if period == CapPeriod.MONTH else day


def _next_period(period: str, day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) if period == CapPeriod.MONTH else day + _ONE_DAY


def _as_charge(reservation: Reservation) -> Charge:
    member_id, token = reservation.member_id, reservation.token
    return Charge(reservation.credits, reservation.feature, member_id=member_id, token=token)


def _falls_under(cap: SpendingCap, charge: Charge) -> bool:
    match cap.scope:
        case CapScope.TOKEN:
            return charge.token == cap.subject
        case CapScope.MEMBER:
            return str(charge.member_id) == cap.subject
        case _:
            return charge.feature == cap.subject


def _locked(reservations: QuerySet[Reservation]) -> QuerySet[Reservation]:
    """Whoever holds the wallet on SQLite holds the whole file."""
    if connections[reservations.db].features.has_select_for_update:
        return reservations.select_for_update(no_key=True)
    return reservations
