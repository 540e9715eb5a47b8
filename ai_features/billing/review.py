"""What staff decides about a payment in review: accept, refund or dismiss it, once, with a note."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from ai_features.billing import ledger, refund_moves, refunds, settlement
from ai_features.billing.grants import require_no_approval
from ai_features.billing.packages import CUSTOM
from ai_features.billing.pricing import Credits
from ai_features.billing.wallets import Owner, wallet_of
from ai_features.exceptions import (
    InvalidRequest,
    PaystackError,
    ReviewDecided,
    ReviewItemNotFound,
    ReviewRefused,
)
from ai_features.models import (
    Mode,
    Purchase,
    PurchaseStatus,
    Refund,
    ReviewItem,
    ReviewKind,
    ReviewStatus,
    SettledBy,
)
from ai_features.money import to_micro
from ai_features.signals import purchase_completed

NOTE_LONGEST = 300

# The payment is credited, or another one is: there is nothing to give.
_CREDITED = (ReviewKind.SECOND_PAYMENT, ReviewKind.REFUND_CONTRADICTS)
_BESIDE_ITS_PURCHASE = (ReviewKind.PAID_AGAIN, ReviewKind.PAID_AFTER_REFUND)


def accept(
    item_id: int, by: AbstractBaseUser, note: str, *, owner: Owner | None = None, credits_: Credits | None = None
) -> ReviewItem:
    """The payment stays, and becomes credits: as they were sold; for one that belongs to no purchase as many as staff
    says, in the wallet of `owner`. Of one that is credited already nothing more is given.

    Raises ReviewItemNotFound, ReviewDecided, ReviewRefused, InvalidRequest, CreditsOutOfRange, or ApprovalRequired for
    more than one person may say.
    """
    item = find(item_id)
    with transaction.atomic():
        purchase = None if item.purchase is None else ledger.lock_purchase(item.purchase.reference)
        _decide(item, ReviewStatus.ACCEPTED, by, note)
        if purchase is None:
            purchase = _purchase_for(item, owner, credits_, by)
        elif credits_ is not None or owner is not None:
            raise ReviewRefused("This payment has its purchase: credits are given as they were sold.")
        elif item.kind in _BESIDE_ITS_PURCHASE:
            raise ReviewRefused("A purchase is credited once. Refund this in Paystack's dashboard, then dismiss.")
        elif item.kind in _CREDITED:
            return item
        _complete(purchase, by, item.note)
    return item


def refund(item_id: int, by: AbstractBaseUser, note: str) -> ReviewItem:
    """Send all of the payment back that is left. Where Paystack refuses, the item is open again and the error raised.

    Raises as `accept`, RefundRefused, or a PaystackError.
    """
    item = find(item_id)
    if item.kind in (*_BESIDE_ITS_PURCHASE, ReviewKind.REFUND_CONTRADICTS):
        raise ReviewRefused("Look at this payment in Paystack's dashboard and refund it there, then dismiss.")
    with transaction.atomic(durable=True):
        purchase = None if item.purchase is None else ledger.lock_purchase(item.purchase.reference)
        _decide(item, ReviewStatus.REFUNDED, by, note)
        if purchase is None:
            asked = _refund_of_none(item, by)
        else:
            asked = refunds.record(purchase, None, reason=item.note, by=by)
    try:
        refunds.ask(asked)
    except (PaystackError, ImproperlyConfigured):
        _reopen(item)
        raise
    return item


def dismiss(item_id: int, by: AbstractBaseUser, note: str) -> ReviewItem:
    """Leave it as it is. Raises ReviewItemNotFound, ReviewDecided or InvalidRequest."""
    item = find(item_id)
    with transaction.atomic():
        _decide(item, ReviewStatus.DISMISSED, by, note)
    return item


def find(item_id: int) -> ReviewItem:
    item = ReviewItem.objects.select_related("purchase").filter(pk=item_id).first()
    if item is None:
        raise ReviewItemNotFound
    return item


def _decide(item: ReviewItem, status: ReviewStatus, by: AbstractBaseUser, note: str) -> None:
    """Whoever comes second finds it decided."""
    note = note.strip()
    if not note or len(note) > NOTE_LONGEST:
        raise InvalidRequest(fields={"note": [f"Say why, in at most {NOTE_LONGEST} characters."]})
    decision = {"status": status, "note": note, "decided_by_id": by.pk, "decided_at": timezone.now()}
    if not ReviewItem.objects.filter(pk=item.pk, status=ReviewStatus.OPEN).update(**decision):
        now = ReviewItem.objects.select_related("decided_by").get(pk=item.pk)
        raise ReviewDecided(status=now.status, decided_by=str(now.decided_by))
    item.refresh_from_db()


def _reopen(item: ReviewItem) -> None:
    undecided: dict[str, Any] = {"status": ReviewStatus.OPEN, "note": "", "decided_by": None, "decided_at": None}
    ReviewItem.objects.filter(pk=item.pk, status=ReviewStatus.REFUNDED).update(**undecided)


def _complete(purchase: Purchase, by: AbstractBaseUser, note: str) -> None:
    if not purchase.may_become(PurchaseStatus.COMPLETED) or purchase.status != PurchaseStatus.REVIEW:
        raise ReviewRefused(f"This purchase is {purchase.get_status_display()} meanwhile. Dismiss it.")
    purchase.move_to(PurchaseStatus.COMPLETED)
    settlement.complete(purchase, SettledBy.STAFF, timezone.now(), reason=note[:200], actor=by)
    purchase.save()
    # What went back before credits were given takes its share of them now.
    for earlier in refund_moves.active(purchase).filter(taken_at=None).order_by("asked_at"):
        earlier.purchase = purchase
        refund_moves.take(earlier)
    refund_moves.count_refunded(purchase)
    transaction.on_commit(lambda: _announce(purchase))


def _announce(purchase: Purchase) -> None:
    purchase_completed.send_robust(Purchase, purchase=purchase)


def _purchase_for(item: ReviewItem, owner: Owner | None, credits_: Credits | None, by: AbstractBaseUser) -> Purchase:
    """A purchase in review for a payment that had none, so that it is credited, refunded and disputed as any other."""
    if owner is None or credits_ is None:
        raise InvalidRequest(fields={"owner": ["Say whose wallet."], "credits": ["Say how many."]})
    if item.mode not in Mode.values or not item.amount_minor:
        raise ReviewRefused("Paystack told neither amount nor mode of this payment.")
    # How many is one person's word, as in a grant; a stray payment must be no way around the limit.
    require_no_approval(to_micro(credits_))
    wallet = wallet_of(owner)
    buyer: Any = wallet.user if owner is wallet or isinstance(owner, str) else owner
    item.purchase = Purchase.objects.create(
        reference=item.reference,
        wallet=wallet,
        buyer_id=by.pk if buyer is None or not isinstance(buyer, AbstractBaseUser) else buyer.pk,
        email=item.payer_email,
        mode=item.mode,
        status=PurchaseStatus.REVIEW,
        package_code=CUSTOM,
        currency=item.currency,
        price_minor=item.amount_minor,
        amount_minor=item.amount_minor,
        paid_amount_minor=item.amount_minor,
        paid_currency=item.currency,
        paystack_id=item.paystack_id,
        credits=to_micro(credits_),
    )
    item.save(update_fields=["purchase"])
    return item.purchase


def _refund_of_none(item: ReviewItem, by: AbstractBaseUser) -> Refund:
    if not item.amount_minor:
        raise ReviewRefused("Paystack told no amount for this payment.")
    return refund_moves.begin(
        item.reference, None, item.amount_minor, currency=item.currency, reason=item.note, requested_by=by
    )


def to_decide() -> QuerySet[ReviewItem]:
    """Those that wait, oldest first."""
    waiting = ReviewItem.objects.filter(status=ReviewStatus.OPEN)
    return waiting.select_related("purchase", "decided_by").order_by("opened_at")
