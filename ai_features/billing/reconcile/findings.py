"""What is done about each disagreement between Paystack's books and ours, by the routines that webhooks use too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ai_features.billing import refunds, review_items, settlement
from ai_features.billing.answers import note_answer
from ai_features.billing.reconcile.comparing import Disagreement
from ai_features.billing.reconcile.pace import Pace
from ai_features.billing.rehearsal import rehearsal
from ai_features.exceptions import TransactionNotFound
from ai_features.models import Finding, FindingKind, Purchase, PurchaseStatus, Reconciliation, Refund, SettledBy
from ai_features.money import to_credits, to_major
from ai_features.paystack import Transaction

FOR_STAFF = frozenset({FindingKind.UNKNOWN, FindingKind.NOT_PAID, FindingKind.DIFFERENT})
"""Nothing is done about these by itself: a person has to look."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as it is told; `is_new` where no reconciliation has told of it before."""

    kind: FindingKind
    reference: str
    currency: str
    amount_minor: int
    outcome: str
    is_new: bool

    def __str__(self) -> str:
        money = f"{self.currency} {to_major(self.amount_minor)}" if self.currency else "–"
        return f"{self.kind}  {self.reference}  {money}  {self.outcome}"


Tell = Callable[[Found], None]


def in_silence(_found: Found) -> None:
    """Nobody wants to be told."""


def settle_missed(found: Disagreement, facts: Transaction | None, *, dry_run: bool) -> str | None:
    """What became of a purchase that Paystack has the money for; None where another confirmation was first."""
    answer = settlement.ask(found.reference) if facts is None else facts
    with rehearsal(dry_run):
        purchase = settlement.settle_answer(found.reference, answer, settled_by=SettledBy.RECONCILE)
    if purchase.status == PurchaseStatus.REVIEW:
        return f"in review: {purchase.status_reason}"
    if purchase.status != PurchaseStatus.COMPLETED or purchase.settled_by != SettledBy.RECONCILE:
        return None
    return f"{'would be settled' if dry_run else 'settled'}: {to_credits(purchase.total_credits):f} credits"


def explain(found: Disagreement, facts: Transaction | None, *, dry_run: bool) -> str:
    """The two that are left to a person; a payment without a purchase goes to the review queue."""
    if found.kind == FindingKind.UNKNOWN:
        if facts is not None and not dry_run:
            review_items.open_unknown(facts, source=SettledBy.RECONCILE)
        return "no purchase here has this reference: another system's payment, or a lost database"
    purchase = Purchase.objects.get(reference=found.reference)
    noted = f"{purchase.currency} {to_major(purchase.paid_amount_minor or 0)} ({purchase.mode})"
    return f"the purchase is {found.status} for {noted}"


def look_at_unlisted(reference: str, pace: Pace, *, dry_run: bool) -> tuple[FindingKind, Purchase, str] | None:
    """Why a settled purchase is not in Paystack's list of payments; None where it is paid after all.

    Of one whose money went back the refunds are brought in line, and their credits taken.
    """
    purchase = Purchase.objects.get(reference=reference)
    answer = settlement.ask(reference)
    note_answer(purchase, SettledBy.RECONCILE, answer)
    if isinstance(answer, Transaction):
        if answer.is_paid:
            return None
        if answer.was_reversed:
            changed = [] if dry_run else _bring_in_line(purchase, pace)
            if purchase.refunded_minor and not changed:
                # In line already: Paystack calls it reversed once a part went back.
                return None
            outcome = "".join(f"; refund of {to_major(refund.amount_minor)} {refund.status}" for refund in changed)
            return FindingKind.REVERSED, purchase, f"Paystack says {answer.status}{outcome}"
        return FindingKind.NOT_PAID, purchase, f"Paystack says {answer.status}"
    if isinstance(answer, TransactionNotFound):
        return FindingKind.NOT_PAID, purchase, "Paystack knows no such transaction"
    raise answer


def _bring_in_line(purchase: Purchase, pace: Pace) -> list[Refund]:
    pace.wait()
    return refunds.bring_in_line(purchase)


def keep(reconciliation: Reconciliation, outcomes: Mapping[Disagreement, str], *, dry_run: bool) -> Iterable[Found]:
    """Store what was not known before, and give it all back with whether it is new."""
    known = set(
        Finding.objects.filter(reference__in=[found.reference for found in outcomes]).values_list("reference", "kind")
    )
    new = [found for found in outcomes if (found.reference, found.kind) not in known]
    if not dry_run:
        Finding.objects.bulk_create(
            [
                Finding(
                    reconciliation=reconciliation,
                    kind=found.kind,
                    reference=found.reference,
                    currency=found.currency,
                    amount_minor=found.amount_minor,
                    outcome=outcomes[found][:300],
                )
                for found in new
            ],
            ignore_conflicts=True,
        )
    are_new = set(new)
    return [
        Found(found.kind, found.reference, found.currency, found.amount_minor, outcome, found in are_new)
        for found, outcome in outcomes.items()
    ]
