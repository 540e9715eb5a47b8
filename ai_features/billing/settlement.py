"""The only step that turns money into credits, and the one routine for all who confirm a payment.

The buyer's return, Paystack's webhook and reconciliation end here, in any order and at the same moment; the first
to get the purchase's lock decides, the others find it decided (laws 4, 6, 8 and 10).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.utils import timezone

from ai_features.billing import ledger, receipts, refund_list, review_items
from ai_features.billing.answers import note_answer
from ai_features.billing.requests import is_plain_text
from ai_features.conf import ai_credits
from ai_features.exceptions import PaystackError, PurchaseNotFound, TransactionNotFound
from ai_features.models import (
    EntryKind,
    EventStatus,
    LedgerEntry,
    LotSource,
    Purchase,
    PurchaseStatus,
    ReviewKind,
    SettledBy,
    Wallet,
    WebhookEvent,
)
from ai_features.paystack import PaystackService, Transaction, within
from ai_features.paystack.answers import MAX_REFERENCE_LENGTH
from ai_features.signals import purchase_abandoned, purchase_completed, purchase_failed

log = logging.getLogger(__name__)

_SIGNALS = {
    PurchaseStatus.COMPLETED: purchase_completed,
    PurchaseStatus.FAILED: purchase_failed,
    PurchaseStatus.ABANDONED: purchase_abandoned,
}

BUYER_WAITS_SECONDS = 8.0
"""So long a request of a buyer's may ask Paystack, where another look does as well. While Paystack is silent each
holds a thread of the web server, which those who spend need too."""

_ON_SETTLING = (EntryKind.PURCHASE, EntryKind.BONUS, EntryKind.DEBT_PAYMENT)


@dataclass(frozen=True, slots=True)
class Decision:
    """`review` says of what kind the payment is that people must look at."""

    status: PurchaseStatus
    reason: str = ""
    review: ReviewKind | None = None


def purchase_of(wallet: Wallet, reference: str) -> Purchase:
    """The wallet's own purchase. Raises PurchaseNotFound, for another's as for none."""
    found = Purchase.objects.filter(wallet=wallet, reference=reference)
    purchase = found.first() if is_plain_text(reference, MAX_REFERENCE_LENGTH) else None
    if purchase is None:
        raise PurchaseNotFound
    return purchase


def check(purchase: Purchase, *, settled_by: SettledBy = SettledBy.RETURN) -> Purchase:
    """Ask Paystack about an undecided purchase and settle what it says; a decided one comes back as it is.

    Safe to repeat and to race. Raises a PaystackError where Paystack gives no usable answer; nothing is lost then.
    """
    if purchase.is_decided:
        return purchase
    answer = ask(purchase.reference)
    note_answer(purchase, settled_by, answer)
    return settle_answer(purchase.reference, answer, settled_by=settled_by)


def check_for_buyer(purchase: Purchase) -> Purchase:
    """`check` while a buyer waits, by browser or app: a PaystackTimeout after `BUYER_WAITS_SECONDS`."""
    with within(BUYER_WAITS_SECONDS):
        return check(purchase)


def ask(reference: str) -> Transaction | PaystackError:
    """What Paystack says of a reference now, with the refunds of one whose money is going back: its status does not
    tell a part from the whole. An error is an answer too; nothing here touches the database.
    """
    try:
        answer = PaystackService.verify_transaction(reference)
        if not answer.was_reversed or answer.id is None:
            return answer
        listed = PaystackService.list_refunds(transaction_id=answer.id)
        # Those of disputes come with their dispute.
        return replace(answer, refunds=tuple(refund for refund in listed if refund.dispute_id is None))
    except PaystackError as error:
        return error


def settle_answer(reference: str, answer: Transaction | PaystackError, *, settled_by: SettledBy) -> Purchase:
    """`settle` by what `ask` gave. Raises the PaystackError that says nothing of the reference."""
    if isinstance(answer, PaystackError) and not isinstance(answer, TransactionNotFound):
        raise answer
    facts = answer if isinstance(answer, Transaction) else None
    return settle(reference, facts, settled_by=settled_by)


def settle(reference: str, facts: Transaction | None, *, settled_by: SettledBy) -> Purchase:
    """Apply what Paystack said of one reference (None: it knows nothing of it), once.

    `facts` must come from a verify or list answer of Paystack's, or from a signed webhook. Afterwards the purchase is
    completed with its credits in the wallet, failed, abandoned, in review, or as it was. Safe to repeat and to race.
    Raises PurchaseNotFound.
    """
    with transaction.atomic():
        purchase = ledger.lock_purchase(reference)
        decision = decide(purchase, facts, timezone.now())
        if decision.status == purchase.status:
            if facts is not None and purchase.is_decided:
                review_items.flag_paid_again(purchase, facts, source=settled_by)
            return purchase
        purchase.move_to(decision.status, decision.reason)
        if facts is not None:
            _note_facts(purchase, facts)
        if decision.status == PurchaseStatus.COMPLETED:
            complete(purchase, settled_by, timezone.now())
        purchase.save()
        if facts is not None and decision.status == PurchaseStatus.COMPLETED and facts.refunds:
            refund_list.apply_to(reference, purchase, facts.refunds, timezone.now())
        if decision.review is not None:
            review_items.open_item(
                decision.review,
                reference,
                purchase=purchase,
                facts=facts,
                explanation=decision.reason,
                source=settled_by,
            )
        transaction.on_commit(lambda: _announce(purchase, decision.status))
    return purchase


def record_and_settle(event: WebhookEvent, facts: Transaction) -> bool:
    """Save the event, and settle its purchase in the same round trip where Paystack confirms it exactly as it was
    sold. Says whether it was settled; if not, nothing is changed but that the event is on record.
    """
    if not facts.is_paid or facts.was_reversed or connection.vendor != "postgresql":
        event.save()
        return False
    event.pk, is_settled = ledger.settle(delivery_of(event, facts))
    event._state.adding = False
    if is_settled:
        event.status, event.outcome, event.attempts = EventStatus.PROCESSED, PurchaseStatus.COMPLETED, 1
        transaction.on_commit(lambda: _announce_settled(facts.reference))
    return is_settled


def decide(purchase: Purchase, facts: Transaction | None, now: datetime) -> Decision:
    """What Paystack's word makes of a purchase. Pure; an equal status means that nothing changes."""
    status = PurchaseStatus(purchase.status)
    if purchase.is_decided:
        return Decision(status)
    if facts is not None and (facts.is_paid or facts.was_reversed):
        problem = disagreement(purchase, facts)
        if problem is None:
            return Decision(PurchaseStatus.COMPLETED)
        kind, reason = problem
        return Decision(PurchaseStatus.REVIEW, reason, kind)
    if status != PurchaseStatus.PENDING:
        return Decision(status)
    if facts is not None and facts.is_failed:
        return Decision(PurchaseStatus.FAILED, facts.gateway_response or facts.message or "Paystack says failed.")
    deadline = timedelta(hours=ai_credits().purchase_deadline_hours)
    if now - purchase.created_at > deadline:
        return Decision(PurchaseStatus.ABANDONED, "Not paid in time.")
    return Decision(status)


def disagreement(purchase: Purchase, facts: Transaction) -> tuple[ReviewKind, str] | None:
    """Why a paid transaction is not the payment this purchase waits for; None if it is (law 6)."""
    if facts.reference != purchase.reference:
        return ReviewKind.WRONG_REFERENCE, f"Paystack answered for reference {facts.reference}."
    if facts.mode != purchase.mode:
        return ReviewKind.WRONG_MODE, f"Paid in {facts.mode} mode, sold in {purchase.mode} mode."
    if facts.currency != purchase.currency:
        return ReviewKind.WRONG_CURRENCY, f"Paid in {facts.currency}, sold in {purchase.currency}."
    # With the fee passed on to the payer `amount` is larger and `requested_amount` is what was asked for.
    fee_on_top = facts.requested_amount_minor == purchase.amount_minor < facts.amount_minor
    if facts.amount_minor != purchase.amount_minor and not fee_on_top:
        text = f"Paid {facts.amount_minor}, sold for {purchase.amount_minor} (in the subunit of {purchase.currency})."
        return ReviewKind.WRONG_AMOUNT, text
    # What Paystack lists as refunded is taken back again; of the rest nobody knows how much went back.
    if facts.was_reversed and not facts.refunds:
        return ReviewKind.REVERSED, "Paid, but the money went back before credits were given."
    return None


def balance_after(purchase: Purchase) -> int:
    """Micro-credits in the wallet right after this purchase was settled: the same on every repeat."""
    last = LedgerEntry.objects.filter(purchase=purchase, kind__in=_ON_SETTLING).latest("id")
    return last.balance_after


def _announce(purchase: Purchase, status: PurchaseStatus) -> None:
    """`status` is the one it came to first: by now a part may have been refunded."""
    _log(purchase.reference, status, purchase.settled_by)
    receipts.send_later(purchase.reference, status)
    if signal := _SIGNALS.get(status):
        signal.send_robust(Purchase, purchase=purchase)


def _announce_settled(reference: str) -> None:
    """As `_announce`, with the purchase read only if somebody wants it."""
    _log(reference, PurchaseStatus.COMPLETED, SettledBy.WEBHOOK)
    receipts.send_later(reference, PurchaseStatus.COMPLETED)
    if purchase_completed.has_listeners(Purchase):
        purchase_completed.send_robust(Purchase, purchase=Purchase.objects.get(reference=reference))


def _log(reference: str, status: str, settled_by: str) -> None:
    about = {"reference": reference, "status": status, "settled_by": settled_by}
    log.info("purchase %s is %s %s", reference, status, settled_by, extra=about)


def _note_facts(purchase: Purchase, facts: Transaction) -> None:
    for name, value in _noted(facts).items():
        setattr(purchase, name, value)


def _noted(facts: Transaction) -> dict[str, Any]:
    """What a purchase keeps of the payment, by column, cut to what fits."""
    return {
        "paystack_id": "" if facts.id is None else str(facts.id),
        "paid_amount_minor": facts.amount_minor,
        "paid_currency": Purchase.cut("paid_currency", facts.currency),
        "fees_minor": facts.fees_minor,
        "channel": Purchase.cut("channel", facts.channel),
        "gateway_response": Purchase.cut("gateway_response", facts.gateway_response),
        "paid_at": facts.paid_at,
    }


def delivery_of(event: WebhookEvent, facts: Transaction) -> ledger.Delivery:
    told = _noted(facts) | {
        "sha256": event.body_sha256,
        "event": event.event,
        "source_ip": event.source_ip,
        "mode": facts.mode,
        "currency": facts.currency,
        "amount_minor": facts.amount_minor,
        "expires_at": _expiry(timezone.now()),
    }
    return ledger.delivery(facts.reference, told, bytes(event.body))


def complete(
    purchase: Purchase,
    settled_by: SettledBy,
    now: datetime,
    *,
    reason: str = "",
    actor: AbstractBaseUser | None = None,
) -> None:
    """Give a locked purchase its credits; the caller has moved its status, and saves it."""
    with ledger.open_account(purchase.wallet_id) as account:
        account.add(list(_lots_of(purchase, now, reason, actor)))
    purchase.settled_by = settled_by
    purchase.completed_at = now


def _lots_of(purchase: Purchase, now: datetime, reason: str, actor: AbstractBaseUser | None) -> Iterator[ledger.NewLot]:
    about = (_expiry(now), purchase, reason, actor)
    yield ledger.NewLot(EntryKind.PURCHASE, LotSource.PURCHASED, purchase.credits, *about)
    if purchase.bonus_credits:
        yield ledger.NewLot(EntryKind.BONUS, LotSource.BONUS, purchase.bonus_credits, *about)


def _expiry(now: datetime) -> datetime | None:
    days = ai_credits().credits_expire_days
    return None if days is None else now + timedelta(days=days)
