"""Counts that only grow – purchases started and settled, the time from paid to credited – at the cost of what is new.

The database counts, so the figures are exact however many processes there are. What happened up to a moment a while ago
is kept as sums; what came since is counted afresh and added. The moment moves on now and then, by whoever asks, in the
same transaction as the sums.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from ai_features.models import Purchase, Tally

STARTED, SETTLED, TIMED, TOOK_MS, TOOK_WITHIN = "started", "settled", "timed", "took_ms", "took_within"
BUCKETS_SECONDS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 86400)
AUDIT_BREACHES = "audit_breaches"

_COUNTED = "counted"
SETTLES_WITHIN = timedelta(minutes=10)
"""A row may be committed a little after the moment it bears; after so long, none of that moment is on its way."""
MOVES_ON_EVERY = timedelta(minutes=10)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Key(NamedTuple):
    metric: str
    label: str = ""


def totals() -> Counter[Key]:
    """Everything counted so far. Its cost does not grow with history."""
    now = timezone.now()
    _move_on(now)
    kept = {Key(row.metric, row.label): row for row in Tally.objects.exclude(metric=AUDIT_BREACHES)}
    mark = kept.pop(Key(_COUNTED), None)
    counts = Counter({key: row.value for key, row in kept.items()})
    counts.update(_counts_between(mark.as_of if mark else _LONG_AGO, None))
    return counts


def note(metric: str, value: int) -> None:
    """Keep the newest value of a figure that somebody else worked out."""
    Tally.objects.update_or_create(metric=metric, label="", defaults={"value": value, "as_of": timezone.now()})


def noted(metric: str) -> Tally | None:
    return Tally.objects.filter(metric=metric, label="").first()


def _move_on(now: datetime) -> None:
    """Add to the sums what can change no more. Safe to race: one of them finds the mark where it left it."""
    mark, _is_new = Tally.objects.get_or_create(metric=_COUNTED, label="", defaults={"as_of": _LONG_AGO})
    until = now - SETTLES_WITHIN
    if mark.as_of > until - MOVES_ON_EVERY:
        return
    with transaction.atomic():
        if not Tally.objects.filter(pk=mark.pk, as_of=mark.as_of).update(as_of=until):
            return
        for key, count in _counts_between(mark.as_of, until).items():
            row, _is_new = Tally.objects.get_or_create(metric=key.metric, label=key.label, defaults={"as_of": until})
            Tally.objects.filter(pk=row.pk).update(value=F("value") + count, as_of=until)


def _counts_between(since: datetime, until: datetime | None) -> Counter[Key]:
    """After `since`, up to and with `until`."""
    started = _within(Purchase.objects.all(), "created_at", since, until)
    counts = Counter({Key(STARTED, mode): n for mode, n in _by(started, "mode")})
    settled = _within(Purchase.objects.all(), "completed_at", since, until)
    counts |= Counter({Key(SETTLED, how): n for how, n in _by(settled, "settled_by")})
    return counts | _times(settled)


def _times(settled: QuerySet[Purchase]) -> Counter[Key]:
    """From paid, by Paystack's clock, to credited, by ours; a clock that is ahead makes no negative time."""
    took = ExpressionWrapper(F("completed_at") - F("paid_at"), output_field=DurationField())
    timed = settled.filter(paid_at__isnull=False).annotate(took=Greatest(took, Value(timedelta(0))))
    within: dict[str, Any] = {
        f"within_{seconds}": Count("pk", filter=Q(took__lte=timedelta(seconds=seconds))) for seconds in BUCKETS_SECONDS
    }
    found = timed.aggregate(count=Count("pk"), total=Sum("took"), **within)
    counts = Counter({Key(TOOK_WITHIN, str(seconds)): found[f"within_{seconds}"] for seconds in BUCKETS_SECONDS})
    counts[Key(TIMED)] = found["count"]
    counts[Key(TOOK_MS)] = (found["total"] or timedelta(0)) // timedelta(milliseconds=1)
    return counts


def _within(rows: QuerySet[Purchase], field: str, since: datetime, until: datetime | None) -> QuerySet[Purchase]:
    rows = rows.filter(**{f"{field}__gt": since})
    return rows if until is None else rows.filter(**{f"{field}__lte": until})


def _by(rows: QuerySet[Purchase], field: str) -> Any:
    return rows.order_by().values_list(field).annotate(n=Count("pk"))
