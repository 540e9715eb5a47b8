"""Which of Paystack's refunds is which of ours. Pure.

Paystack's id decides. A refund of ours that has none yet – Paystack's answer was lost, or has not come – is the first
listed one of the same amount that was made since it was asked for; of several the oldest. The refund that a dispute
brought about names the dispute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ai_features.models import Refund
from ai_features.paystack import PaystackRefund

CLOCKS_DIFFER_BY = timedelta(minutes=10)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Match:
    """`ours` is None for a refund that we have not seen before."""

    listed: PaystackRefund
    ours: Refund | None


def match(listed: Sequence[PaystackRefund], ours: Sequence[Refund]) -> list[Match]:
    """Every listed refund, oldest first, with ours of it."""
    known = {refund.paystack_id: refund for refund in ours if refund.paystack_id is not None}
    waiting = [refund for refund in ours if refund.is_waiting_for_id]
    waiting.sort(key=lambda refund: (refund.asked_at, refund.pk))
    matches = []
    for row in sorted(listed, key=lambda row: (row.created_at or _LONG_AGO, row.id)):
        mine = known.get(str(row.id)) or next((refund for refund in waiting if _may_be(row, refund)), None)
        if mine in waiting:
            waiting.remove(mine)
        matches.append(Match(row, mine))
    return matches


def _may_be(row: PaystackRefund, refund: Refund) -> bool:
    if row.dispute_id is not None and refund.dispute is not None:
        return str(row.dispute_id) == refund.dispute.paystack_id
    if row.dispute_id is not None or row.amount_minor != refund.amount_minor:
        return False
    return row.created_at is None or row.created_at >= refund.asked_at - CLOCKS_DIFFER_BY
