"""What buyers may do to what the app does on their own wallet: it charges them, so they are its opponents too."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from tests.laws import assert_laws

SPEND, RESERVATIONS = "/ai/api/credits/spend/", "/ai/api/credits/reservations/"
ENDINGS = [("capture", {"credits": 0.000001}), ("release", {}), ("renew", {"ttl_seconds": 1})]


@pytest.fixture
def funded(buyer: User) -> User:
    AIBillingService.grant(buyer, 100, reason="Trial")
    return buyer


@pytest.mark.parametrize(("ending", "body"), ENDINGS)
@pytest.mark.parametrize("way", ["api", "browser"])
def test_buyer_ends_no_reservation_of_the_app(
    request: pytest.FixtureRequest, funded: User, way: str, ending: str, body: dict[str, Any]
) -> None:
    client = request.getfixturevalue(way)
    reservation = AIBillingService.reserve(funded, 5, ttl_seconds=600)
    address = f"{RESERVATIONS}{reservation.id}/{ending}/"
    answer = client.post(address, json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (404, "reservation_not_found")
    assert reservation.capture(3).new_balance == 97
    assert_laws(AIBillingService.wallet(funded))


def test_buyer_ends_no_lease_of_the_app(funded: User, api: APIClient) -> None:
    with AIBillingService.lease(funded, credits=10, feature="embed") as lease:
        lease.spend(4)
        held = AIBillingService.wallet(funded).reservations.get(status="open")
        assert api.post(f"{RESERVATIONS}{held.pk}/release/", format="json").status_code == 404
    assert AIBillingService.balance(funded).balance == 96


def test_buyers_own_reservations_are_the_buyers_and_the_apps_to_end(funded: User, api: APIClient) -> None:
    first, second = (api.post(RESERVATIONS, {"credits": 5}, format="json").json()["id"] for _ in range(2))
    assert api.post(f"{RESERVATIONS}{first}/capture/", {"credits": 2}, format="json").status_code == 200
    assert AIBillingService.capture(funded, second, 3).new_balance == 95


@pytest.mark.parametrize("address", [SPEND, RESERVATIONS])
def test_buyer_uses_up_no_key_of_the_app(funded: User, api: APIClient, address: str) -> None:
    answer = api.post(address, {"credits": 0.000001}, format="json", HTTP_IDEMPOTENCY_KEY="job-1")
    assert answer.status_code == 200
    before = AIBillingService.balance(funded).balance
    spent = AIBillingService.spend(funded, "0.5", idempotency_key="job-1")
    assert spent.new_balance == before - Decimal("0.5")


def test_longest_key_works_over_http(funded: User, api: APIClient) -> None:
    answers = [api.post(SPEND, {"credits": 1}, format="json", HTTP_IDEMPOTENCY_KEY="k" * 100) for _ in range(2)]
    assert [answer.json()["new_balance"] for answer in answers] == [99, 99]
