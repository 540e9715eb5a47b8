"""Credits without payment: a trial, a promotion, support."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from ai_features.billing.ledger import NewLot, open_account
from ai_features.billing.pricing import Credits
from ai_features.billing.requests import checked_key, is_plain_text
from ai_features.exceptions import InvalidRequest
from ai_features.models import EntryKind, LedgerEntry, LotSource
from ai_features.money import to_credits, to_micro

REASON_LONGEST = 200


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
    amount = to_micro(credits_)
    if expires_at is not None and not _is_moment(expires_at):
        raise _not_to_come()
    if not is_plain_text(reason, REASON_LONGEST):
        raise InvalidRequest(fields={"reason": [f"At most {REASON_LONGEST} printable characters."]})
    request = {"operation": "grant", "credits": format(to_credits(amount), "f")}
    new_lot = NewLot(EntryKind.GRANT, LotSource.GRANTED, amount, expires_at, reason=reason, actor=actor)
    with open_account(wallet_id) as account:
        answer = account.earlier_answer(key, request)
        if answer is not None:
            return LedgerEntry.objects.get(pk=answer["ids"][0])
        # Asked once the wallet is ours: waiting for it takes time too, and a lot must not come in past its expiry.
        if expires_at is not None and expires_at <= account.now:
            raise _not_to_come()
        (entry,) = account.add([new_lot])
        account.remember(key, request, {"ids": [entry.pk], "balance": entry.balance_after})
    return entry


def _is_moment(value: object) -> bool:
    """With a zone, and one that UTC can say."""
    try:
        return isinstance(value, datetime) and timezone.is_aware(value) and bool(value.astimezone(UTC))
    except OverflowError:
        return False


def _not_to_come() -> InvalidRequest:
    return InvalidRequest(fields={"expires_at": ["A moment to come, with its time zone."]})
