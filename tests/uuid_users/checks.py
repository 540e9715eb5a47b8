from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from knox.models import AuthToken
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.models import LedgerEntry
from tests.laws import assert_laws

RESERVATIONS = "/ai/api/credits/reservations/"


@pytest.fixture
def user(transactional_db: None) -> Any:
    user = get_user_model().objects.create_user("ama", "ama@example.com")
    AIBillingService.grant(user, 100, reason="trial", granted_by=user)
    return user


@pytest.fixture
def post(user: Any) -> Callable[..., dict[str, Any]]:
    client = APIClient(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}")

    def post(address: str, **headers: str) -> dict[str, Any]:
        answer = client.post(address, {"credits": 1}, format="json", **headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    return post


def leased(user: Any) -> None:
    with AIBillingService.lease(user, 10) as lease:
        lease.spend(1)


IN_PYTHON: dict[str, Callable[[Any], Any]] = {
    "spend": lambda user: AIBillingService.spend(user, 1),
    "with a key": lambda user: AIBillingService.spend(user, 1, idempotency_key="k"),
    "many": lambda user: AIBillingService.spend_many(user, [{"credits": 0.5}] * 2),
    "reserved": lambda user: AIBillingService.reserve(user, 2).capture(1),
    "lease": leased,
}
OVER_HTTP: dict[str, Callable[[Callable[..., dict[str, Any]]], Any]] = {
    "spend": lambda post: post("/ai/api/credits/spend/"),
    "with a key": lambda post: post("/ai/api/credits/spend/", HTTP_IDEMPOTENCY_KEY="k"),
    "reserved": lambda post: post(f"{RESERVATIONS}{post(RESERVATIONS)['id']}/capture/"),
}


def assert_used_by(user: Any) -> None:
    assert set(LedgerEntry.objects.filter(amount__lt=0).values_list("member_id", flat=True)) == {user.pk}
    assert isinstance(user.pk, UUID)
    assert AIBillingService.balance(user).balance == 99
    assert_laws(AIBillingService.wallet(user))


@pytest.mark.parametrize("way", IN_PYTHON)
@pytest.mark.parametrize("is_capped", [False, True])
def test_app_charges(user: Any, way: str, is_capped: bool) -> None:
    if is_capped:
        AIBillingService.set_cap(user, "member", str(user.pk), "day", 20)
    IN_PYTHON[way](user)
    assert_used_by(user)


@pytest.mark.parametrize("way", OVER_HTTP)
def test_buyer_spends(user: Any, post: Callable[..., dict[str, Any]], way: str) -> None:
    OVER_HTTP[way](post)
    assert_used_by(user)


def test_entries_are_sealed_and_verified(user: Any) -> None:
    AIBillingService.spend(user, 1)
    call_command("seal_ledger")
    call_command("audit_ledger")
