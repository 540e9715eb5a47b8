"""What is at rest: whoever reads the database gets no way in."""

from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client
from knox.models import get_token_model
from rest_framework.test import APIClient

from ai_features.models import Purchase
from paystack_sandbox import PaystackSandbox


def everything() -> str:
    """Every value of every row, as text."""
    rows = (row for model in apps.get_models() for row in model._base_manager.values_list())
    return " ".join(
        bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
        for row in rows
        for value in row
    )


def test_database_holds_no_token_password_or_key(buyer: User, paid: str, sandbox: PaystackSandbox) -> None:
    token = APIClient().post("/ai/api/token/", {"username": "ama", "password": "ama"}, format="json").json()["token"]
    Client().post("/accounts/login/", {"username": "ama", "password": "ama"})
    stored = everything()
    assert paid in stored
    assert token not in stored
    assert sandbox.secret_key not in stored
    assert User.objects.get(pk=buyer.pk).check_password("ama")
    assert ":ama" not in stored


def test_stolen_digest_is_no_token(buyer: User, db: None) -> None:
    record, _token = get_token_model().objects.create(buyer)
    for stolen in (record.digest, record.token_key):
        answer = Client().get("/ai/api/credits/balance/", HTTP_AUTHORIZATION=f"Token {stolen}")
        assert answer.status_code == 401


def test_token_ends(buyer: User, settings: Any, time_machine: Any) -> None:
    record, token = get_token_model().objects.create(buyer)
    time_machine.move_to(record.expiry.timestamp() + 1)
    assert Client().get("/ai/api/credits/balance/", HTTP_AUTHORIZATION=f"Token {token}").status_code == 401


def test_no_card_is_ever_stored(paid: str, api: APIClient) -> None:
    api.get("/ai/api/credits/verify/", {"reference": paid})
    assert Purchase.objects.get().status == "completed"
    assert "4084084084084081" not in everything()
