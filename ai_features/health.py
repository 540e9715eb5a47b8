"""`/healthz`: the process answers. `/readyz`: the database answers and has every migration."""

from __future__ import annotations

import logging

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from ai_features.errors import DATABASE_DOWN, database_unavailable
from ai_features.rendering import json_response

log = logging.getLogger(__name__)

# Reading every migration file is slow, and what was applied stays applied while this process lives.
_is_migrated = False


def healthz(request: HttpRequest) -> HttpResponse:
    return json_response({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = missing_migrations()
    except DATABASE_DOWN:
        return database_unavailable()
    if missing:
        message = f"Run `manage.py migrate`: {missing} to apply."
        return json_response({"error": "migrations_missing", "message": message}, status=503)
    return json_response({"status": "ok"})


def missing_migrations() -> int:
    global _is_migrated  # noqa: PLW0603  one fact about the process
    if _is_migrated:
        return 0
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _is_migrated = missing == 0
    return missing
