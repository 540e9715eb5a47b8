"""Credits out, call by call: price it, take it, and say what is left. Every repeat with the same key is safe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from ai_features.billing import notices, pricing, usage
from ai_features.billing.ledger import Charge, UserKey, hot_path, open_account, queue
from ai_features.billing.ledger.operations import Applied, Operation
from ai_features.billing.pricing import Use
from ai_features.billing.requests import checked_key, checked_metadata, earlier_answer, is_plain_text
from ai_features.exceptions import (
    CreditsOutOfRange,
    FeatureUnknown,
    InsufficientCredits,
    InvalidRequest,
    RequestRefused,
)
from ai_features.models import LedgerEntry
from ai_features.money import MAX_MICRO, to_credits

AT_ONCE_MAX = 1000
TOKEN_LONGEST = 64
PRICE_REFUSALS = (FeatureUnknown, CreditsOutOfRange)


@dataclass(frozen=True, slots=True)
class Spent:
    """`entry` is the ledger entry's id, `credits` what it cost, `new_balance` the balance right after it."""

    entry: int
    credits: Decimal
    new_balance: Decimal


@dataclass(frozen=True, slots=True)
class SpentMany:
    entries: tuple[int, ...]
    credits: Decimal
    new_balance: Decimal


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is spending: a member of the team whose wallet it is, and the token that the call came with.

    `over_http` is a buyer's own call; else it is the app that charges the buyer.
    """

    member_id: UserKey | None = None
    token: str = ""
    over_http: bool = False

    def __post_init__(self) -> None:
        if not is_plain_text(self.token, TOKEN_LONGEST):
            raise InvalidRequest(fields={"token": [f"At most {TOKEN_LONGEST} printable characters."]})

    def own_key(self, key: str | None) -> str | None:
        """As it is kept. A buyer's keys never meet the app's: who uses those up beforehand would be charged nothing.

        Raises IdempotencyKeyUnusable.
        """
        checked_key(key)
        return f"HTTP→{key}" if self.over_http and key is not None else key


def spend(wallet_id: int, use: Use, caller: Caller, *, key: str | None, metadata: dict[str, Any] | None) -> Spent:
    """One entry. Raises InsufficientCredits, SpendingCapReached, IdempotencyConflict, or a RequestRefused."""
    request = {} if key is None else {"operation": "spend", **use.request}
    paid, total = _spend(wallet_id, [use], caller, key, request, metadata)
    return Spent(paid.ids[0], to_credits(total), to_credits(paid.balance))


def spend_by_token(digest: str, use: Use, metadata: dict[str, Any] | None) -> Spent | None:
    """One entry over HTTP by the user whose token in force has this digest, in one round trip. None, with nothing done,
    where it takes more than that: whoever asks must be known before anything is refused."""
    if connection.vendor != "postgresql":
        return None
    try:
        charge = charge_for(use, Caller(over_http=True), metadata)
    except RequestRefused:
        return None
    paid = queue.apply(Operation("spend", 0, charge.amount, [charge], digest=digest))
    if paid is None or paid.wallet_id is None:
        return None
    _tell(paid.wallet_id, charge.amount, paid)
    return Spent(paid.ids[0], to_credits(charge.amount), to_credits(paid.balance))


def spend_many(wallet_id: int, uses: Sequence[Use], caller: Caller, *, key: str | None) -> SpentMany:
    """An entry for each, all or none, in one commit. Raises as `spend`."""
    if not 0 < len(uses) <= AT_ONCE_MAX:
        raise InvalidRequest(fields={"uses": [f"1 to {AT_ONCE_MAX} at once."]})
    request = {} if key is None else {"operation": "spend_many", "uses": [use.request for use in uses]}
    paid, total = _spend(wallet_id, uses, caller, key, request, None)
    return SpentMany(tuple(paid.ids), to_credits(total), to_credits(paid.balance))


def charge_for(
    use: Use, caller: Caller, metadata: dict[str, Any] | None, prices: pricing.Prices | None = None
) -> Charge:
    """The ledger's word for a priced use."""
    price = pricing.price(use, prices)
    return Charge(price.amount, use.feature, price.pricing, checked_metadata(metadata), caller.member_id, caller.token)


def _spend(
    wallet_id: int,
    uses: Sequence[Use],
    caller: Caller,
    key: str | None,
    request: dict[str, Any],
    metadata: dict[str, Any] | None,
) -> tuple[Applied, int]:
    key = caller.own_key(key)
    prices: pricing.Prices = {}
    try:
        charges = [charge_for(use, caller, metadata, prices) for use in uses]
        total = sum(charge.amount for charge in charges)
        if total > MAX_MICRO:
            raise CreditsOutOfRange
    except PRICE_REFUSALS:
        # A feature may have lost its price since; a repeat is still answered as it was.
        if (answer := earlier_answer(wallet_id, key, request)) is None:
            raise
        return _replayed(answer)
    operation = Operation("spend", wallet_id, total, charges, key, request)
    paid = queue.apply(operation) if len(uses) == 1 else hot_path.apply_one(operation)
    if paid is None:
        return _spend_exactly(operation)
    _tell(wallet_id, total, paid)
    return paid, total


def _tell(wallet_id: int, total: int, paid: Applied) -> None:
    notices.watch(wallet_id, paid.available + total, paid.available, paid.low_balance)
    usage.keep_up(wallet_id, paid.ids)


def _spend_exactly(operation: Operation) -> tuple[Applied, int]:
    try:
        with open_account(operation.wallet_id) as account:
            answer = account.earlier_answer(operation.key, operation.request)
            if answer is not None:
                return _replayed(answer)
            before = account.available
            entries = account.spend(operation.charges)
            paid = Applied(
                [entry.pk for entry in entries], account.wallet.balance, account.available, account.wallet.low_balance
            )
            account.remember(operation.key, operation.request, {"ids": paid.ids, "balance": paid.balance})
    except InsufficientCredits:
        notices.refused(operation.wallet_id)
        raise
    notices.watch(operation.wallet_id, before, paid.available, paid.low_balance)
    usage.keep_up(operation.wallet_id, paid.ids)
    return paid, operation.credits


def _replayed(answer: dict[str, Any]) -> tuple[Applied, int]:
    """The first answer again; what it cost then stands in the entries."""
    total = -sum(LedgerEntry.objects.filter(pk__in=answer["ids"]).values_list("amount", flat=True))
    return Applied(answer["ids"], answer["balance"], 0, None), total
