"""Payments that people must look at: opened here, once, and decided in `review`. Nothing here gives credits."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery

from ai_features.billing import staff
from ai_features.conf import ai_credits
from ai_features.models import Purchase, PurchaseStatus, ReviewItem, ReviewKind
from ai_features.paystack import Transaction
from ai_features.signals import payment_needs_review


def open_item(
    kind: ReviewKind,
    reference: str,
    *,
    purchase: Purchase | None = None,
    facts: Transaction | None = None,
    explanation: str = "",
    source: str = "",
) -> ReviewItem | None:
    """A new item; None where there is one of this kind for the same payment, open or decided. Safe to race."""
    number = "" if facts is None or facts.id is None else str(facts.id)
    same = ReviewItem.objects.filter(reference=reference, kind=kind, paystack_id=number, explanation=explanation[:300])
    if same.exists():
        return None
    item = ReviewItem(
        kind=kind,
        reference=reference,
        purchase=purchase,
        explanation=explanation[:300],
        paystack_id=number,
        source=source[:60],
    )
    if facts is not None:
        item.amount_minor, item.currency, item.mode = facts.amount_minor, facts.currency, facts.mode[:10]
        item.payer_email = facts.customer_email[:254]
    try:
        with transaction.atomic():
            item.save()
    except IntegrityError:
        # One of a kind is open for the reference already.
        return None
    transaction.on_commit(lambda: _announce(item))
    return item


def open_unknown(facts: Transaction, *, source: str) -> ReviewItem | None:
    """For a payment that belongs to no purchase; see `REVIEW_UNKNOWN_REFERENCES`."""
    if not facts.is_paid or not ai_credits().review_unknown_references:
        return None
    text = "Paid at Paystack under a reference that no purchase here has."
    return open_item(ReviewKind.UNKNOWN_REFERENCE, facts.reference, facts=facts, explanation=text, source=source)


def flag_paid_again(purchase: Purchase, facts: Transaction, *, source: str) -> ReviewItem | None:
    """A decided purchase is confirmed as paid by another transaction of Paystack's than the one it was decided by."""
    if not facts.is_paid or facts.id is None or purchase.paystack_id in ("", str(facts.id)):
        return None
    refunded = purchase.status in (PurchaseStatus.REFUNDED, PurchaseStatus.PARTIALLY_REFUNDED)
    kind = ReviewKind.PAID_AFTER_REFUND if refunded else ReviewKind.PAID_AGAIN
    text = f"Transaction {facts.id} besides {purchase.paystack_id}, which decided this purchase."
    return open_item(kind, purchase.reference, purchase=purchase, facts=facts, explanation=text, source=source)


def flag_second_payments(since: datetime) -> int:
    """Of the purchases completed since then: which were started while another of the same was still undecided?

    Who starts again before the first attempt is decided, buys the same for the same wallet and then pays both, has
    most likely meant to pay once. Both are credited, since both are confirmed; staff may refund one. By the clock and
    not with each payment, whose path it would lengthen. Returns how many are new; safe to repeat.
    """
    others = Purchase.objects.filter(
        wallet=OuterRef("wallet"),
        buyer=OuterRef("buyer"),
        package_code=OuterRef("package_code"),
        amount_minor=OuterRef("amount_minor"),
        currency=OuterRef("currency"),
        completed_at__gt=OuterRef("created_at"),
        completed_at__lte=OuterRef("completed_at"),
    ).exclude(pk=OuterRef("pk"))
    twin = others.order_by("-id").values("reference")[:1]
    flagged = 0
    for purchase in Purchase.objects.filter(completed_at__gte=since).annotate(twin=Subquery(twin)).exclude(twin=None):
        text = f"Started before {purchase.twin}, for the same, was decided; both were paid."
        item = open_item(ReviewKind.SECOND_PAYMENT, purchase.reference, purchase=purchase, explanation=text)
        flagged += item is not None
    return flagged


def _announce(item: ReviewItem) -> None:
    payment_needs_review.send_robust(Purchase, purchase=item.purchase, item=item)
    staff.tell_of_review(item)
