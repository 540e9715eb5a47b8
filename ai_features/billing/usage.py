"""What was used, by day and feature: a roll-up kept by a task, and the entries since. Exact to the last one.

The roll-up goes by wallet: an entry gets its id while the wallet's row is locked, so within one wallet the order of
ids is the order of commits, and nothing can turn up behind the mark.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django_tasks import task

from ai_features.billing import later
from ai_features.exceptions import InvalidRequest
from ai_features.models import USAGE_KINDS, LedgerEntry, UsageMark, Wallet
from ai_features.money import to_credits

DAYS_MAX = 366
TAIL_MAX = 2000
"""With more entries than this since the mark, whoever asks has them rolled up first."""
ENTRIES_AT_A_TIME = 50_000
ENTRIES_BETWEEN_TASKS = 1000
PACE_DAYS = 7


@dataclass(frozen=True, slots=True)
class FeatureUsage:
    feature: str
    credits: Decimal
    calls: int


@dataclass(frozen=True, slots=True)
class DayUsage:
    day: date
    credits: Decimal
    calls: int


@dataclass(frozen=True, slots=True)
class UsageStats:
    """In credits; the days are UTC, oldest first, each there even if nothing was used; features by credits."""

    days: int
    credits: Decimal
    calls: int
    by_feature: tuple[FeatureUsage, ...]
    by_day: tuple[DayUsage, ...]


@dataclass(frozen=True, slots=True)
class _Used:
    day: date
    feature: str
    micro: int
    calls: int


def stats(wallet_id: int, days: int) -> UsageStats:
    """The last `days` days, today included. Raises InvalidRequest unless 1 to 366."""
    if type(days) is not int or not 1 <= days <= DAYS_MAX:
        raise InvalidRequest(fields={"days": [f"1 to {DAYS_MAX}."]})
    today = timezone.now().date()
    since = today - timedelta(days=days - 1)
    if _tail_is_long(wallet_id):
        roll_up(wallet_id)
    used = _used(wallet_id, since)
    by_feature: dict[str, list[_Used]] = defaultdict(list)
    by_day: dict[date, list[_Used]] = defaultdict(list)
    for row in used:
        by_feature[row.feature].append(row)
        by_day[row.day].append(row)
    features = (FeatureUsage(feature, *_sum(rows)) for feature, rows in by_feature.items())
    every_day = [since + timedelta(days=n) for n in range(days)]
    credits_, calls = _sum(used)
    return UsageStats(
        days=days,
        credits=credits_,
        calls=calls,
        by_feature=tuple(sorted(features, key=lambda row: (-row.credits, row.feature))),
        by_day=tuple(DayUsage(day, *_sum(by_day[day])) for day in every_day),
    )


def credits_a_day(wallet_id: int) -> int:
    """Micro-credits used a day, on the average of the last seven."""
    since = timezone.now().date() - timedelta(days=PACE_DAYS - 1)
    return sum(row.micro for row in _used(wallet_id, since)) // PACE_DAYS


def keep_up(wallet_id: int, entry_ids: Iterable[int]) -> None:
    """After new entries: have the task roll a wallet up now and then, the busier it is the more often."""
    if any(entry_id % ENTRIES_BETWEEN_TASKS == 0 for entry_id in entry_ids):
        transaction.on_commit(lambda: later.queue(roll_up_task, wallet_id, about={"wallet_id": wallet_id}))


@task()
def roll_up_task(wallet_id: int) -> None:
    roll_up(wallet_id)


def roll_up_all() -> int:
    """Every wallet that is behind; returns how many those were. Safe to repeat."""
    return sum(1 for wallet_id in list(behind().values_list("pk", flat=True)) if roll_up(wallet_id))


def behind() -> QuerySet[Wallet]:
    """The wallets that have entries past their mark."""
    entries = LedgerEntry.objects.filter(wallet=OuterRef("pk"), id__gt=Coalesce(OuterRef("mark"), 0))
    mark = UsageMark.objects.filter(wallet=OuterRef("pk")).values("entry_id")
    return Wallet.objects.annotate(mark=Subquery(mark)).filter(Exists(entries))


def roll_up(wallet_id: int) -> int:
    """Bring the wallet's roll-up to its last entry; returns how many entries that took. Safe to repeat and to race."""
    done = 0
    while taken := _roll_up_some(wallet_id):
        done += taken
    return done


def _roll_up_some(wallet_id: int) -> int:
    with transaction.atomic():
        mark, _created = UsageMark.objects.get_or_create(wallet_id=wallet_id)
        marks = UsageMark.objects.filter(pk=wallet_id)
        marks.update(entry_id=F("entry_id"))  # locks the row on both engines
        mark.refresh_from_db()
        new = LedgerEntry.objects.filter(wallet_id=wallet_id, id__gt=mark.entry_id).order_by("id")
        ids = list(new.values_list("id", flat=True)[:ENTRIES_AT_A_TIME])
        if ids:
            with connection.cursor() as cursor:
                cursor.execute(_ROLL_UP.format(day=_day()), [wallet_id, mark.entry_id, ids[-1]])
            marks.update(entry_id=ids[-1])
    return len(ids)


def _tail_is_long(wallet_id: int) -> bool:
    mark = UsageMark.objects.filter(wallet_id=wallet_id).values_list("entry_id", flat=True).first() or 0
    tail = LedgerEntry.objects.filter(wallet_id=wallet_id, id__gt=mark).order_by("id")
    return tail.values_list("id", flat=True)[TAIL_MAX : TAIL_MAX + 1].exists()


def _used(wallet_id: int, since: date) -> list[_Used]:
    """Roll-up and tail in one statement, which sees one moment: nothing is missed or counted twice."""
    start = connection.ops.adapt_datetimefield_value(datetime.combine(since, time(), UTC))
    with connection.cursor() as cursor:
        cursor.execute(_USED.format(day=_day()), [wallet_id, since, wallet_id, wallet_id, start])
        rows = cursor.fetchall()
    return [
        _Used(day if isinstance(day, date) else date.fromisoformat(day), feature, int(micro), calls)
        for day, feature, micro, calls in rows
    ]


def _sum(rows: Iterable[_Used]) -> tuple[Decimal, int]:
    found = list(rows)
    return to_credits(sum(row.micro for row in found)), sum(row.calls for row in found)


def _day() -> str:
    return "(created_at AT TIME ZONE 'UTC')::date" if connection.vendor == "postgresql" else "date(created_at)"


_KINDS = ", ".join(f"'{kind}'" for kind in USAGE_KINDS)
_ROLL_UP = f"""
INSERT INTO ai_features_usageday (wallet_id, day, feature, credits, calls)
SELECT wallet_id, {{day}}, feature, -sum(amount), count(*) FROM ai_features_ledgerentry
 WHERE wallet_id = %s AND id > %s AND id <= %s AND kind IN ({_KINDS})
 GROUP BY 1, 2, 3
ON CONFLICT (wallet_id, day, feature) DO UPDATE
   SET credits = ai_features_usageday.credits + excluded.credits, calls = ai_features_usageday.calls + excluded.calls
"""  # noqa: S608  our own words only
_USED = f"""
SELECT day, feature, credits, calls FROM ai_features_usageday WHERE wallet_id = %s AND day >= %s
UNION ALL
SELECT {{day}}, feature, -sum(amount), count(*) FROM ai_features_ledgerentry
 WHERE wallet_id = %s AND id > coalesce((SELECT entry_id FROM ai_features_usagemark WHERE wallet_id = %s), 0)
   AND created_at >= %s AND kind IN ({_KINDS})
 GROUP BY 1, 2
"""  # noqa: S608
