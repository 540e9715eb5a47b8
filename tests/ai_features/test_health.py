from django.db import OperationalError, connection
from django.test import Client

from ai_features import health


def test_alive_without_a_database() -> None:
    assert Client().get("/healthz").json() == {"status": "ok"}


def test_ready_with_database_and_migrations(db: None) -> None:
    assert Client().get("/readyz").status_code == 200


def test_not_ready_while_migrations_are_missing(db: None, monkeypatch) -> None:
    monkeypatch.setattr(health, "_is_migrated", False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'ai_features'")
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["error"]) == (503, "migrations_missing")


def test_not_ready_without_a_database(db: None, monkeypatch) -> None:
    def down() -> None:
        raise OperationalError("down")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", down)
        assert Client().get("/readyz").json()["error"] == "database_unavailable"
