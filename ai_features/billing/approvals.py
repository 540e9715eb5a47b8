"""Grants above what one member of staff may make alone: requested by one, decided by another.

A decision is made under the wallet's lock, so two at once are one after the other, and the second finds it made. The
database refuses a decision by the person who asked, and any change of one that was made.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from ai_features.billing.grants import as_request, checked
from ai_features.billing.ledger import NewLot, open_account
from ai_features.billing.pricing import Credits
from ai_features.billing.requests import checked_key, is_plain_text
from ai_features.exceptions import (
    GrantDecided,
    GrantRequestNotFound,
    IdempotencyConflict,
    InvalidRequest,
    SecondPersonRequired,
)
from ai_features.models import EntryKind, GrantRequest, GrantStatus, LedgerEntry, LotSource

NOTE_LONGEST = 200


def request_grant(
    wallet_id: int,
    credits_: Credits,
    *,
    reason: str,
    expires_at: datetime | None,
    key: str | None,
    by: AbstractBaseUser,
) -> GrantRequest:
    """See `AIBillingService.request_grant`."""
    checked_key(key)
    amount = checked(credits_, reason, expires_at)
    if not reason:
        raise InvalidRequest(fields={"reason": ["Say why."]})
    about = {"credits": amount, "reason": reason, "expires_at": expires_at, "requested_by_id": by.pk}
    if (earlier := _earlier(wallet_id, key, about)) is not None:
        return earlier
    try:
        with transaction.atomic():
            return GrantRequest.objects.create(wallet_id=wallet_id, key=key, **about)
    # The same click twice at once: the other was first.
    except IntegrityError:
        if (earlier := _earlier(wallet_id, key, about)) is None:
            raise
        return earlier


def approve(request_id: int, *, by: AbstractBaseUser, note: str = "") -> LedgerEntry:
    """See `AIBillingService.approve_grant`."""
    wallet_id = _wallet_id(request_id, note)
    with open_account(wallet_id) as account:
        asked = _open_one(request_id, by)
        if asked.expires_at is not None and asked.expires_at <= account.now:
            raise InvalidRequest(fields={"expires_at": ["It has passed meanwhile. Refuse this, and request anew."]})
        kept = as_request(asked.credits, asked.reason, asked.expires_at)
        if account.earlier_answer(asked.key, kept) is not None:
            raise GrantDecided(
                "This very grant was made meanwhile, with the same key.", status="granted", decided_by=""
            )
        lot = NewLot(
            EntryKind.GRANT,
            LotSource.GRANTED,
            asked.credits,
            asked.expires_at,
            reason=asked.reason,
            actor=asked.requested_by,
        )
        (entry,) = account.add([lot])
        account.remember(asked.key, kept, {"ids": [entry.pk], "balance": entry.balance_after})
        _decide(asked, GrantStatus.APPROVED, by, note, account.now, entry)
    return entry


def refuse(request_id: int, *, by: AbstractBaseUser, note: str) -> GrantRequest:
    """See `AIBillingService.refuse_grant`."""
    wallet_id = _wallet_id(request_id, note)
    if not note:
        raise InvalidRequest(fields={"note": ["Say why."]})
    with open_account(wallet_id) as account:
        asked = _open_one(request_id, by)
        _decide(asked, GrantStatus.REFUSED, by, note, account.now)
    return asked


def _earlier(wallet_id: int, key: str | None, about: dict[str, Any]) -> GrantRequest | None:
    earlier = None if key is None else GrantRequest.objects.filter(wallet_id=wallet_id, key=key).first()
    if earlier is None:
        return None
    before = {name: getattr(earlier, name) for name in about}
    if before != about:
        raise IdempotencyConflict(first_request=_in_words(before), this_request=_in_words(about))
    return earlier


def _in_words(about: dict[str, Any]) -> dict[str, str | None]:
    return as_request(about["credits"], about["reason"], about["expires_at"])


def _wallet_id(request_id: int, note: str) -> int:
    if not is_plain_text(note, NOTE_LONGEST):
        raise InvalidRequest(fields={"note": [f"At most {NOTE_LONGEST} printable characters."]})
    found = GrantRequest.objects.filter(pk=request_id).values_list("wallet_id", flat=True).first()
    if found is None:
        raise GrantRequestNotFound
    return found


def _open_one(request_id: int, by: AbstractBaseUser) -> GrantRequest:
    """Read under the wallet's lock: whoever decided before is seen."""
    asked = GrantRequest.objects.select_related("requested_by", "decided_by").get(pk=request_id)
    if asked.status != GrantStatus.OPEN:
        raise GrantDecided(status=asked.status, decided_by=str(asked.decided_by))
    if asked.requested_by_id == by.pk:
        raise SecondPersonRequired
    return asked


def _decide(
    asked: GrantRequest,
    status: GrantStatus,
    by: AbstractBaseUser,
    note: str,
    now: datetime,
    entry: LedgerEntry | None = None,
) -> None:
    asked.status, asked.note, asked.decided_at, asked.entry = status, note, now, entry
    asked.decided_by_id = by.pk
    asked.save(update_fields=["status", "note", "decided_at", "entry", "decided_by"])
