"""What comes by the thousand finds its rows by index, with plans that PostgreSQL keeps, however many rows there are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import get_token_model

from ai_features import lean
from ai_features.billing.ledger import deliveries, hot_path
from ai_features.billing.ledger.operations import Applied, Operation, Outcome, Reply
from ai_features.billing.settlement import delivery_of
from ai_features.models import IdempotencyKey, Lot, Purchase, Reservation, Wallet, WebhookEvent
from tests.ai_features.billing.test_reservations_together import CREDIT, UNTIL, capture, reserve
from tests.ai_features.billing.test_spends_together import spend
from tests.paystack_facts import charge_success, facts

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="the functions are PostgreSQL's")

MANY = 1000
FEW = 20
TABLES = {
    "auth_user",
    "knox_authtoken",
    "ai_features_wallet",
    "ai_features_reservation",
    "ai_features_ledgerentry",
    "ai_features_idempotencykey",
    "ai_features_purchase",
    "ai_features_lot",
}


@pytest.fixture(params=["as they came", "once counted"])
def crowd(request: pytest.FixtureRequest, db: None) -> list[Wallet]:
    """Buyers, before PostgreSQL has looked at their tables and after."""
    if request.param == "as they came" and connection.pg_version < 180000:
        pytest.skip("PostgreSQL can be made to forget what it counted from 18 on")
    wallets = buyers(MANY)
    with connection.cursor() as cursor:
        if request.param == "once counted":
            cursor.execute(f"ANALYZE {', '.join(TABLES)}")
        else:
            # What earlier tests left behind, that a table has pages and no rows, is no beginning.
            cursor.executemany("SELECT pg_clear_relation_stats('public', %s)", [[table] for table in TABLES])
        cursor.execute("DISCARD PLANS")
    return wallets


def buyers(number: int) -> list[Wallet]:
    """With a token, an open reservation and a used key each."""
    first = User.objects.count()
    users = User.objects.bulk_create(User(username=f"buyer {first + n}") for n in range(number))
    wallets = Wallet.objects.bulk_create(Wallet(user=user, balance=9 * CREDIT, held=CREDIT) for user in users)
    token = get_token_model()
    token.objects.bulk_create(
        token(digest=hash_token(user.username), token_key=f"{user.pk}", user=user, expiry=None) for user in users
    )
    Reservation.objects.bulk_create(Reservation(wallet=one, credits=CREDIT, expires_at=UNTIL) for one in wallets)
    IdempotencyKey.objects.bulk_create(IdempotencyKey(wallet=one, key="used", request={}, answer={}) for one in wallets)
    return wallets


@contextmanager
def few_rows_read() -> Iterator[None]:
    before = _rows_read()
    assert before.keys() == TABLES
    yield
    assert {table: read - before[table] for table, read in _rows_read().items() if read - before[table] > FEW} == {}


def _rows_read() -> dict[str, int]:
    """In this transaction, by table; whole tables may be read through an index, too."""
    sql = "SELECT relname, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = ANY (%s)"
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(TABLES)])
        return dict(cursor.fetchall())


def spend_by_token(wallet: Wallet) -> Operation:
    assert wallet.user is not None
    return replace(spend(wallet, 1), digest=hash_token(wallet.user.username))


def spend_with_a_key(wallet: Wallet) -> Operation:
    return replace(spend(wallet, 1), key="k")


def capture_of_its_own(wallet: Wallet) -> Operation:
    return capture(wallet, wallet.reservations.get().pk, 1)


WAYS: dict[str, tuple[Callable[..., Reply[Outcome]], Callable[[Wallet], Operation]]] = {
    "spends": (hot_path.together, lambda wallet: spend(wallet, 1)),
    "spends by token": (hot_path.by_token, spend_by_token),
    "spends with keys": (hot_path.together, spend_with_a_key),
    "reservations": (hot_path.together, lambda wallet: reserve(wallet, 1)),
    "captures": (hot_path.together, capture_of_its_own),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 3])
def test_batch_reads_few_rows(crowd: list[Wallet], way: str, size: int) -> None:
    carry_out, operation = WAYS[way]
    batch = [operation(wallet) for wallet in crowd[-size:]]
    with few_rows_read():
        outcomes = carry_out(batch).read()
    assert all(isinstance(outcome, Applied) for outcome in outcomes)


@pytest.mark.parametrize("way", WAYS)
def test_plan_that_was_made_for_few_rows_reads_few_of_many(db: None, way: str) -> None:
    """A session keeps its plans; PostgreSQL may have looked at the tables when they were empty, and not since."""
    carry_out, operation = WAYS[way]
    few = buyers(3)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")
        cursor.execute("DISCARD PLANS")
    carry_out([operation(wallet) for wallet in few])
    batch = [operation(wallet) for wallet in buyers(MANY)[-3:]]
    with few_rows_read():
        outcomes = carry_out(batch).read()
    assert all(isinstance(outcome, Applied) for outcome in outcomes)


def test_balance_by_token_reads_few_rows(crowd: list[Wallet]) -> None:
    wallet = crowd[-1]
    assert wallet.user is not None
    with few_rows_read():
        row = lean._read_token(hash_token(wallet.user.username), wants_balance=True)
    assert row is not None
    assert row[:2] == (str(wallet.user.pk), wallet.pk)


@pytest.mark.parametrize("counted", [False, True])
def test_purchase_of_a_wallet_with_many_lots_reads_few(purchase: Purchase, wallet: Wallet, *, counted: bool) -> None:
    """Where it has spent since it was last charged to its lots, and they end before the new ones do."""
    soon = timezone.now() + timedelta(days=1)
    Lot.objects.bulk_create(
        Lot(wallet=wallet, source="granted", amount=CREDIT, remaining=CREDIT, expires_at=soon + timedelta(seconds=n))
        for n in range(MANY)
    )
    Wallet.objects.filter(pk=wallet.pk).update(balance=(MANY - 1) * CREDIT, unallocated=CREDIT, next_expiry_at=soon)
    if counted:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE ai_features_lot, ai_features_wallet, ai_features_purchase")
    before = _lots_read()
    assert is_settled(purchase)
    assert _lots_read() - before < FEW


def is_settled(purchase: Purchase) -> bool:
    (recorded,) = deliveries.settle([delivery_of(WebhookEvent.of(charge_success(purchase)), facts(purchase))]).read()
    return recorded is not None and recorded.is_settled


def test_purchase_by_a_plan_that_was_made_for_few_reads_few_of_many(purchase: Purchase) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")
        cursor.execute("DISCARD PLANS")
    assert is_settled(purchase)
    others = []
    for number, wallet in enumerate(buyers(MANY)):
        others.append(copy(purchase))
        others[-1].pk, others[-1].wallet, others[-1].reference = None, wallet, f"AI-CREDIT-1-{number}"
        others[-1].status = "pending"
    Purchase.objects.bulk_create(others)
    with few_rows_read():
        assert is_settled(others[-1])


def _lots_read() -> int:
    """In this transaction, from the table and from the index that needs no look at it."""
    sql = """SELECT sum(pg_stat_get_xact_tuples_returned(x::regclass))
               FROM unnest(ARRAY['ai_features_lot', 'ai_lot_in_order_of_use']) AS x"""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def test_functions_that_take_arrays_keep_their_plans(db: None) -> None:
    """See apply.sql. Procedures, which can have no settings where they end a transaction, leave it to functions."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT proname, coalesce(proconfig, '{}') FROM pg_proc
             WHERE proname LIKE 'ai_features_%' AND prokind = 'f' AND pg_get_function_arguments(oid) LIKE '%[]%'
        """)
        settings = dict(cursor.fetchall())
    assert "ai_features_spend_each" in settings
    wanted = ["plan_cache_mode=force_generic_plan", "enable_seqscan=off"]
    assert [name for name, own in settings.items() if own != wanted] == []
