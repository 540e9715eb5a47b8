"""What a ledger entry refers to exists, and it is as its kind must be, whoever writes: raw SQL, COPY, two at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, NotSupportedError, OperationalError, connection, transaction
from django.db.models import CheckConstraint, Model
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.models import Dispute, EntryKind, LedgerEntry, Lot, Purchase, Refund, Wallet, entry_laws

pytestmark = pytest.mark.django_db(transaction=True)
only_on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer, and a key")

ENTRY = "INSERT INTO ai_features_ledgerentry (wallet_id, kind, amount, balance_after, created_at) "
NOWHERE = 4_000_000_000
ONE_IS_NOWHERE = f"(SELECT 0 AS n UNION ALL SELECT {NOWHERE}) AS other"
ISOLATION_LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


def attack(*statements: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


def strangers() -> int:
    return LedgerEntry.objects.exclude(wallet__in=Wallet.objects.all()).count()


@pytest.fixture
def used(wallet: Wallet) -> Wallet:
    """It has entries, and nothing else that refers to it."""
    attack(f"{ENTRY} VALUES ({wallet.pk}, 'spend', 0, 0, '2026-06-01T00:00Z')")
    return wallet


@pytest.mark.parametrize(
    "sql",
    [
        f"{ENTRY} VALUES ({NOWHERE}, 'spend', -1, 0, '2026-06-01T00:00Z')",
        f"{ENTRY} SELECT w.id + n, 'spend', -1, 0, '2026-06-01T00:00Z' FROM ai_features_wallet AS w, {ONE_IS_NOWHERE}",
        "DELETE FROM ai_features_wallet",
        "UPDATE ai_features_wallet SET id = id + 1",
    ],
)
def test_raw_sql_is_refused(used: Wallet, sql: str) -> None:
    with pytest.raises(IntegrityError):
        attack(sql)
    assert (LedgerEntry.objects.count(), strangers()) == (1, 0)


@only_on_postgresql
def test_copy_is_refused(used: Wallet) -> None:
    def copy() -> None:
        columns = "wallet_id, kind, amount, balance_after"
        with connection.cursor() as cursor, cursor.copy(f"COPY ai_features_ledgerentry ({columns}) FROM STDIN") as rows:
            rows.write_row((used.pk, "spend", -1, 0))
            rows.write_row((NOWHERE, "spend", -1, 0))

    with pytest.raises(IntegrityError), connection.wrap_database_errors:
        copy()
    assert (LedgerEntry.objects.count(), strangers()) == (1, 0)


@only_on_postgresql
@pytest.mark.parametrize("truncated", ["ai_features_wallet", "ai_features_wallet CASCADE", "ai_features_dispute"])
def test_truncate_is_refused(used: Wallet, truncated: str) -> None:
    with pytest.raises(DatabaseError):
        attack(f"TRUNCATE {truncated}")
    assert LedgerEntry.objects.count() == 1


@only_on_postgresql
def test_table_of_the_same_name_deceives_nobody(used: Wallet) -> None:
    fake = "CREATE TEMPORARY TABLE ai_features_{} (LIKE public.ai_features_{}) ON COMMIT DROP"
    with pytest.raises(IntegrityError):
        attack(
            fake.format("wallet", "wallet"),
            f"INSERT INTO ai_features_wallet (id) VALUES ({NOWHERE})",
            ENTRY.replace("INTO ", "INTO public.") + f"VALUES ({NOWHERE}, 'spend', -1, 0, now())",
        )
    with pytest.raises(IntegrityError):
        attack(fake.format("ledgerentry", "ledgerentry"), "DELETE FROM public.ai_features_wallet")


@pytest.fixture
def referred(purchase: Purchase) -> dict[str, Model]:
    """One of each thing that an entry may refer to, and none that does."""
    wallet = purchase.wallet
    about = {"reference": purchase.reference, "currency": "GHS", "asked_at": timezone.now()}
    return {
        "wallet": wallet,
        "purchase": purchase,
        "lot": Lot.objects.create(wallet=wallet, source="granted", amount=1, remaining=0),
        "refund": Refund.objects.create(purchase=purchase, amount_minor=1, **about),
        "dispute": Dispute.objects.create(purchase=purchase, paystack_id="1", opened_at=timezone.now(), amount_minor=1),
    }


@pytest.mark.parametrize("name", ["wallet", "purchase", "lot", "refund", "dispute"])
def test_what_an_entry_refers_to_exists_and_stays(referred: dict[str, Model], name: str) -> None:
    kind = name if name in EntryKind.values and name != "purchase" else "grant"
    about = {"wallet_id": referred["wallet"].pk, "lot_id": referred["lot"].pk, f"{name}_id": referred[name].pk}
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(kind=kind, amount=-1, balance_after=0, **about | {f"{name}_id": NOWHERE})
    LedgerEntry.objects.create(kind=kind, amount=-1, balance_after=0, **about)
    table = referred[name]._meta.db_table
    for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET id = id + 1"):
        with pytest.raises(IntegrityError):
            attack(sql)


def test_database_refuses_exactly_what_the_models_say(referred: dict[str, Model]) -> None:
    others = ["purchase", "lot", "refund", "dispute"]
    checks = [one for one in LedgerEntry._meta.constraints if isinstance(one, CheckConstraint)]
    for kind, amount, *given in product(EntryKind.values, (-1, 0, 1), *[(False, True)] * len(others)):
        about = {name: referred[name] for name, is_given in zip(others, given, strict=True) if is_given}
        entry = LedgerEntry(wallet=referred["wallet"], kind=kind, amount=amount, balance_after=0, **about)
        assert is_accepted(entry) == all(is_kept(one, entry) for one in checks), (kind, amount, about)


def is_accepted(entry: LedgerEntry) -> bool:
    with suppress(IntegrityError), transaction.atomic():
        entry.save(force_insert=True)
        transaction.set_rollback(True)
        return True
    return False


def is_kept(check: CheckConstraint, entry: LedgerEntry) -> bool:
    try:
        check.validate(LedgerEntry, entry)
    except ValidationError:
        return False
    return True


def test_wallet_without_entries_may_go(wallet: Wallet) -> None:
    wallet.delete()
    assert not Wallet.objects.exists()


Together = Callable[[Callable[[], None], Callable[[], None]], bool]


@pytest.fixture
def together() -> Iterator[Together]:
    """Do the first in a transaction, begin the second in another connection, commit the first: whether both were
    done."""
    with ThreadPoolExecutor(1) as pool:

        def together(first: Callable[[], None], second: Callable[[], None]) -> bool:
            def in_its_own_connection() -> bool:
                try:
                    second()
                except (IntegrityError, OperationalError, NotSupportedError):
                    return False
                finally:
                    connection.close()
                return True

            with transaction.atomic():
                first()
                outcome = pool.submit(in_its_own_connection)
                with suppress(TimeoutError):
                    assert outcome.result(0.5) is False
            return outcome.result(10)

        yield together


def delete(wallet: Wallet, isolation: str = "READ COMMITTED") -> None:
    attack(f"SET TRANSACTION ISOLATION LEVEL {isolation}", f"DELETE FROM ai_features_wallet WHERE id = {wallet.pk}")


def enter(wallet: Wallet, isolation: str = "READ COMMITTED") -> None:
    attack(
        f"SET TRANSACTION ISOLATION LEVEL {isolation}",
        "SELECT count(*) FROM ai_features_wallet",
        f"{ENTRY} VALUES ({wallet.pk}, 'spend', 0, 0, now())",
    )


@only_on_postgresql
@pytest.mark.parametrize("isolation", ISOLATION_LEVELS)
def test_wallet_is_not_deleted_while_its_first_entry_is_written(
    wallet: Wallet, together: Together, isolation: str
) -> None:
    sql = f"{ENTRY} VALUES ({wallet.pk}, 'spend', 0, 0, now())"
    assert not together(lambda: attack(sql), lambda: delete(wallet, isolation))
    assert (LedgerEntry.objects.count(), strangers()) == (1, 0)


@only_on_postgresql
@pytest.mark.parametrize("isolation", ISOLATION_LEVELS)
def test_entry_is_not_written_while_its_wallet_is_deleted(wallet: Wallet, together: Together, isolation: str) -> None:
    sql = f"DELETE FROM ai_features_wallet WHERE id = {wallet.pk}"
    assert not together(lambda: attack(sql), lambda: enter(wallet, isolation))
    assert not LedgerEntry.objects.exists()


def test_foreign_keys_and_checks_come_back_with_the_migration_undone(wallet: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    call_command("migrate", "ai_features", "0013", verbosity=0)
    try:
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, "ai_features_ledgerentry")
        keys = {one["foreign_key"] for one in found.values() if one["foreign_key"]}
        with pytest.raises(IntegrityError):
            attack(f"{ENTRY} VALUES ({NOWHERE}, 'spend', -1, 0, '2026-06-01T00:00Z')")
    finally:
        call_command("migrate", verbosity=0)
    assert keys >= {(table, "id") for table in entry_laws.REFERRED.values()}
    assert set(found) >= entry_laws.CONSTRAINTS
    assert LedgerEntry.objects.get().amount == 10_000_000


def test_dump_can_be_loaded(wallet: Wallet, tmp_path: Path) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "auth.user", "ai_features", exclude=["ai_features.package"], output=dump, verbosity=0)
    call_command("flush", interactive=False, verbosity=0)
    call_command("loaddata", dump, verbosity=0)
    assert LedgerEntry.objects.get().wallet.balance == 10_000_000
