"""Reservations, and captures, that share a statement are done each as if it had come alone, or left alone."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction

from ai_features.billing import AIBillingService
from ai_features.billing.ledger import functions, hot_path, queue
from ai_features.billing.ledger.accounts import Charge
from ai_features.billing.ledger.line import Call
from ai_features.billing.ledger.operations import BUSY, Applied, Operation, Outcome
from ai_features.models import IdempotencyKey, LedgerEntry, Reservation, Wallet
from tests.ai_features.billing.test_hot_path import UNUSUAL
from tests.ai_features.billing.test_spends_together import spend
from tests.laws import assert_laws
from tests.waiting import until

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the functions are PostgreSQL's"),
]

CREDIT = 1_000_000
PAST = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


def reserve(wallet: Wallet, credits_: int, *, over_http: bool = False, **about: Any) -> Operation:
    amount = credits_ * CREDIT
    charge = Charge(amount, **{"feature": "chat", **about})
    return Operation("reserve", wallet.pk, amount, [charge], expires_at=UNTIL, over_http=over_http)


def capture(wallet: Wallet, reservation_id: int, credits_: int, *, over_http: bool = False, **about: Any) -> Operation:
    amount = credits_ * CREDIT
    charge = Charge(amount, **{"feature": "chat", **about})
    return Operation("capture", wallet.pk, amount, [charge], reservation_id=reservation_id, over_http=over_http)


def together(*operations: Operation, may_wait: bool = False) -> list[Outcome | None]:
    return hot_path.together(operations, may_wait=may_wait).read()


def told(outcomes: list[Any]) -> list[tuple[int, int] | None]:
    """Balance and available of each, in credits."""
    return [(one.balance // CREDIT, one.available // CREDIT) if isinstance(one, Applied) else None for one in outcomes]


@pytest.fixture
def rich(wallet: Wallet) -> Wallet:
    AIBillingService.grant(wallet, 10, reason="trial")
    return wallet


@pytest.fixture
def other(db: None) -> Wallet:
    other = AIBillingService.wallet("other")
    AIBillingService.grant(other, 20, reason="trial")
    return other


@pytest.fixture
def held(rich: Wallet) -> int:
    """A reservation of 5, made in Python."""
    return AIBillingService.reserve(rich, 5).id


def test_reservations_are_each_told_what_is_left(rich: Wallet, other: Wallet) -> None:
    AIBillingService.reserve(other, 1)
    outcomes = together(reserve(other, 2), reserve(rich, 1), reserve(other, 4), reserve(rich, 9))
    assert told(outcomes) == [(20, 17), (10, 9), (20, 13), (10, 0)]
    assert [wallet.held // CREDIT for wallet in Wallet.objects.order_by("pk")] == [10, 7]
    assert_laws(rich)
    assert_laws(other)


def test_reservations_are_kept_as_they_were_asked_for(rich: Wallet, other: Wallet) -> None:
    mine, bought = together(
        reserve(rich, 1, feature='say "hi"', member_id=rich.user_id), reserve(other, 2, over_http=True, token="tok,{}")
    )
    assert isinstance(mine, Applied)
    assert isinstance(bought, Applied)
    columns = ("status", "credits", "feature", "member_id", "token", "over_http", "expires_at")
    rows = (
        Reservation.objects.filter(pk__in=mine.ids + bought.ids).order_by("credits").values_list("wallet_id", *columns)
    )
    assert list(rows) == [
        (rich.pk, "open", CREDIT, 'say "hi"', rich.user_id, "", False, UNTIL),
        (other.pk, "open", 2 * CREDIT, "chat", None, "tok,{}", True, UNTIL),
    ]


def test_threshold_of_the_wallet_is_told(rich: Wallet, held: int) -> None:
    Wallet.objects.filter(pk=rich.pk).update(low_balance=7)
    outcomes = together(reserve(rich, 1)) + together(capture(rich, held, 1))
    assert [one.low_balance for one in outcomes if isinstance(one, Applied)] == [7, 7]


def test_wallet_that_cannot_pay_for_all_refuses_no_other(rich: Wallet, other: Wallet) -> None:
    asked = [reserve(rich, 6), reserve(other, 1), reserve(rich, 6), reserve(rich, 4)]
    assert told(together(*asked)) == [None, (20, 19), None, None]
    assert not Reservation.objects.filter(wallet=rich).exists()


@pytest.mark.parametrize("kind", ["reserve", "both", "spend with a key"])
def test_costs_whose_sum_is_past_any_number_are_left_alone(rich: Wallet, other: Wallet, kind: str) -> None:
    most = 9_000_000_000_000
    keyed = [replace(spend(rich, most), key=key) for key in "ab"]
    both = {"reserve": [reserve(rich, most)] * 2, "both": [spend(rich, most), reserve(rich, most)]}.get(kind, keyed)
    assert told(together(*both, reserve(other, 1))) == [None, None, (20, 19)]


@pytest.mark.parametrize("state", UNUSUAL)
def test_unusual_wallet_sets_nothing_aside(rich: Wallet, other: Wallet, state: str) -> None:
    Wallet.objects.filter(pk=rich.pk).update(**UNUSUAL[state])
    before = Wallet.objects.filter(pk=rich.pk).values().get()
    assert told(together(reserve(rich, 1), reserve(other, 1))) == [None, (20, 19)]
    assert Wallet.objects.filter(pk=rich.pk).values().get() == before
    assert not Reservation.objects.filter(wallet=rich).exists()


def test_captures_are_each_told_what_is_left(rich: Wallet, other: Wallet, held: int) -> None:
    small, large = AIBillingService.reserve(other, 3).id, AIBillingService.reserve(other, 8).id
    outcomes = together(capture(other, large, 2), capture(rich, held, 5), capture(other, small, 1))
    assert told(outcomes) == [(18, 15), (5, 5), (17, 17)]
    assert set(Reservation.objects.values_list("credits", "captured", "status")) == {
        (3 * CREDIT, CREDIT, "captured"),
        (5 * CREDIT, 5 * CREDIT, "captured"),
        (8 * CREDIT, 2 * CREDIT, "captured"),
    }
    assert not Reservation.objects.filter(ended_at=None).exists()
    assert_laws(rich)
    assert_laws(other)


def test_entries_of_captures_are_numbered_in_the_order_of_their_balances(rich: Wallet) -> None:
    # The reservation that is captured first is the younger one.
    held = [AIBillingService.reserve(rich, 3).id for _ in range(3)]
    outcomes = together(*(capture(rich, held[n], n + 1) for n in (2, 0, 1)))
    entries = LedgerEntry.objects.filter(kind="capture").order_by("id").values_list("id", "balance_after")
    assert list(entries) == [(one.ids[0], one.balance) for one in outcomes if isinstance(one, Applied)]
    assert [balance // CREDIT for _, balance in entries] == [7, 6, 4]


def test_entry_of_a_capture_says_all_that_the_call_did(rich: Wallet, held: int) -> None:
    note = {"said": 'a "b" \\ {c}'}
    together(capture(rich, held, 2, feature="NULL", pricing={"per": 1}, metadata=note, member_id=rich.user_id))
    entry = LedgerEntry.objects.get(kind="capture")
    assert (entry.amount, entry.feature, entry.pricing, entry.metadata) == (-2 * CREDIT, "NULL", {"per": 1}, note)
    assert (entry.member_id, entry.reservation_id, entry.debt_change) == (rich.user_id, held, 0)


@pytest.mark.parametrize("state", ["in debt", "overdue", "under caps", "with something due"])
def test_capture_from_an_unusual_wallet_is_left_alone(rich: Wallet, other: Wallet, held: int, state: str) -> None:
    usual = AIBillingService.reserve(other, 2).id
    Wallet.objects.filter(pk=rich.pk).update(**{**UNUSUAL[state], "held": 5 * CREDIT})
    before = Wallet.objects.filter(pk=rich.pk).values().get()
    assert told(together(capture(rich, held, 1), capture(other, usual, 1))) == [None, (19, 19)]
    assert Wallet.objects.filter(pk=rich.pk).values().get() == before
    assert Reservation.objects.get(pk=held).status == "open"


@pytest.mark.parametrize(
    "unusual",
    [
        {"status": "released"},
        {"status": "captured"},
        {"status": "expired"},
        {"expires_at": PAST},
        {"credits": CREDIT - 1},
    ],
)
def test_capture_of_an_unusual_reservation_is_left_alone(rich: Wallet, held: int, unusual: dict[str, Any]) -> None:
    usual = AIBillingService.reserve(rich, 2).id
    Reservation.objects.filter(pk=held).update(**unusual)
    before = Reservation.objects.filter(pk=held).values().get()
    assert told(together(capture(rich, held, 1), capture(rich, usual, 2))) == [None, (8, 3)]
    assert Reservation.objects.filter(pk=held).values().get() == before
    assert LedgerEntry.objects.filter(kind="capture").count() == 1


def test_capture_of_another_wallets_reservation_is_left_alone(rich: Wallet, other: Wallet, held: int) -> None:
    theirs = AIBillingService.reserve(other, 2).id
    assert told(together(capture(other, held, 1), capture(other, theirs, 1))) == [None, (19, 19)]
    assert Reservation.objects.get(pk=held).status == "open"


@pytest.mark.parametrize(("made_over_http", "is_captured"), [(False, False), (True, True)])
def test_capture_over_http_is_of_a_reservation_made_so(rich: Wallet, made_over_http: bool, is_captured: bool) -> None:
    (made,) = together(reserve(rich, 2, over_http=made_over_http))
    assert isinstance(made, Applied)
    (outcome,) = together(capture(rich, made.ids[0], 1, over_http=True))
    assert (outcome is not None) is is_captured


def test_capture_in_python_is_of_any_reservation(rich: Wallet) -> None:
    (made,) = together(reserve(rich, 2, over_http=True))
    assert isinstance(made, Applied)
    assert told(together(capture(rich, made.ids[0], 1))) == [(9, 9)]


def test_reservation_that_two_capture_is_charged_once(rich: Wallet, held: int) -> None:
    outcomes = together(capture(rich, held, 2), capture(rich, held, 2))
    assert sorted(told(outcomes), key=str) == [(8, 8), None]
    assert_laws(rich)
    assert LedgerEntry.objects.filter(kind="capture").count() == 1


def test_part_that_a_lease_has_charged_stays_charged(rich: Wallet, held: int) -> None:
    Reservation.objects.filter(pk=held).update(captured=3 * CREDIT)
    together(capture(rich, held, 1))
    assert Reservation.objects.get(pk=held).captured == 4 * CREDIT


def test_call_whose_key_was_seen_is_left_alone_and_harms_no_other(rich: Wallet, other: Wallet, held: int) -> None:
    AIBillingService.spend(rich, 1, idempotency_key="used")
    before = IdempotencyKey.objects.values().get()
    outcomes = together(
        replace(capture(rich, held, 1), key="used"),
        replace(reserve(rich, 1), key="new"),
        replace(spend(rich, 1), key="new"),
        replace(spend(other, 1), key="used"),
        spend(rich, 1),
    )
    assert told(outcomes) == [None, (9, 3), None, (19, 19), (8, 2)]
    assert Reservation.objects.get(pk=held).status == "open"
    assert IdempotencyKey.objects.get(wallet=rich, key="used").answer == before["answer"]
    assert IdempotencyKey.objects.count() == 3
    assert_laws(rich)


def test_key_is_kept_with_request_and_answer(rich: Wallet, held: int) -> None:
    asked = {"operation": 'say "hi"', "credits": "1"}
    made, _, let_go = together(
        replace(reserve(rich, 1), key='a "key", {}', request=asked),
        spend(rich, 1),
        replace(Operation("release", rich.pk, 0, reservation_id=held), key="gone", request=asked),
    )
    assert isinstance(made, Applied)
    assert isinstance(let_go, Applied)
    kept = {key.key: (key.request, key.answer) for key in IdempotencyKey.objects.all()}
    until = kept['a "key", {}'][1].pop("expires_at")
    assert datetime.fromisoformat(until) == UNTIL
    assert kept == {
        'a "key", {}': (asked, {"ids": made.ids, "balance": 10 * CREDIT}),
        "gone": (asked, {"ids": [held], "balance": 10 * CREDIT}),
    }
    assert told([made, let_go]) == [(10, 9), (10, 10)]


def test_what_a_release_lets_go_of_is_there_for_the_others(rich: Wallet, held: int) -> None:
    release = Operation("release", rich.pk, 0, reservation_id=held)
    made, let_go, spent = together(reserve(rich, 6), release, spend(rich, 4))
    assert isinstance(made, Applied)
    assert told([made, let_go, spent]) == [(10, 4), (10, 10), (6, 0)]
    assert list(Reservation.objects.order_by("pk").values_list("pk", "status", "captured")) == [
        (held, "released", 0),
        (made.ids[0], "open", 0),
    ]
    assert [entry.kind for entry in rich.entries.order_by("pk")] == ["grant", "spend"]
    assert_laws(rich)


def test_wallet_that_does_not_exist_may_wait_for_ever(rich: Wallet, held: int) -> None:
    nobodys = Operation("reserve", 0, CREDIT, [Charge(CREDIT)], expires_at=UNTIL)
    for may_wait in (False, True):
        assert together(nobodys, may_wait=may_wait) == [BUSY]
    assert hot_path.apply_one(nobodys) is None


def test_spends_reservations_and_captures_share_a_statement(
    rich: Wallet, other: Wallet, held: int, django_assert_num_queries: Callable[[int], Any]
) -> None:
    AIBillingService.reserve(rich, 1)
    batch = [
        spend(other, 2),
        reserve(rich, 4),
        spend(rich, 2),
        capture(rich, held, 3),
        reserve(other, 1),
        spend(rich, 9),
    ]
    with django_assert_num_queries(1):
        outcomes = together(*batch[:-1])
    # A capture first: of 10, of which 5 and 1 were set aside.
    assert told(outcomes) == [(18, 18), (7, 2), (5, 0), (7, 6), (18, 17)]
    assert told(together(*batch[:3], spend(rich, 9))) == [(16, 15), None, None, None]
    entries = LedgerEntry.objects.filter(wallet=rich, kind__in=["capture", "spend"]).order_by("id")
    assert [(entry.kind, entry.balance_after // CREDIT) for entry in entries] == [("capture", 7), ("spend", 5)]
    assert_laws(rich)
    assert_laws(other)


def test_wallet_that_can_pay_for_its_captures_alone_pays_for_those(rich: Wallet, other: Wallet, held: int) -> None:
    batch = [spend(rich, 1), reserve(rich, 6), capture(rich, held, 3), spend(other, 1), spend(rich, 9)]
    assert told(together(*batch)) == [None, None, (7, 7), (19, 19), None]
    assert_laws(rich)


def test_call_with_a_key_among_plain_ones_of_several_kinds(rich: Wallet, other: Wallet, held: int) -> None:
    keyed = Operation("spend", other.pk, CREDIT, [Charge(CREDIT)], key="k")
    batch = [spend(rich, 1), capture(rich, held, 3), keyed, reserve(other, 2)]
    assert told(together(*batch)) == [(6, 6), (7, 7), (19, 19), (19, 17)]
    assert_laws(rich)
    assert_laws(other)


@pytest.mark.django_db(transaction=True)
def test_call_that_is_refused_harms_none_of_another_kind(rich: Wallet, other: Wallet, held: int) -> None:
    asked = [reserve(rich, 1, feature="x" * 100), capture(rich, held, 3), spend(other, 1)]
    calls = [Call[Operation, Outcome](one) for one in asked]
    queue._carry_out(hot_path.together, calls)()
    assert told([call.given for call in calls]) == [None, (7, 7), (19, 19)]
    assert calls[0].error is not None


@pytest.mark.django_db(transaction=True)
def test_reservation_too_long_for_its_column_harms_no_other(rich: Wallet, other: Wallet) -> None:
    calls = [Call[Operation, Outcome](one) for one in (reserve(rich, 1, feature="x" * 100), reserve(other, 1))]
    queue._carry_out(hot_path.together, calls)()
    assert told([call.given for call in calls]) == [None, (20, 19)]
    assert calls[0].error is not None


# Another transaction


def run_elsewhere(call: Callable[[], Any]) -> Any:
    """On a connection of its own, which gives up waiting for a lock after a while."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '10s'")
        return call()
    finally:
        connections.close_all()


def while_locked(change: Callable[[], Any], call: Callable[[], Any], *, is_released: bool) -> Any:
    """What the call returns that comes while a transaction with the change is open: until it has returned, or only
    until it waits for a lock."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            change()
            future = pool.submit(run_elsewhere, call)
            while not future.done() and not (is_released and someone_waits()):
                time.sleep(0.01)
        return future.result()


def someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


def lock(wallet: Wallet) -> None:
    Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["reserve", "capture", "both", "keyed"])
def test_wallet_that_another_transaction_holds_is_passed_over(
    rich: Wallet, other: Wallet, held: int, kind: str
) -> None:
    theirs = AIBillingService.reserve(other, 1).id
    batch = {
        "reserve": [reserve(rich, 1), reserve(other, 1)],
        "capture": [capture(rich, held, 1), capture(other, theirs, 1)],
        "both": [reserve(rich, 1), capture(other, theirs, 1)],
        "keyed": [replace(spend(rich, 1), key="k"), replace(spend(other, 1), key="k")],
    }[kind]
    outcomes = while_locked(lambda: lock(rich), lambda: together(*batch), is_released=False)
    assert outcomes[0] is BUSY
    assert isinstance(outcomes[1], Applied)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["reserve", "capture", "both"])
def test_wallet_that_another_transaction_holds_is_waited_for(rich: Wallet, held: int, kind: str) -> None:
    both = {"reserve": reserve(rich, 1), "capture": capture(rich, held, 1)}
    batch = [both[kind]] if kind in both else [*both.values()]
    outcomes = while_locked(lambda: lock(rich), lambda: together(*batch, may_wait=True), is_released=True)
    assert None not in outcomes


@pytest.mark.django_db(transaction=True)
def test_reservation_that_ends_while_its_capture_waits_is_left_alone(rich: Wallet, held: int) -> None:
    wait = capture(rich, held, 1)
    outcomes = while_locked(
        lambda: AIBillingService.release(rich, held), lambda: together(wait, may_wait=True), is_released=True
    )
    assert outcomes == [None]
    assert_laws(rich)


@pytest.mark.django_db(transaction=True)
def test_key_that_is_used_while_a_call_waits_leaves_it_alone(rich: Wallet) -> None:
    wait = replace(spend(rich, 1), key="k")
    outcomes = while_locked(
        lambda: AIBillingService.spend(rich, 2, idempotency_key="k"),
        lambda: together(wait, may_wait=True),
        is_released=True,
    )
    assert outcomes == [None]
    assert_laws(rich)


@pytest.fixture
def pausing(db: None, monkeypatch) -> Iterator[None]:
    """The function stops between what it sees at first and its locks, until advisory lock 7 is free."""
    text = (Path(hot_path.__file__).with_name("apply.sql")).read_text()
    text = text[text.index("CREATE OR REPLACE") :].replace("user_key", functions.user_key_type())
    pause = "AND (SELECT pg_advisory_xact_lock_shared(7)) IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED"
    paused = text.replace("ai_features_apply(", "pausing_apply(").replace("FOR NO KEY UPDATE SKIP LOCKED", pause, 1)
    assert pause in paused
    with connection.cursor() as cursor:
        cursor.execute(paused)
    monkeypatch.setattr(hot_path, "_APPLY", hot_path._APPLY.replace("ai_features_apply", "pausing_apply"))
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION pausing_apply")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["more credits", "fewer credits", "a key", "an ended reservation", "a cap"])
@pytest.mark.usefixtures("pausing")
def test_what_others_commit_before_the_lock_is_seen(rich: Wallet, held: int, change: str) -> None:
    asked = {
        "more credits": [spend(rich, 9), reserve(rich, 2)],
        "fewer credits": [spend(rich, 2), reserve(rich, 2)],
        "a key": [replace(spend(rich, 1), key="k")],
        "an ended reservation": [capture(rich, held, 1)],
        "a cap": [reserve(rich, 1)],
    }[change]
    changes: dict[str, Callable[[], Any]] = {
        "more credits": lambda: AIBillingService.grant(rich, 20, reason="trial"),
        "fewer credits": lambda: AIBillingService.spend(rich, 4),
        "a key": lambda: IdempotencyKey.objects.create(wallet=rich, key="k", request={}, answer={}),
        "an ended reservation": lambda: Reservation.objects.filter(pk=held).update(status="released", ended_at=UNTIL),
        "a cap": lambda: Wallet.objects.filter(pk=rich.pk).update(is_capped=True),
    }
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7)")
            future = pool.submit(run_elsewhere, lambda: together(*asked))
            until(someone_waits)
            pool.submit(run_elsewhere, changes[change]).result(20)
        outcomes = future.result(20)
    assert told(outcomes) == ([(21, 16), (21, 14)] if change == "more credits" else [None] * len(asked))
