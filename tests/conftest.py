from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.db.backends.base.operations import BaseDatabaseOperations

from ai_features.models import Purchase, Wallet, triggers
from paystack_sandbox import PaystackSandbox
from tests import settings as test_settings


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The PostgreSQL run is for what touches the database; all else has run on SQLite's."""
    if test_settings.TEST_DATABASE != "postgresql":
        return
    touching = [
        item
        for item in items
        if item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(touching)])
    items[:] = touching


@pytest.fixture(scope="session", autouse=True)
def _tests_may_empty_append_only_tables() -> Iterator[None]:
    """Between transactional tests Django deletes all rows, which law 5's triggers refuse; `flush` then emits
    post_migrate, and that installs them again."""
    operations: type[BaseDatabaseOperations] = type(connection.ops)
    original = operations.sql_flush

    def sql_flush(self: Any, style: Any, tables: Any, **kwargs: Any) -> list[str]:
        statements = original(self, style, tables, **kwargs)
        return [*triggers.drop_statements(connection.vendor), *statements] if statements else []

    operations.sql_flush = sql_flush  # type: ignore[method-assign]
    yield
    operations.sql_flush = original  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Rate limits are counted in the cache."""
    cache.clear()


@pytest.fixture
def sandbox(paystack_sandbox: PaystackSandbox, settings: Any) -> PaystackSandbox:
    """Paystack on localhost, and the project pointed at it."""
    settings.PAYSTACK_BASE_URL = paystack_sandbox.url
    settings.PAYSTACK_SECRET_KEY = paystack_sandbox.secret_key
    return paystack_sandbox


@pytest.fixture
def buyer(db: None) -> User:
    return get_user_model().objects.create_user("ama", "ama@example.com", "ama")


@pytest.fixture
def other_buyer(db: None) -> User:
    return get_user_model().objects.create_user("kofi", "kofi@example.com", "kofi")


@pytest.fixture
def wallet(buyer: User) -> Wallet:
    return Wallet.objects.create(user=buyer)


@pytest.fixture
def purchase(wallet: Wallet, buyer: User) -> Purchase:
    """The Value pack, started and not yet paid, without a word to Paystack."""
    return Purchase.objects.create(
        reference="AI-CREDIT-1700000000-0123456789abcdef",
        wallet=wallet,
        buyer=buyer,
        email=buyer.email,
        mode="test",
        package_code="value",
        currency="GHS",
        price_minor=8000,
        amount_minor=8000,
        credits=80_000_000,
        bonus_credits=20_000_000,
        authorization_url="http://127.0.0.1:9/checkout/abcdefghijklmno",
    )
