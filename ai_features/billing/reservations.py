"""The two-phase spend: set credits aside before the call, charge what it really cost after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from django.db.models import QuerySet
from django.utils import timezone

from ai_features.billing import notices, usage
from ai_features.billing.ledger import open_account, queue
from ai_features.billing.ledger.operations import Operation
from ai_features.billing.pricing import Credits, Use
from ai_features.billing.requests import earlier_answer
from ai_features.billing.spending import PRICE_REFUSALS, Caller, charge_for
from ai_features.conf import ai_credits
from ai_features.exceptions import InsufficientCredits, InvalidRequest, ReservationNotFound
from ai_features.models import LedgerEntry, Reservation, ReservationStatus
from ai_features.money import to_credits

TTL_MAX_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Captured:
    """`credits` were charged; `was_expired` says that the reservation had run out by then and held nothing any more."""

    entry: int
    credits: Decimal
    new_balance: Decimal
    was_expired: bool


class Reserved:
    """An open reservation in the hands of the app. As a context manager it is released at the end unless captured."""

    def __init__(
        self,
        wallet_id: int,
        reservation_id: int,
        micro: int,
        expires_at: datetime,
        use: Use,
        caller: Caller,
        *,
        is_capped: bool = False,
    ) -> None:
        self.wallet_id = wallet_id
        self.id = reservation_id
        self.credits = to_credits(micro)
        self.expires_at = expires_at
        self.is_capped = is_capped
        self._use = use
        self._caller = caller
        self._has_ended = False

    def capture(
        self,
        credits: Credits | None = None,  # noqa: A002  the vocabulary's own word
        *,
        idempotency_key: str | None = None,
        **use: Any,
    ) -> Captured:
        """See `AIBillingService.capture`."""
        metadata = use.pop("metadata", None)
        asked = Use(credits, **{"feature": self._use.feature, **use})
        captured = capture(self.wallet_id, self.id, asked, self._caller, key=idempotency_key, metadata=metadata)
        self._has_ended = True
        return captured

    def release(self) -> None:
        """Let go of all of it. Safe to repeat; raises ReservationEnded after a capture."""
        release(self.wallet_id, self.id)
        self._has_ended = True

    def renew(self, ttl_seconds: int | None = None) -> datetime:
        """Keep it open until `ttl_seconds` from now. Raises ReservationEnded."""
        self.expires_at = renew(self.wallet_id, self.id, ttl_seconds)
        return self.expires_at

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._has_ended:
            self.release()


def reserve(
    wallet_id: int, use: Use, caller: Caller, *, ttl_seconds: int | None = None, key: str | None = None
) -> Reserved:
    """Raises InsufficientCredits, SpendingCapReached, IdempotencyConflict, or a RequestRefused."""
    ttl = checked_ttl(ttl_seconds)
    key = caller.own_key(key)
    request = {} if key is None else {"operation": "reserve", **use.request}
    if key is not None and ttl_seconds is not None:
        request["ttl_seconds"] = ttl_seconds
    try:
        charge = charge_for(use, caller, None)
    except PRICE_REFUSALS:
        if (answer := earlier_answer(wallet_id, key, request)) is None:
            raise
        return _reserved(wallet_id, answer, use, caller)
    expires_at = timezone.now() + ttl
    operation = Operation(
        "reserve", wallet_id, charge.amount, [charge], key, request, expires_at=expires_at, over_http=caller.over_http
    )
    applied = queue.apply(operation)
    if applied is None:
        return _reserve_exactly(operation, ttl, use, caller)
    notices.watch_reserved(wallet_id, applied.available + charge.amount, applied.available, applied.low_balance)
    return Reserved(wallet_id, applied.ids[0], charge.amount, expires_at, use, caller)


def _reserve_exactly(operation: Operation, ttl: timedelta, use: Use, caller: Caller) -> Reserved:
    request = operation.request
    try:
        with open_account(operation.wallet_id) as account:
            answer = account.earlier_answer(operation.key, request)
            if answer is not None:
                return _reserved(operation.wallet_id, answer, use, caller)
            before = account.available
            made = account.reserve(operation.charges[0], ttl, over_http=operation.over_http)
            balance, until = account.wallet.balance, made.expires_at.isoformat()
            account.remember(operation.key, request, {"ids": [made.pk], "balance": balance, "expires_at": until})
    except InsufficientCredits:
        notices.refused(operation.wallet_id)
        raise
    notices.watch_reserved(operation.wallet_id, before, account.available, account.wallet.low_balance)
    is_capped = account.wallet.is_capped
    return Reserved(operation.wallet_id, made.pk, made.credits, made.expires_at, use, caller, is_capped=is_capped)


def _reserved(wallet_id: int, answer: dict[str, Any], use: Use, caller: Caller) -> Reserved:
    row = Reservation.objects.get(pk=answer["ids"][0])
    return Reserved(wallet_id, row.pk, row.credits, datetime.fromisoformat(answer["expires_at"]), use, caller)


def capture(
    wallet_id: int,
    reservation_id: int,
    use: Use,
    caller: Caller,
    *,
    key: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Captured:
    """Charge what the call cost. The same capture again gets the first answer, with a key or without.

    Raises ReservationNotFound, ReservationEnded, IdempotencyConflict, or a RequestRefused.
    """
    key = caller.own_key(key)
    _check_id(reservation_id)
    request = {} if key is None else {"operation": "capture", "reservation": reservation_id, **use.request}
    try:
        charge = charge_for(use, caller, metadata)
    except PRICE_REFUSALS:
        if earlier_answer(wallet_id, key, request) is None:
            raise
        return _as_it_was(Reservation.objects.get(pk=reservation_id, wallet=wallet_id))
    operation = Operation(
        "capture",
        wallet_id,
        charge.amount,
        [charge],
        key,
        request,
        reservation_id=reservation_id,
        over_http=caller.over_http,
    )
    applied = queue.apply(operation)
    if applied is None:
        return _capture_exactly(operation)
    notices.watch(wallet_id, applied.available + charge.amount, applied.available, applied.low_balance)
    usage.keep_up(wallet_id, applied.ids)
    return Captured(applied.ids[0], to_credits(charge.amount), to_credits(applied.balance), was_expired=False)


def _capture_exactly(operation: Operation) -> Captured:
    assert operation.reservation_id is not None
    request = operation.request
    with open_account(operation.wallet_id) as account:
        is_known = account.earlier_answer(operation.key, request) is not None
        reservation = account.reservation(operation.reservation_id, over_http=operation.over_http)
        was_expired = reservation.status == ReservationStatus.EXPIRED
        if is_known:
            return _as_it_was(reservation)
        if _is_repeat(reservation, operation):
            account.remember(operation.key, request, _answer(reservation.entries.latest("id")))
            return _as_it_was(reservation)
        (entry,) = account.capture(reservation, operation.charges)
        account.remember(operation.key, request, _answer(entry))
    available = account.available
    notices.watch(operation.wallet_id, available + operation.credits, available, account.wallet.low_balance)
    usage.keep_up(operation.wallet_id, [entry.pk])
    return Captured(entry.pk, to_credits(operation.credits), to_credits(entry.balance_after), was_expired)


def _answer(entry: LedgerEntry) -> dict[str, Any]:
    return {"ids": [entry.pk], "balance": entry.balance_after}


def _is_repeat(reservation: Reservation, operation: Operation) -> bool:
    return reservation.status == ReservationStatus.CAPTURED and reservation.captured == operation.credits


def _as_it_was(reservation: Reservation) -> Captured:
    entry = reservation.entries.latest("id")
    was_expired = reservation.ended_at is not None and reservation.expires_at <= reservation.ended_at
    return Captured(entry.pk, to_credits(-entry.amount), to_credits(entry.balance_after), was_expired)


def release(wallet_id: int, reservation_id: int, *, over_http: bool = False) -> Decimal:
    """Let go of it all and return the balance, in credits. Safe to repeat.

    Raises ReservationNotFound, ReservationEnded.
    """
    _check_id(reservation_id)
    applied = queue.apply(Operation("release", wallet_id, 0, reservation_id=reservation_id, over_http=over_http))
    if applied is not None:
        return to_credits(applied.balance)
    with open_account(wallet_id) as account:
        account.release(account.reservation(reservation_id, over_http=over_http))
    return to_credits(account.wallet.balance)


def renew(wallet_id: int, reservation_id: int, ttl_seconds: int | None = None, *, over_http: bool = False) -> datetime:
    """Keep it open until `ttl_seconds` from now. Raises ReservationNotFound, ReservationEnded, InvalidRequest."""
    ttl = checked_ttl(ttl_seconds)
    _check_id(reservation_id)
    with open_account(wallet_id) as account:
        reservation = account.reservation(reservation_id, over_http=over_http)
        account.renew(reservation, ttl)
    return reservation.expires_at


def due() -> QuerySet[Reservation]:
    """Those whose time has passed, and that nothing has ended yet."""
    return Reservation.objects.filter(status=ReservationStatus.OPEN, expires_at__lte=timezone.now())


def release_due(limit: int = 1000) -> int:
    """End the reservations whose time has passed, wallet by wallet; returns how many. Safe to repeat and to race."""
    ending = due()
    done = 0
    while wallets := list(ending.order_by().values_list("wallet_id", flat=True).distinct()[:limit]):
        for wallet_id in wallets:
            done += ending.filter(wallet_id=wallet_id).count()
            with open_account(wallet_id):
                pass
    return done


def _check_id(reservation_id: int) -> None:
    if type(reservation_id) is not int or not 0 < reservation_id < 2**63:
        raise ReservationNotFound


def checked_ttl(ttl_seconds: int | None) -> timedelta:
    """Raises InvalidRequest unless 1 second to a day."""
    if ttl_seconds is None:
        return timedelta(seconds=ai_credits().reservation_ttl_seconds)
    is_number = isinstance(ttl_seconds, int) and not isinstance(ttl_seconds, bool)
    if not is_number or not 1 <= ttl_seconds <= TTL_MAX_SECONDS:
        raise InvalidRequest(fields={"ttl_seconds": [f"A whole number from 1 to {TTL_MAX_SECONDS}."]})
    return timedelta(seconds=ttl_seconds)
