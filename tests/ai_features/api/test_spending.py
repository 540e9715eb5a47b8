"""Spending over HTTP: by token the short way, by session or form through REST framework, with the same answers."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.models import FeaturePrice, Wallet
from tests.laws import assert_laws

SPEND = "/ai/api/credits/spend/"
RESERVATIONS = "/ai/api/credits/reservations/"


@pytest.fixture(params=["token", "rest_framework"])
def spender(request: Any, api: APIClient, buyer: User) -> APIClient:
    """The buyer with 100 credits, the short way and the long way."""
    AIBillingService.grant(buyer, 100, reason="trial")
    if request.param == "token":
        return api
    client = APIClient()
    client.force_authenticate(buyer)
    return client


def test_spend_answers_entry_and_balance(spender: APIClient) -> None:
    answer = spender.post(SPEND, {"credits": 0.5, "feature": "chat"}, format="json")
    assert (answer.status_code, answer.json()["new_balance"]) == (200, 99.5)
    (entry, *_) = spender.get("/ai/api/transactions/").json()["results"]
    assert (entry["id"], entry["kind"], entry["credits"], entry["feature"]) == (
        answer.json()["entry"],
        "spend",
        -0.5,
        "chat",
    )


def test_repeat_with_a_key_gets_the_first_answer(spender: APIClient) -> None:
    first, second = (spender.post(SPEND, {"credits": 1}, format="json", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
    assert first.json() == second.json()
    other = spender.post(SPEND, {"credits": 2}, format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_conflict")
    assert other.json()["first_request"] == {"operation": "spend", "credits": "1.0"}


@pytest.mark.parametrize("path", [SPEND, RESERVATIONS, "reservation"])
@pytest.mark.parametrize("name", ["tokens_output", "Tokens_out", "\u0000", "\ud800", "x" * 1000])
def test_misspelled_quantity_is_not_charged_as_nothing(spender: APIClient, path: str, name: str) -> None:
    FeaturePrice.objects.create(code="chat", per_1000_tokens_in=1_000_000, per_1000_tokens_out=4_000_000)
    if path == "reservation":
        path = f"{RESERVATIONS}{spender.post(RESERVATIONS, {'credits': 5}, format='json').json()['id']}/capture/"
    body = json.dumps({"feature": "chat", "tokens_in": 1000, name: 1000})
    answer = spender.post(path, body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")
    (told,) = answer.json()["fields"].items()
    assert told[0] == (name if name.isidentifier() and len(name) < 40 else "?")
    assert "tokens_out" in told[1][0]
    assert not spender.get("/ai/api/transactions/").json()["results"][1:]


def test_field_that_cannot_change_the_price_is_let_be(spender: APIClient) -> None:
    assert spender.post(SPEND, {"credits": 1, "note": "x"}, format="json").status_code == 200


def test_too_few_credits_is_a_402_that_says_where_to_buy(spender: APIClient) -> None:
    answer = spender.post(SPEND, {"credits": 130}, format="json")
    assert answer.status_code == 402
    assert answer.json() == {
        "error": "insufficient_credits",
        "message": "There are too few credits for this. Buy more and try again.",
        "current_balance": 100,
        "required_credits": 130,
        "shortage": 30,
        "buy_url": "http://testserver/credits/",
    }


def test_feature_is_charged_by_its_price(spender: APIClient) -> None:
    FeaturePrice.objects.create(code="chat", per_1000_tokens_in=1_000_000)
    assert spender.post(SPEND, {"feature": "chat", "tokens_in": 2500}, format="json").json()["new_balance"] == 97.5


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"credits": 0}', "credits_zero"),
        ('{"credits": -1}', "credits_negative"),
        ('{"credits": 0.0000001}', "credits_too_precise"),
        ('{"credits": "5"}', "credits_not_a_number"),
        ('{"credits": true}', "credits_not_a_number"),
        ('{"credits": [1]}', "credits_not_a_number"),
        ('{"credits": 1e400}', "credits_out_of_range"),
        ('{"credits": 99999999999999999999999999}', "credits_out_of_range"),
        ('{"credits": NaN}', "malformed_body"),
        ('{"credits": 1', "malformed_body"),
        ("[]", "invalid_request"),
        ("{}", "invalid_request"),
        ('{"feature": 5}', "invalid_request"),
        ('{"feature": "none"}', "feature_unknown"),
        ('{"feature": "x\\u0000"}', "invalid_request"),
        ('{"credits": 1, "metadata": "x"}', "invalid_request"),
        ('{"credits": 1, "metadata": {"a": "\\u0000"}}', "invalid_request"),
        ('{"feature": "chat", "units": 1.5}', "invalid_request"),
        ('{"feature": "chat", "tokens_in": -1}', "invalid_request"),
    ],
)
def test_bad_input_has_its_own_code(spender: APIClient, body: str, code: str) -> None:
    answer = spender.post(SPEND, body, content_type="application/json")
    assert (answer.status_code in (400, 422), answer.json()["error"]) == (True, code)


@pytest.mark.parametrize("key", ["", "x" * 101, "é"])
def test_unusable_key_is_refused(spender: APIClient, key: str) -> None:
    answer = spender.post(SPEND, {"credits": 1}, format="json", HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_key_unusable")


def test_digits_are_kept_where_a_float_would_lose_them(spender: APIClient, buyer: User) -> None:
    AIBillingService.grant(buyer, "8000000000000", reason="much")
    spender.post(SPEND, '{"credits": 8000000000000.000001}', content_type="application/json")
    assert str(AIBillingService.balance(buyer).balance) == "99.999999"


def test_reserve_capture_and_what_comes_after(spender: APIClient, buyer: User) -> None:
    reserved = spender.post(RESERVATIONS, {"credits": 10, "ttl_seconds": 60}, format="json").json()
    at = f"{RESERVATIONS}{reserved['id']}/"
    assert reserved["credits"] == 10
    assert spender.get("/ai/api/credits/balance/").json()["available"] == 90
    renewed = spender.post(f"{at}renew/", {"ttl_seconds": 600}, format="json").json()
    assert renewed["expires_at"] > reserved["expires_at"]
    captured = spender.post(f"{at}capture/", {"credits": 4}, format="json").json()
    assert (captured["new_balance"], captured["was_expired"]) == (96, False)
    assert spender.post(f"{at}capture/", {"credits": 4}, format="json").json() == captured
    assert spender.post(f"{at}capture/", {"credits": 5}, format="json").json()["error"] == "reservation_ended"
    assert spender.post(f"{at}release/").json()["error"] == "reservation_ended"
    assert_laws(Wallet.objects.get(user=buyer))


def test_release_may_be_repeated(spender: APIClient) -> None:
    at = f"{RESERVATIONS}{spender.post(RESERVATIONS, {'credits': 10}, format='json').json()['id']}/"
    assert [spender.post(f"{at}release/").json() for _ in range(2)] == [{"new_balance": 100}] * 2


def test_another_users_reservation_is_a_404(spender: APIClient, other_api: APIClient) -> None:
    reserved = spender.post(RESERVATIONS, {"credits": 10}, format="json").json()
    for what in ("capture", "release", "renew"):
        answer = other_api.post(f"{RESERVATIONS}{reserved['id']}/{what}/", {"credits": 1}, format="json")
        assert (answer.status_code, answer.json()["error"]) == (404, "reservation_not_found")


def test_enormous_reservation_id_is_a_404(spender: APIClient) -> None:
    answer = spender.post(f"{RESERVATIONS}{'9' * 40}/capture/", {"credits": 1}, format="json")
    assert answer.status_code == 404


def test_form_may_be_posted_too(spender: APIClient) -> None:
    answer = spender.post(SPEND, "credits=2.5&feature=chat", content_type="application/x-www-form-urlencoded")
    assert answer.json()["new_balance"] == 97.5


def test_session_needs_the_csrf_token(buyer: User) -> None:
    AIBillingService.grant(buyer, 5, reason="trial")
    client = Client(enforce_csrf_checks=True)
    client.force_login(buyer)
    assert client.post(SPEND, {"credits": 1}, content_type="application/json").status_code == 403


def test_nobody_spends_without_a_token(db: None) -> None:
    client = APIClient()
    assert client.post(SPEND, {"credits": 1}, format="json").status_code == 401
    client.credentials(HTTP_AUTHORIZATION="Token " + "a" * 64)
    assert client.post(SPEND, {"credits": 1}, format="json").status_code == 401


def test_inactive_user_cannot_spend(api: APIClient, buyer: User) -> None:
    AIBillingService.grant(buyer, 5, reason="trial")
    buyer.is_active = False
    buyer.save()
    assert api.post(SPEND, {"credits": 1}, format="json").status_code == 401


def test_cap_of_a_token_is_a_429_with_retry_after(api: APIClient, buyer: User) -> None:
    AIBillingService.grant(buyer, 100, reason="trial")
    AIBillingService.set_cap(buyer, "member", str(buyer.pk), "day", 3)
    assert api.post(SPEND, {"credits": 2}, format="json").status_code == 200
    refused = api.post(SPEND, {"credits": 2}, format="json")
    assert (refused.status_code, refused.json()["error"]) == (429, "spending_cap_reached")
    assert 0 < int(refused["Retry-After"]) <= 86401
    assert refused.json()["used"] == 2


def test_availability_says_what_is_missing(spender: APIClient) -> None:
    FeaturePrice.objects.create(code="video", per_call=130_000_000)
    assert spender.get("/ai/api/check-availability/", {"feature": "video"}).json() == {
        "has_sufficient_credits": False,
        "current_balance": 100,
        "required_credits": 130,
        "shortage": 30,
    }


def test_availability_of_what_is_not_said(spender: APIClient) -> None:
    assert spender.get("/ai/api/check-availability/").status_code == 422
    assert spender.get("/ai/api/check-availability/", {"feature": "none"}).json()["error"] == "feature_unknown"


def test_usage_adds_up(spender: APIClient) -> None:
    for credits_, feature in ((1, "chat"), (2.5, "image"), (1, "chat")):
        spender.post(SPEND, {"credits": credits_, "feature": feature}, format="json")
    stats = spender.get("/ai/api/usage/stats/", {"days": 7}).json()
    assert (stats["credits"], stats["calls"], len(stats["by_day"])) == (4.5, 3, 7)
    assert stats["by_feature"][0] == {"feature": "image", "credits": 2.5, "calls": 1}
    assert spender.get("/ai/api/usage/stats/", {"days": 0}).status_code == 422
