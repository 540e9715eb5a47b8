"""The whole story of a reference in order, and what to do next: for support, in the admin and on the command line.

steps.py   what is on record of it, each thing at its time
advice.py  what to do next
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from ai_features.billing import settlement
from ai_features.billing.story.advice import Answer, advice
from ai_features.billing.story.steps import Step, money, record_of, steps_of
from ai_features.exceptions import PaystackError, TransactionNotFound
from ai_features.models import Purchase
from ai_features.money import to_credits
from ai_features.paystack import PaystackService


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
    record = record_of(reference)
    answer = _answer_of(reference, record.purchase) if ask_paystack else None
    return Story(
        reference=reference,
        headline=_headline(record.purchase),
        steps=steps_of(record),
        paystack_says=_in_words(answer) if answer is not None else "",
        next_steps=tuple(advice(record, answer)),
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
    paid_for = f"{purchase.package_code}, {money(purchase.currency, purchase.amount_minor)}"
    credits_ = f"{to_credits(purchase.total_credits):f} credits"
    reason = f" ({purchase.status_reason})" if purchase.status_reason else ""
    return f"{purchase.status}{reason}: {paid_for} for {credits_}, wallet of {purchase.wallet}, {purchase.mode} mode"


def _in_words(answer: Answer) -> str:
    if isinstance(answer, TransactionNotFound):
        return "Paystack knows no such transaction."
    if isinstance(answer, PaystackError):
        return f"Paystack could not be asked: {answer.message}"
    amount = money(answer.currency, answer.amount_minor)
    words = answer.gateway_response or answer.message
    return f"{answer.status}: {amount}, {answer.channel or 'no channel yet'}{f', {words}' if words else ''}"


__all__ = ["Step", "Story", "tell"]
