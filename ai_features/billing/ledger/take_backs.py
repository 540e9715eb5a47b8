"""Credits that leave because money goes back, and come again when it does not: refunds, and disputes while they last.

    what the refund asks for          becomes
    --------------------------------  -------------------------------------------------------------------------
    left in the purchase's own lots   taken, purchased and bonus in proportion
    … and held by a reservation       debt, whatever the policy: let go of, it pays that debt; captured, it was used
    expired before                    nothing, it is not asked for again
    spent                             by the policy: `debt` takes other lots and owes the rest, `other_lots` takes them
                                      and forgives the rest, `forgive` forgives it all

What an open dispute has frozen counts as left in the lots. All amounts are micro-credits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet, Sum

from ai_features.billing import lots
from ai_features.billing.ledger.accounts import Account
from ai_features.conf import FORGIVE, OTHER_LOTS, ai_credits
from ai_features.exceptions import CreditsOutOfRange
from ai_features.models import (
    Dispute,
    DisputeStatus,
    EntryKind,
    LedgerEntry,
    Lot,
    LotSource,
    Purchase,
    Refund,
    RefundStatus,
)
from ai_features.money import MAX_MICRO


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Where the credits of a refund came from, or why they did not; the five add up to what was asked for."""

    taken: int
    from_others: int
    owed: int
    forgiven: int
    expired: int


def take_back(account: Account, refund: Refund, amount: int) -> TakenBack:
    """Take `amount` of what the refund's purchase gave. Unique constraints refuse a second time for one refund."""
    purchase = _purchase_of(refund)
    if account.wallet.debt + amount > MAX_MICRO:
        raise CreditsOutOfRange
    account.allocate()
    disputes = _open_disputes(purchase)
    for dispute in disputes:
        _thaw(account, dispute)
    parts = _plan(account, refund, amount)
    _take_from_own_lots(account, refund, parts.taken)
    account.wallet.next_expiry_at = account.earliest_expiry(account.now)
    _take_the_rest(account, refund, parts)
    for dispute in disputes:
        _freeze(account, dispute)
    account.pay_debt()
    return parts


def give_back(account: Account, refund: Refund) -> None:
    """Undo `take_back`, once: to the same lots with their old expiry, and off the debt that it made.

    What was taken from other lots, or has paid that debt since, comes back as a lot of its own, with the life of
    newly bought credits: which lots paid it is not kept.
    """
    purchase = _purchase_of(refund)
    if account.wallet.balance + refund.credits > MAX_MICRO:
        raise CreditsOutOfRange
    account.allocate()
    taken = refund.entries.filter(kind=EntryKind.REFUND, lot__isnull=False).select_related("lot")
    for entry in list(taken.order_by("id")):
        assert entry.lot is not None
        account.put_back(entry.lot, -entry.amount, EntryKind.REFUND_FAILED, purchase=purchase, refund=refund)
    _give_the_rest_back(account, refund)
    for dispute in _open_disputes(purchase):
        _freeze(account, dispute)
    account.pay_debt()


def freeze(account: Account, dispute: Dispute) -> None:
    """Take out what is left in the own lots of the disputed purchase, but for what reservations hold.

    Safe to repeat: what has come back since, or was let go of by a reservation, is frozen too.
    """
    account.allocate()
    _freeze(account, dispute)


def thaw(account: Account, dispute: Dispute) -> None:
    """Give back what is frozen for the dispute, with its old expiry. Safe to repeat."""
    account.allocate()
    _thaw(account, dispute)
    account.pay_debt()


def _plan(account: Account, refund: Refund, amount: int) -> TakenBack:
    purchase = _purchase_of(refund)
    left = sum(lot.remaining for lot in _own_lots(account, purchase))
    taken = min(amount, left, account.free)
    held = min(amount - taken, left - taken)
    missing = amount - taken - held
    expired = min(missing, _expired_and_not_counted(account, refund))
    spent = missing - expired
    policy = ai_credits().refund_policy
    from_others = 0 if policy == FORGIVE else min(spent, account.free - taken)
    open_ = spent - from_others
    forgiven = open_ if policy in (FORGIVE, OTHER_LOTS) else 0
    return TakenBack(taken, from_others, held + open_ - forgiven, forgiven, expired)


def _take_from_own_lots(account: Account, refund: Refund, amount: int) -> None:
    own = list(_own_lots(account, _purchase_of(refund)))
    for lot, part in zip(own, lots.in_proportion([lot.remaining for lot in own], amount), strict=True):
        if part:
            _take(account, lot, part)
            account.enter(EntryKind.REFUND, -part, lot=lot, purchase=refund.purchase, refund=refund)


def _take_the_rest(account: Account, refund: Refund, parts: TakenBack) -> None:
    if parts.from_others or parts.owed:
        wallet = account.wallet
        wallet.balance -= parts.from_others
        wallet.unallocated += parts.from_others
        wallet.debt += parts.owed
        total = parts.from_others + parts.owed
        account.enter(EntryKind.REFUND, -total, debt_change=parts.owed, purchase=refund.purchase, refund=refund)


def _give_the_rest_back(account: Account, refund: Refund) -> None:
    wallet = account.wallet
    undone = min(refund.credits_owed, wallet.debt)
    returned = refund.credits_owed - undone + refund.credits_from_others
    if not (undone or returned):
        return
    wallet.debt -= undone
    wallet.balance += returned
    lot = account.new_lot(LotSource.GRANTED, returned, _fresh_expiry(account)) if returned else None
    account.enter(
        EntryKind.REFUND_FAILED,
        undone + returned,
        debt_change=-undone,
        lot=lot,
        purchase=refund.purchase,
        refund=refund,
    )


def _freeze(account: Account, dispute: Dispute) -> None:
    own = list(_own_lots(account, dispute.purchase))
    left = [lot.remaining for lot in own]
    amount = min(sum(left), account.free)
    for lot, part in zip(own, lots.in_proportion(left, amount), strict=True):
        if part:
            lot.frozen += part
            _take(account, lot, part)
            account.enter(EntryKind.DISPUTE, -part, lot=lot, purchase=dispute.purchase, dispute=dispute)
    account.wallet.next_expiry_at = account.earliest_expiry(account.now)
    _count_frozen(dispute, amount)


def _thaw(account: Account, dispute: Dispute) -> None:
    sums = dispute.entries.order_by("lot").values_list("lot").annotate(Sum("amount"))
    frozen = {lot_id: -amount for lot_id, amount in sums if amount}
    for lot in Lot.objects.filter(pk__in=frozen).order_by("id"):
        lot.frozen -= frozen[lot.pk]
        account.put_back(lot, frozen[lot.pk], EntryKind.DISPUTE_RELEASE, purchase=dispute.purchase, dispute=dispute)
    _count_frozen(dispute, -sum(frozen.values()))


def _count_frozen(dispute: Dispute, change: int) -> None:
    dispute.credits_frozen += change
    dispute.save(update_fields=["credits_frozen"])


def _take(account: Account, lot: Lot, amount: int) -> None:
    lot.remaining -= amount
    lot.save(update_fields=["remaining", "frozen"])
    account.wallet.balance -= amount


def _own_lots(account: Account, purchase: Purchase) -> QuerySet[Lot]:
    """Those with something left that has not expired; read again each time, as the steps change them."""
    own = account.usable_lots().filter(purchase=purchase)
    return own.exclude(expires_at__lte=account.now).order_by("id")


def _expired_and_not_counted(account: Account, refund: Refund) -> int:
    """What of the purchase's lots has expired, also where a reservation still keeps it, less what earlier refunds
    were spared for it."""
    own = Lot.objects.filter(purchase=refund.purchase)
    entries = LedgerEntry.objects.filter(lot__in=list(own), kind=EntryKind.EXPIRY)
    gone = -(entries.aggregate(total=Sum("amount"))["total"] or 0)
    kept = own.filter(expires_at__lte=account.now).aggregate(total=Sum("remaining"))["total"] or 0
    others = Refund.objects.filter(purchase=refund.purchase).exclude(pk=refund.pk).exclude(status=RefundStatus.FAILED)
    return gone + kept - (others.aggregate(total=Sum("credits_expired"))["total"] or 0)


def _open_disputes(purchase: Purchase) -> list[Dispute]:
    return list(purchase.disputes.filter(status=DisputeStatus.OPEN).order_by("id"))


def _fresh_expiry(account: Account) -> datetime | None:
    days = ai_credits().credits_expire_days
    return None if days is None else account.now + timedelta(days=days)


def _purchase_of(refund: Refund) -> Purchase:
    assert refund.purchase is not None
    return refund.purchase
