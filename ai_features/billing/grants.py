"""Credits without payment: a trial, a promotion, support."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Sum
from django.utils import timezone

from ai_features.billing.ledger import NewLot, open_account
from ai_features.billing.pricing import Credits
from ai_features.billing.requests import checked_key, is_plain_text
from ai_features.conf import ai_credits
from ai_features.exceptions import ApprovalRequired, InvalidRequest
from ai_features.models import EntryKind, GrantRequest, IdempotencyKey, LedgerEntry, LotSource
from ai_features.money import to_credits, to_micro

REASON_LONGEST = 200
COUNTED_TOGETHER = timedelta(days=1)


def grant(
    wallet_id: int,
    credits_: Credits,
    *,
    reason: str,
    expires_at: datetime | None,
    key: str | None,
    actor: AbstractBaseUser | None,
) -> LedgerEntry:
    """See `AIBillingService.grant`."""
    checked_key(key)
    amount = checked(credits_, reason, expires_at)
    request = as_request(amount, reason, expires_at)
    new_lot = NewLot(EntryKind.GRANT, LotSource.GRANTED, amount, expires_at, reason=reason, actor=actor)
    with open_account(wallet_id) as account:
        answer = account.earlier_answer(key, request)
        if answer is not None:
            return LedgerEntry.objects.get(pk=answer["ids"][0])
        # Asked once the wallet is ours: waiting for it takes time too, and a lot must not come in past its expiry.
        if expires_at is not None and expires_at <= account.now:
            raise _not_to_come()
        if actor is not None:
            require_no_approval(amount, wallet_id=wallet_id, actor=actor)
        (entry,) = account.add([new_lot])
        account.remember(key, request, {"ids": [entry.pk], "balance": entry.balance_after})
    return entry


def checked(credits_: Credits, reason: str, expires_at: datetime | None) -> int:
    """Micro-credits. Raises a CreditsOutOfRange, or InvalidRequest for an unusable reason or expiry."""
    if expires_at is not None and not _is_moment(expires_at):
        raise _not_to_come()
    if not is_plain_text(reason, REASON_LONGEST):
        raise InvalidRequest(fields={"reason": [f"At most {REASON_LONGEST} printable characters."]})
    return to_micro(credits_)


def as_request(amount: int, reason: str, expires_at: datetime | None) -> dict[str, str | None]:
    """What an idempotency key stands for; the same moment in another time zone is the same expiry."""
    return {
        "operation": "grant",
        "credits": format(to_credits(amount), "f"),
        "reason": reason,
        "expires_at": None if expires_at is None else expires_at.astimezone(UTC).isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Life:
    """When credits were granted or asked for, and until when."""

    since: datetime
    until: datetime


def earlier_life(wallet_id: int, key: str) -> Life | None:
    """Of the grant that this key stands for; None for one that never expires, and where there is none."""
    asked = GrantRequest.objects.filter(wallet_id=wallet_id, key=key).first()
    if asked is not None:
        return _life(asked.requested_at, asked.expires_at)
    first = IdempotencyKey.objects.filter(wallet_id=wallet_id, key=key, request__operation="grant").first()
    if first is None:
        return None
    entry = LedgerEntry.objects.select_related("lot").get(pk=first.answer["ids"][0])
    return _life(entry.created_at, None if entry.lot is None else entry.lot.expires_at)


def _life(since: datetime, until: datetime | None) -> Life | None:
    return None if until is None else Life(since, until)


def require_no_approval(amount: int, *, wallet_id: int | None = None, actor: AbstractBaseUser | None = None) -> None:
    """Raises ApprovalRequired where so many micro-credits are more than one member of staff may grant alone.

    With a wallet, which must be locked, what that person has granted it within a day counts too: many small grants
    are no way around the limit.
    """
    limit = ai_credits().grant_approval_above
    if limit is None:
        return
    most = to_micro(limit) if limit else 0
    before = 0 if wallet_id is None or actor is None else _granted_alone(wallet_id, actor)
    if before + amount > most:
        raise ApprovalRequired(limit=to_credits(most))


def _granted_alone(wallet_id: int, actor: AbstractBaseUser) -> int:
    granted = LedgerEntry.objects.filter(
        wallet_id=wallet_id,
        actor_id=actor.pk,
        kind=EntryKind.GRANT,
        created_at__gt=timezone.now() - COUNTED_TOGETHER,
        grant_request__isnull=True,
    )
    return int(granted.aggregate(sum=Sum("amount", default=0))["sum"])


def _is_moment(value: object) -> bool:
    """With a zone, and one that UTC can say."""
    try:
        return isinstance(value, datetime) and timezone.is_aware(value) and bool(value.astimezone(UTC))
    except OverflowError:
        return False


def _not_to_come() -> InvalidRequest:
    return InvalidRequest(fields={"expires_at": ["A moment to come, with its time zone."]})
