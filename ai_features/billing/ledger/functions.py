"""The functions of the hot path on PostgreSQL, in the files beside this one: created after every migrate."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, connections

_FUNCTIONS = [
    Path(__file__).with_name(name)
    for name in (
        "apply.sql",
        "spend.sql",
        "spend_each.sql",
        "spend_from_one.sql",
        "charge.sql",
        "settle.sql",
    )
]

MAY_FLUSH = "has_function_privilege(3577::oid, 'EXECUTE')"
"""In SQL: whether the role may execute `pg_logical_emit_message` with a text, by its number (`spend_from_one.sql`)."""


def install(*, using: str = "default", **_: Any) -> None:
    """Create or replace the functions; after every `migrate`, safe to repeat."""
    if (
        connections[using].vendor == "postgresql"
        and "ai_features_wallet" in connections[using].introspection.table_names()
    ):
        with connections[using].cursor() as cursor:
            for path in _FUNCTIONS:
                cursor.execute(path.read_text().replace("user_key", user_key_type()))


@cache
def user_key_type() -> str:
    """The column type of a reference to a user, whose model is the project's; `user_key` in the functions."""
    return str(get_user_model()._meta.pk.rel_db_type(connection))


@cache
def with_user_key(sql: str) -> str:
    """The statement for the project's own model of users."""
    return sql.format(user_key=user_key_type())
