"""Disputes: what is left of the purchase's own credits is frozen while one is open, taken if it is lost, given back
with the old expiry if it is won.

An event may come late, twice, or before the one that should precede it: the first that tells of a dispute records it,
an end is final, and every event of an open one freezes what has become free since.
"""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from ai_features.billing import ledger, refund_moves, staff
from ai_features.exceptions import PurchaseNotFound
from ai_features.models import Dispute, DisputeStatus, Purchase, RefundStatus
from ai_features.paystack import PaystackDispute
from ai_features.signals import dispute_opened, dispute_resolved

log = logging.getLogger(__name__)


def follow(facts: PaystackDispute) -> Dispute:
    """Record what Paystack says of a dispute, and freeze, take or give back credits by it. Safe to repeat and to race.

    `facts` must come from a signed webhook or Paystack's own answer. Raises PurchaseNotFound.
    """
    with transaction.atomic():
        purchase = ledger.lock_purchase(facts.reference or _reference_of(facts))
        dispute, is_new = Dispute.objects.get_or_create(
            paystack_id=str(facts.id), defaults={"purchase": purchase, "opened_at": facts.created_at or timezone.now()}
        )
        if not dispute.is_open:
            return dispute
        dispute.purchase = purchase
        _note(dispute, facts)
        if facts.is_open:
            _freeze(dispute)
        else:
            _end(dispute, facts)
        transaction.on_commit(lambda: _announce(dispute, is_new=is_new))
    return dispute


def purchase_of(facts: PaystackDispute) -> Purchase:
    """Raises PurchaseNotFound."""
    purchase = Purchase.objects.filter(reference=facts.reference or _reference_of(facts)).first()
    if purchase is None:
        raise PurchaseNotFound
    return purchase


def _reference_of(facts: PaystackDispute) -> str:
    found = Purchase.objects.filter(paystack_id=str(facts.transaction_id)).values_list("reference", flat=True).first()
    if found is None:
        raise PurchaseNotFound
    return found


def _note(dispute: Dispute, facts: PaystackDispute) -> None:
    dispute.paystack_status = facts.status[:40]
    dispute.resolution = facts.resolution[:40]
    dispute.category = facts.category[:40] or dispute.category
    dispute.currency = facts.currency[:3] or dispute.currency
    dispute.due_at = facts.due_at or dispute.due_at
    if facts.refund_amount_minor is not None:
        dispute.amount_minor = facts.refund_amount_minor
    dispute.save()


def _freeze(dispute: Dispute) -> None:
    if dispute.purchase.completed_at is not None:
        with ledger.open_account(dispute.purchase.wallet_id) as account:
            ledger.freeze(account, dispute)


def _end(dispute: Dispute, facts: PaystackDispute) -> None:
    """The refund comes before the thaw, so that it takes frozen credits and not what else the wallet has."""
    purchase = dispute.purchase
    if facts.is_accepted:
        left = refund_moves.refundable_minor(purchase)
        amount = left if facts.refund_amount_minor is None else min(left, facts.refund_amount_minor)
        if amount > 0 and not dispute.refunds.exists():
            reason = f"Dispute {facts.id}: {facts.resolution or 'the money went back'}"
            currency = purchase.payment_currency
            refund = refund_moves.begin(
                purchase.reference, purchase, amount, currency=currency, reason=reason, dispute=dispute
            )
            refund_moves.move(refund, RefundStatus.PROCESSED)
    if purchase.completed_at is not None:
        with ledger.open_account(purchase.wallet_id) as account:
            dispute.refresh_from_db(fields=["credits_frozen"])
            ledger.thaw(account, dispute)
    dispute.status = DisputeStatus.LOST if facts.is_accepted else DisputeStatus.WON
    dispute.ended_at = timezone.now()
    dispute.save(update_fields=["status", "ended_at"])


def _announce(dispute: Dispute, *, is_new: bool) -> None:
    reference = dispute.purchase.reference
    # Of one that stays open each list tells again.
    if is_new or not dispute.is_open:
        about = {"reference": reference}
        log.info("dispute %s of %s is %s", dispute.paystack_id, reference, dispute.status, extra=about)
    if not dispute.is_open:
        dispute_resolved.send_robust(Dispute, dispute=dispute)
    elif is_new:
        dispute_opened.send_robust(Dispute, dispute=dispute)
        staff.tell_of_dispute(dispute)
