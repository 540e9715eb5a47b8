"""A crowd that shares keys is answered as if its calls had come one after another, in the order of the entries."""

import random
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import pytest
from django.utils import timezone

from ai_features.billing import AIBillingService, audit
from ai_features.billing.spending import Spent, SpentMany
from ai_features.exceptions import AICreditsError, IdempotencyConflict
from ai_features.models import IdempotencyKey, LedgerEntry, Wallet
from tests.ai_features.billing.test_crowd import ON_POSTGRESQL, crowd

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 12 if ON_POSTGRESQL else 6
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """A call that was answered: from when to when it took, what it asked for and what it was told."""

    began: float
    ended: float
    key: str | None
    asked: tuple[str, int]
    answer: Spent | SpentMany

    @property
    def entries(self) -> tuple[int, ...]:
        return (self.answer.entry,) if isinstance(self.answer, Spent) else self.answer.entries


@dataclass(frozen=True, slots=True)
class History:
    wallet: Wallet
    told: list[Told]
    conflicts: list[str]


def call(wallet: Wallet, asked: tuple[str, int], key: str | None) -> Spent | SpentMany:
    name, credits_ = asked
    if name == "spend":
        return AIBillingService.spend(wallet, credits_, idempotency_key=key)
    return AIBillingService.spend_many(wallet, [{"credits": credits_}] * 3, idempotency_key=key)


@pytest.fixture
def history(db: None) -> History:
    """Keys are shared by whoever comes within the same tenth of a second; lots come and expire meanwhile."""
    found = History(AIBillingService.wallet("team"), [], [])
    AIBillingService.grant(found.wallet, 1000, reason="trial")

    def work(chance: random.Random) -> None:
        asked = (chance.choice(["spend", "spend", "many"]), chance.choice([1, 1, 2]))
        key = chance.choice([None, f"{time.monotonic():.1f}-{chance.randrange(3)}"])
        began = time.monotonic()
        try:
            answer = call(found.wallet, asked, key)
        except IdempotencyConflict:
            found.conflicts.append(str(key))
        except AICreditsError:  # spent, for now
            time.sleep(0.01)
        else:
            found.told.append(Told(began, time.monotonic(), key, asked, answer))

    def feed(_: random.Random) -> None:
        until = timezone.now() + timedelta(seconds=0.4)
        with suppress(AICreditsError):
            AIBillingService.grant(found.wallet, 20, reason="more", expires_at=until)
        time.sleep(0.1)

    feeder = threading.Thread(target=crowd, args=(feed, 1, 2.0))
    feeder.start()
    crowd(work, threads=THREADS, seconds=2)
    feeder.join()
    return found


def test_crowd_that_shares_keys_is_answered_in_the_order_of_the_entries(history: History) -> None:
    assert_one_answer_for_each_key(history)
    assert_each_balance_is_that_of_its_entry(history)
    assert_whoever_came_after_an_answer_stands_behind_it(history)
    assert list(audit.audit()) == []


def assert_one_answer_for_each_key(history: History) -> None:
    answers = defaultdict(set)
    for one in history.told:
        answers[one.key or one.entries].add((one.asked, one.answer))
    assert {len(different) for different in answers.values()} == {1}
    assert len(history.told) > len(answers)
    assert history.conflicts
    entries = {entry for one in history.told for entry in one.entries}
    assert LedgerEntry.objects.filter(kind="spend").count() == len(entries)
    assert IdempotencyKey.objects.count() == len({one.key for one in history.told if one.key})


def assert_each_balance_is_that_of_its_entry(history: History) -> None:
    balance, after = 0, {}
    for pk, amount in LedgerEntry.objects.order_by("pk").values_list("pk", "amount"):
        balance += amount
        after[pk] = balance
    for one in history.told:
        assert after[one.entries[-1]] == int(one.answer.new_balance * MICRO)


def assert_whoever_came_after_an_answer_stands_behind_it(history: History) -> None:
    """Of the calls under one key, the first to begin may have done it, and the first answer has told of it."""
    took: dict[tuple[int, ...], tuple[float, float]] = {}
    for one in history.told:
        began, ended = took.get(one.entries, (one.began, one.ended))
        took[one.entries] = min(began, one.began), min(ended, one.ended)
    in_order = sorted(took.items())
    latest = 0.0
    for (earlier, (began, _)), (later, (_, ended)) in pairwise(in_order):
        latest = max(latest, began)
        assert earlier[-1] < later[0]
        assert latest <= ended
