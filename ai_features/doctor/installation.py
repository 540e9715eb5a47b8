"""What is here before anything runs: settings, database, migrations, triggers and functions, cache, packages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.db import connection
from django.db.utils import DatabaseError

from ai_features.billing.audit import missing_triggers
from ai_features.billing.ledger.functions import MAY_FLUSH
from ai_features.conf import ai_credits
from ai_features.doctor.lines import Line, fail, ok, warn
from ai_features.health import missing_migrations
from ai_features.models import Package

POSTGRESQL_MIN = 140000
_OWN_CACHE = ("locmem.LocMemCache", "dummy.DummyCache")


def is_usable() -> bool:
    """Whether the database answers and has every table."""
    try:
        connection.ensure_connection()
    except DatabaseError:
        return False
    return not missing_migrations()


def examine() -> Iterator[Line]:
    yield from _settings()
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        yield fail("database", f"does not answer: {str(error).strip().splitlines()[0]}", "Start it, or set DATABASES.")
        return
    yield _database()
    missing = missing_migrations()
    if missing:
        yield fail("migrations", f"{missing} to apply", "Run manage.py migrate.")
        return
    yield ok("migrations", "all applied")
    yield _triggers()
    yield _packages()
    yield _cache()


def _settings() -> Iterator[Line]:
    found = [message for message in checks.run_checks(tags=["ai_credits"]) if not message.is_silenced()]
    for message in found:
        level = fail if message.is_serious() else warn
        yield level("settings", message.msg, message.hint or "Mend the setting.")
    if not found:
        yield ok("settings", "manage.py check finds nothing")
    deployment = checks.run_checks(include_deployment_checks=True, tags=["security"])
    if issues := [message for message in deployment if not message.is_silenced()]:
        yield warn(
            "security",
            f"{len(issues)} remarks, such as: {issues[0].msg.split('.')[0]}",
            "See manage.py check --deploy.",
        )
    else:
        yield ok("security", "manage.py check --deploy finds nothing")


def _database() -> Line:
    if connection.vendor == "sqlite":
        version = sqlite3.sqlite_version
        return warn(
            "database",
            f"SQLite {version}",
            "Right for one machine with few buyers at once; else PostgreSQL 14 or later.",
        )
    if connection.vendor != "postgresql":
        return fail("database", connection.vendor, "Use PostgreSQL 14 or later, or SQLite.")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int,"
            f" current_setting('default_transaction_isolation'), current_setting('fsync'), {MAY_FLUSH}"
        )
        version, number, isolation, fsync, may_flush = cursor.fetchone()
    if number < POSTGRESQL_MIN:
        return fail("database", f"PostgreSQL {version}", "Upgrade to 14 or later.")
    if isolation != "read committed":
        return fail(
            "database", f"PostgreSQL {version}, {isolation}", "Set default_transaction_isolation to read committed."
        )
    if fsync != "on":
        return fail(
            "database", f"PostgreSQL {version} with fsync {fsync}", "Turn fsync on: a power cut would lose payments."
        )
    if not may_flush:
        return warn(
            "database",
            f"PostgreSQL {version}, whose role may not execute pg_logical_emit_message",
            "Grant it, as PostgreSQL does by itself, and processes wait less for a wallet that all use.",
        )
    return ok("database", f"PostgreSQL {version}")


def _triggers() -> Line:
    missing = [breach.found for breach in missing_triggers()]
    if missing:
        return fail(
            "triggers and functions", "; ".join(missing), "Run manage.py migrate with a role that may create them."
        )
    return ok("triggers and functions", "all installed")


def _packages() -> Line:
    for_sale = list(Package.objects.filter(is_active=True))
    currencies = ", ".join(sorted({package.currency for package in for_sale}))
    if not for_sale:
        return fail("packages", "none is for sale", "Add packages in the admin, or run manage.py setup_ai_credits.")
    return ok("packages", f"{len(for_sale)} for sale, in {currencies}; custom amounts in {ai_credits().currency}")


def _cache() -> Line:
    backend = settings.CACHES["default"]["BACKEND"]
    if backend.endswith(_OWN_CACHE):
        todo = "With more than one web process use Redis, Memcached or the database, so that they count together."
        return warn("cache", f"{backend.rpartition('.')[2]}: each process counts rate limits for itself", todo)
    return ok("cache", f"{backend.rpartition('.')[2]}, shared")
