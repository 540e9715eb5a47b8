"""Asks Paystack about each purchase that is not decided: soon after its start, then ever more rarely.

There is no event for a payment that failed, mobile money may take minutes, and a webhook may be lost; so whatever is
open is asked about until our own deadline, once right after it, and some times after that, since success may come late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from ai_features.billing import settlement
from ai_features.billing.answers import note_answer
from ai_features.billing.reconcile.pace import Pace
from ai_features.billing.reconcile.stumbles import Stumbles
from ai_features.billing.rehearsal import rehearsal
from ai_features.conf import ai_credits
from ai_features.exceptions import (
    PaystackError,
    PaystackKeyRefused,
    PaystackRateLimited,
    PaystackUnavailable,
    TransactionNotFound,
)
from ai_features.models import Purchase, PurchaseStatus, SettledBy
from ai_features.models.purchases import FIRST_CHECK_AFTER
from ai_features.paystack import Transaction

AT_ONCE = 8
PURCHASES_AT_A_TIME = 200
GIVES_UP_AFTER = 3
"""Rounds of questions without one answer say that Paystack is down."""

GROWTH = 1.5
LAST_CHECK_AFTER_DEADLINES = 8
RETRY_AFTER = timedelta(minutes=1)

OPEN = (PurchaseStatus.PENDING, PurchaseStatus.FAILED, PurchaseStatus.ABANDONED)

Answer = Transaction | PaystackError


@dataclass(slots=True)
class Checked:
    """What became of the purchases that were asked about; `changed` are those that moved, as they are now."""

    asked: int = 0
    unanswered: int = 0
    changed: list[Purchase] = field(default_factory=list)


def next_check(created_at: datetime, now: datetime) -> datetime | None:
    """When a purchase that is not decided now is asked about next; None: not any more. Pure."""
    deadline = timedelta(hours=ai_credits().purchase_deadline_hours)
    age = now - created_at
    # A moment after the deadline, so that this check is the one that sees it passed.
    at_deadline = deadline + timedelta(seconds=1)
    if age < at_deadline:
        return created_at + min(max(age * GROWTH, age + FIRST_CHECK_AFTER), at_deadline)
    following = age * 2
    return created_at + following if following <= deadline * LAST_CHECK_AFTER_DEADLINES else None


def due(now: datetime) -> int:
    return Purchase.objects.filter(status__in=OPEN, next_check_at__lte=now).count()


def check_due(
    pace: Pace,
    checked: Checked,
    *,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
    stumbles: Stumbles | None = None,
) -> None:
    """Ask about everything that is due, a few at once, and settle each by its answer; `checked` is told.

    Raises PaystackRateLimited, PaystackUnavailable or PaystackKeyRefused where going on is of no use; what was asked
    before is settled then, and the rest is still due. No HTTP call is made in a transaction or by a thread that has
    the database.
    """
    started, silent = timezone.now(), 0
    stumbles = stumbles or Stumbles()
    total = due(started)
    with ThreadPoolExecutor(AT_ONCE, "reconcile") as pool:
        for purchases in _groups(started):
            for _ in purchases:
                pace.wait()
            answers = list(pool.map(settlement.ask, [purchase.reference for purchase in purchases]))
            for purchase, answer in zip(purchases, answers, strict=True):
                _put_off(purchase, dry_run=dry_run)
                with stumbles.over(purchase.reference):
                    _apply(purchase, answer, checked, dry_run=dry_run)
                if isinstance(answer, PaystackError) and not isinstance(answer, TransactionNotFound):
                    stumbles.note(purchase.reference, answer)
            if progress is not None:
                progress(checked.asked, max(total, checked.asked))
            silent = silent + 1 if all(isinstance(answer, PaystackUnavailable) for answer in answers) else 0
            _stop_where_useless(answers, silent)
            pace.heed()


def _groups(started: datetime) -> Iterator[list[Purchase]]:
    """Those due at the start, in the order of their turn; none twice, though its next turn may be soon."""
    rows = Purchase.objects.filter(status__in=OPEN, next_check_at__lte=started).order_by("next_check_at", "pk")
    seen: tuple[datetime, int] | None = None
    while True:
        page = (
            rows
            if seen is None
            else rows.filter(next_check_at__gte=seen[0]).exclude(next_check_at=seen[0], pk__lte=seen[1])
        )
        purchases = list(page[:PURCHASES_AT_A_TIME])
        if not purchases:
            return
        last = purchases[-1]
        assert last.next_check_at is not None
        seen = (last.next_check_at, last.pk)
        yield from (purchases[at : at + AT_ONCE] for at in range(0, len(purchases), AT_ONCE))


def _put_off(purchase: Purchase, *, dry_run: bool) -> None:
    """Should it make trouble, it is not the first in the row for ever."""
    if not dry_run:
        Purchase.objects.filter(pk=purchase.pk).update(next_check_at=timezone.now() + RETRY_AFTER)


def _apply(purchase: Purchase, answer: Answer, checked: Checked, *, dry_run: bool) -> None:
    checked.asked += 1
    is_answered = isinstance(answer, Transaction | TransactionNotFound)
    checked.unanswered += not is_answered
    now = timezone.now()
    if is_answered:
        with rehearsal(dry_run):
            settled = settlement.settle_answer(purchase.reference, answer, settled_by=SettledBy.RECONCILE)
        if settled.status != purchase.status:
            checked.changed.append(settled)
    if dry_run:
        return
    note_answer(purchase, SettledBy.RECONCILE, answer)
    is_lasting = is_answered or not isinstance(answer, PaystackUnavailable | PaystackKeyRefused)
    # Who was refused for the limit alone is first when the pass goes on.
    retry_at = now if isinstance(answer, PaystackRateLimited) else now + RETRY_AFTER
    turn = next_check(purchase.created_at, now) if is_lasting else retry_at
    # The counter holds 32,767; after that many nobody needs the exact number.
    Purchase.objects.filter(pk=purchase.pk).update(next_check_at=turn, checks=min(purchase.checks + is_lasting, 30_000))


def _stop_where_useless(answers: list[Answer], silent: int) -> None:
    for answer in answers:
        if isinstance(answer, PaystackRateLimited | PaystackKeyRefused):
            raise answer
    if silent >= GIVES_UP_AFTER:
        assert isinstance(answers[-1], PaystackUnavailable)
        raise answers[-1]
