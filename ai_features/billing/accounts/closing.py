"""Closes each day once, from the ledger entries it had. A day ends with an entry, not with a moment: clocks of several
machines differ by more than entries are apart, and each entry must belong to exactly one day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby

from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone

from ai_features.billing.accounts.money import ONE_DAY, Money, midnight, money_of, unbooked
from ai_features.billing.accounts.replay import Book, Entry, LotState, Moved, WalletState, by_book, values_of_lots
from ai_features.billing.long_read import long_read
from ai_features.models import AccountDay, AccountItem, LedgerEntry, Lot, LotMark, LotSource

GRACE = timedelta(hours=1)
"""A day is closed so long after its end: an operation that began before midnight may still be on its way."""
WALLETS_AT_A_TIME = 500
ROWS_AT_A_TIME = 2000
NEAR = 5000
"""Ids and times of entries run in step, but for so many at most."""

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Day:
    """What a day did, before it is written."""

    day: date
    last_entry_id: int
    moved: defaultdict[Book, Moved] = field(default_factory=by_book)
    money: dict[Book, Money] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    new_items: list[AccountItem] = field(default_factory=list)


def close_days(*, now: datetime | None = None, progress: Progress | None = None) -> int:
    """Close every day that is over and not closed yet. Returns how many. Safe to repeat, to stop and to race."""
    last_day = (timezone.localtime(now) - GRACE).date() - ONE_DAY
    closed = 0
    while (day := _next_day()) is not None and day <= last_day:
        try:
            _write(work_out(day))
        except IntegrityError:
            # Another has closed it meanwhile. Where it is still open, the error is of another kind.
            if not AccountDay.objects.filter(day=day).exists():
                raise
            continue
        closed += 1
        if progress is not None:
            progress(closed, closed + (last_day - day).days)
    return closed


def rebuild() -> None:
    """Forget what was closed; `close_days` then works it all out again from the entries.

    What a day has booked by itself stays with it. What nobody has booked yet goes to the first day that was not closed,
    as it would have without this: so the same days come out.
    """
    until = AccountDay.objects.aggregate(last=Max("day"))["last"]
    with transaction.atomic():
        if until is not None:
            AccountItem.objects.bulk_create(list(unbooked(until + ONE_DAY, until)), batch_size=ROWS_AT_A_TIME)
        AccountDay.objects.all().delete()
        LotMark.objects.all().delete()


def work_out(day: date) -> Day:
    """What a day did, from the last closed day on; nothing is written."""
    after = AccountDay.objects.aggregate(last=Max("last_entry_id"))["last"] or 0
    worked = Day(day, max(after, _last_entry_before(midnight(day + ONE_DAY))))
    with long_read():
        for wallets in _by_wallets(after, worked.last_entry_id):
            _replay(wallets, worked)
        worked.money, worked.new_items = money_of(day, after, worked.last_entry_id)
    return worked


def _next_day() -> date | None:
    last = AccountDay.objects.order_by("-day").values_list("day", flat=True).first()
    if last is not None:
        return last + ONE_DAY
    first = LedgerEntry.objects.order_by("id").values_list("created_at", flat=True).first()
    return None if first is None else timezone.localtime(first).date()


def _last_entry_before(moment: datetime) -> int:
    """The largest id among entries made before a moment: by bisection, since entries have no index by time."""
    low, high = 0, LedgerEntry.objects.aggregate(newest=Max("id"))["newest"] or 0
    while low < high:
        middle = (low + high) // 2
        entry = LedgerEntry.objects.filter(id__gt=middle).order_by("id").values_list("id", "created_at").first()
        if entry is None or entry[1] >= moment:
            high = middle
        else:
            low = entry[0]
    near = LedgerEntry.objects.filter(id__gt=low - NEAR, id__lte=low + NEAR, created_at__lt=moment)
    newest: int | None = near.aggregate(newest=Max("id"))["newest"]
    return low if newest is None else newest


Wallets = list[tuple[int, list[Entry]]]


def _by_wallets(after: int, last: int) -> Iterator[Wallets]:
    rows = (
        LedgerEntry.objects.filter(id__gt=after, id__lte=last)
        .order_by("wallet_id", "id")
        .values_list("wallet_id", "kind", F("amount") + F("debt_change"), "debt_change", "lot_id", "created_at")
    )
    batch: Wallets = []
    for wallet_id, entries in groupby(rows.iterator(ROWS_AT_A_TIME), key=lambda row: row[0]):
        batch.append((wallet_id, [Entry(*row[1:]) for row in entries]))
        if len(batch) == WALLETS_AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch


def _replay(wallets: Wallets, worked: Day) -> None:
    states = _states([wallet_id for wallet_id, _ in wallets], [entry for _, entries in wallets for entry in entries])
    for wallet_id, entries in wallets:
        state = states[wallet_id]
        state.apply(entries, worked.moved)
        worked.marks |= {lot_id: state.lots[lot_id].remaining for lot_id in state.changed}


def _states(wallet_ids: Iterable[int], entries: Iterable[Entry]) -> dict[int, WalletState]:
    """The wallets as they stood at the end of the last closed day, with the lots that are new since."""
    states = {wallet_id: WalletState({}) for wallet_id in wallet_ids}
    for mark in LotMark.objects.filter(lot__wallet_id__in=list(states)).select_related("lot__purchase"):
        states[mark.lot.wallet_id].lots[mark.lot_id] = _state_of(mark.lot, mark.remaining)
    named = {entry.lot_id for entry in entries if entry.lot_id is not None}
    missing = sorted(named.difference(*(state.lots for state in states.values())))
    for first in range(0, len(missing), ROWS_AT_A_TIME):
        for lot in Lot.objects.filter(pk__in=missing[first : first + ROWS_AT_A_TIME]).select_related("purchase"):
            states[lot.wallet_id].lots[lot.pk] = _state_of(lot, 0)
    return states


def _state_of(lot: Lot, remaining: int) -> LotState:
    book, value_minor = Book(), 0
    if lot.purchase is not None:
        sold = values_of_lots(lot.purchase.price_minor, lot.purchase.credits, lot.purchase.bonus_credits)
        book, value_minor = Book(lot.purchase.currency, lot.purchase.mode), sold[lot.source != LotSource.PURCHASED]
    is_purchased = lot.source == LotSource.PURCHASED
    return LotState(lot.pk, lot.amount, remaining, lot.expires_at, is_purchased, book, value_minor)


def _write(worked: Day) -> None:
    with transaction.atomic():
        before = _closings(worked.day - ONE_DAY)
        books = sorted({*before, *worked.moved, *worked.money})
        rows = [row_of(worked, book, before.get(book)) for book in books or [Book()]]
        # The unique constraint refuses a second one who closes the same day, before any mark is written.
        AccountDay.objects.bulk_create(rows)
        AccountItem.objects.bulk_create(worked.new_items, batch_size=ROWS_AT_A_TIME)
        marks = [LotMark(lot_id=lot_id, remaining=left) for lot_id, left in worked.marks.items() if left]
        LotMark.objects.bulk_create(
            marks, batch_size=ROWS_AT_A_TIME, update_conflicts=True, unique_fields=["lot"], update_fields=["remaining"]
        )
        used_up = [lot_id for lot_id, left in worked.marks.items() if not left]
        for first in range(0, len(used_up), ROWS_AT_A_TIME):
            LotMark.objects.filter(pk__in=used_up[first : first + ROWS_AT_A_TIME]).delete()


def _closings(day: date) -> dict[Book, AccountDay]:
    return {Book(row.currency, row.mode): row for row in AccountDay.objects.filter(day=day)}


def row_of(worked: Day, book: Book, before: AccountDay | None) -> AccountDay:
    """The day's row in one book: its movements, and what follows from them and the day before."""
    moved = worked.moved.get(book, Moved())
    money = worked.money.get(book, Money())
    before = before or AccountDay()
    return AccountDay(
        day=worked.day,
        currency=book.currency,
        mode=book.mode,
        last_entry_id=worked.last_entry_id,
        **money.as_dict(),
        **moved.as_dict(),
        at_paystack_closing_minor=before.at_paystack_closing_minor + money.at_paystack_change_minor,
        deferred_closing_minor=before.deferred_closing_minor + moved.deferred_change_minor,
        credits_closing=before.credits_closing + moved.credits_change,
        debt_closing=before.debt_closing + moved.debt_change,
    )
