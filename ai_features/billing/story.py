"""The whole story of a reference in order, and what to do next: for support, in the admin and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ai_features.billing import settlement
from ai_features.exceptions import PaystackError, TransactionNotFound
from ai_features.models import EventStatus, Finding, Purchase, PurchaseStatus, WebhookEvent
from ai_features.money import to_credits, to_major
from ai_features.paystack import PaystackService, Transaction

Answer = Transaction | PaystackError


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Story:
    """`paystack_says` is empty where Paystack was not asked."""

    reference: str
    headline: str
    steps: tuple[Step, ...]
    paystack_says: str
    next_steps: tuple[str, ...]


def tell(reference: str, *, ask_paystack: bool = False) -> Story:
    """What is known of a reference, ours or not. Changes nothing; asks Paystack only if told to."""
    purchase = Purchase.objects.select_related("wallet__user", "buyer").filter(reference=reference).first()
    events = list(WebhookEvent.objects.filter(reference=reference).order_by("id"))
    answer = _answer_of(reference, purchase) if ask_paystack else None
    steps = [*_steps_of(purchase)] if purchase else []
    steps += [_delivery(event) for event in events]
    steps += [
        Step(finding.found_at, f"Reconciliation: {finding.get_kind_display()}; {finding.outcome}")
        for finding in Finding.objects.filter(reference=reference)
    ]
    return Story(
        reference=reference,
        headline=_headline(purchase),
        steps=tuple(sorted(steps, key=lambda step: step.at)),
        paystack_says=_in_words(answer) if answer is not None else "",
        next_steps=tuple(_next_steps(purchase, events, answer)),
    )


def _answer_of(reference: str, purchase: Purchase | None) -> Answer | None:
    """None where this installation's key cannot ask: there is none, or it is of the other mode."""
    try:
        if purchase is not None and purchase.mode != PaystackService.from_settings().mode:
            return None
        return settlement.ask(reference)
    except ImproperlyConfigured:
        return None


def _headline(purchase: Purchase | None) -> str:
    if purchase is None:
        return "No purchase here has this reference."
    paid_for = f"{purchase.package_code}, {purchase.currency} {to_major(purchase.amount_minor)}"
    credits_ = f"{to_credits(purchase.total_credits):f} credits"
    reason = f" ({purchase.status_reason})" if purchase.status_reason else ""
    return f"{purchase.status}{reason}: {paid_for} for {credits_}, wallet of {purchase.wallet}, {purchase.mode} mode"


def _steps_of(purchase: Purchase) -> Iterator[Step]:
    yield Step(purchase.created_at, f"Started by {purchase.buyer} ({purchase.email})")
    opened = "Checkout opened at Paystack" if purchase.authorization_url else "Checkout not opened"
    yield Step(purchase.created_at, opened)
    if purchase.paid_at is not None:
        paid = f"{purchase.paid_currency} {to_major(purchase.paid_amount_minor or 0)}"
        yield Step(purchase.paid_at, f"Paid at Paystack: {paid} by {purchase.channel or 'unknown means'}")
    for answer in purchase.answers.all():
        yield Step(answer.first_at, f"Asked Paystack ({answer.get_asked_by_display()}): {answer.answer}")
        if answer.times > 1:
            yield Step(
                answer.last_at,
                f"Asked Paystack ({answer.get_asked_by_display()}): {answer.answer}, {answer.times} times by now",
            )
    if purchase.completed_at is not None:
        yield Step(purchase.completed_at, f"Settled by {purchase.get_settled_by_display()}")
    for entry in purchase.entries.order_by("id"):
        about = f"{entry.get_kind_display()}: {to_credits(entry.amount):+f} credits"
        yield Step(entry.created_at, f"Ledger entry {entry.pk}, {about}, balance {to_credits(entry.balance_after):f}")


def _delivery(event: WebhookEvent) -> Step:
    became = f"{event.status}, {event.outcome}" if event.outcome else event.status
    error = f" ({event.error})" if event.error else ""
    name = event.event or "of no known kind"
    return Step(event.received_at, f"Webhook {name} received, event {event.pk}: {became}{error}")


def _in_words(answer: Answer) -> str:
    if isinstance(answer, TransactionNotFound):
        return "Paystack knows no such transaction."
    if isinstance(answer, PaystackError):
        return f"Paystack could not be asked: {answer.message}"
    money = f"{answer.currency} {to_major(answer.amount_minor)}"
    words = answer.gateway_response or answer.message
    return f"{answer.status}: {money}, {answer.channel or 'no channel yet'}{f', {words}' if words else ''}"


def _next_steps(purchase: Purchase | None, events: list[WebhookEvent], answer: Answer | None) -> Iterator[str]:
    for event in events:
        if event.status in (EventStatus.FAILED, EventStatus.RECEIVED):
            yield f"Process webhook event {event.pk} again: manage.py replay_webhooks {event.pk}, or in the admin."
    if purchase is None:
        yield from _if_unknown(answer)
        return
    status = PurchaseStatus(purchase.status)
    if isinstance(answer, Transaction) and (answer.is_paid or answer.was_reversed) and not purchase.is_decided:
        yield f"Paystack has the money: settle it now with manage.py paystack_status {purchase.reference} --settle."
        return
    yield _BY_STATUS[status]
    if not purchase.is_decided:
        yield from _if_undecided(purchase)


def _if_unknown(answer: Answer | None) -> Iterator[str]:
    if isinstance(answer, Transaction):
        yield (
            "Paystack knows it and we don't: a payment of another system on the same Paystack account, or rows were "
            "lost here. Look at its metadata in the Paystack dashboard; if it is ours, refund it there."
        )
    elif isinstance(answer, TransactionNotFound):
        yield "Neither we nor Paystack know it: compare it with the receipt, letter by letter. Ours begin AI-CREDIT-."
    else:
        yield "Compare it with the receipt, letter by letter, and ask again when Paystack can be asked."


def _if_undecided(purchase: Purchase) -> Iterator[str]:
    if purchase.next_check_at is not None:
        at = timezone.localtime(purchase.next_check_at)
        yield f"Reconciliation asks Paystack again from {at:%Y-%m-%d %H:%M} on; paystack_doctor says whether it runs."
    if not purchase.authorization_url:
        yield "Its checkout was never opened, so nobody can have paid it."


_BY_STATUS = {
    PurchaseStatus.PENDING: (
        "Not paid as far as Paystack tells. Mobile money may take minutes: ask the buyer whether they approved the "
        "prompt, and for Paystack's receipt if they say they paid."
    ),
    PurchaseStatus.COMPLETED: (
        "Nothing: the credits are in the wallet named above. A buyer who does not see them is logged in as another, or "
        "has spent them: look at the wallet's entries."
    ),
    PurchaseStatus.FAILED: (
        "Paystack says that it failed; if the buyer was charged all the same, the money goes back to them, or the "
        "payment is settled when Paystack says so. They can buy again, which is another purchase."
    ),
    PurchaseStatus.ABANDONED: (
        "It was not paid in time. If it is paid later it is settled all the same. They can buy again."
    ),
    PurchaseStatus.REVIEW: (
        "Paid, but not as agreed, so nobody was credited; the reason stands above. Staff must decide."
    ),
    PurchaseStatus.PARTIALLY_REFUNDED: "A part of the money went back, and its credits were taken back.",
    PurchaseStatus.REFUNDED: "The money went back, and the credits were taken back.",
}
