import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.models import Package, Wallet
from paystack_sandbox import PaystackSandbox


def test_wrong_password_is_a_401(buyer: User) -> None:
    answer = APIClient().post("/ai/api/token/", {"username": "ama", "password": "no"}, format="json")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_credentials")


@pytest.mark.parametrize("token", ["", "nonsense", "a b", "é", "zz" * 32, "a" * 5000])
def test_odd_token_is_a_401(buyer: User, token: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}".encode().decode("latin-1"))
    assert client.get("/ai/api/credits/balance/").status_code == 401


def test_packages_are_for_everybody(db: None) -> None:
    packages = APIClient().get("/ai/api/credits/packages/").json()
    shown = [(p["code"], p["price"], p["tax"], p["total"], p["credits"], p["bonus"]) for p in packages]
    assert shown == [("starter", 30, 0, 30, 30, 0), ("value", 80, 0, 80, 80, 20), ("premium", 180, 0, 180, 180, 70)]


def test_packages_can_be_asked_for_by_currency(db: None) -> None:
    assert APIClient().get("/ai/api/credits/packages/", {"currency": "NGN"}).json() == []


def test_package_off_sale_is_gone(db: None) -> None:
    Package.objects.filter(code="starter").update(is_active=False)
    assert [p["code"] for p in APIClient().get("/ai/api/credits/packages/").json()] == ["value", "premium"]


def test_balance_of_a_new_user_is_zero(api: APIClient) -> None:
    empty = {"balance": 0, "held": 0, "available": 0, "debt": 0, "expiring": []}
    assert api.get("/ai/api/credits/balance/").json() == empty


def test_balance_says_what_expires_when(api: APIClient, paid: str) -> None:
    api.get("/ai/api/credits/verify/", {"reference": paid})
    (expiring,) = api.get("/ai/api/credits/balance/").json()["expiring"]
    assert expiring["credits"] == 100
    assert expiring["expires_at"].endswith("Z")


def test_histories_show_only_ones_own(api: APIClient, other_api: APIClient, paid: str) -> None:
    api.get("/ai/api/credits/verify/", {"reference": paid})
    (purchase,) = api.get("/ai/api/credits/purchases/").json()["results"]
    assert (purchase["reference"], purchase["status"], purchase["amount"]) == (paid, "completed", 80)
    entries = api.get("/ai/api/transactions/").json()["results"]
    assert [(entry["kind"], entry["credits"], entry["reference"]) for entry in entries] == [
        ("bonus", 20, paid),
        ("purchase", 80, paid),
    ]
    assert other_api.get("/ai/api/credits/purchases/").json()["results"] == []
    assert other_api.get("/ai/api/transactions/").json()["results"] == []


def test_history_goes_on_by_cursor(api: APIClient, buyer: User) -> None:
    for credits_ in range(1, 4):
        AIBillingService.grant(buyer, credits_, reason="trial")
    first = api.get("/ai/api/transactions/", {"page_size": 2}).json()
    rest = api.get(first["next"]).json()
    assert [e["credits"] for e in first["results"] + rest["results"]] == [3, 2, 1]


@pytest.mark.parametrize(("name", "value"), [("cursor", "nonsense"), ("page_size", "ten"), ("page_size", "0")])
def test_page_that_is_none_is_told_apart_from_one_without_entries(api: APIClient, name: str, value: str) -> None:
    answer = api.get("/ai/api/transactions/", {name: value})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")
    assert list(answer.json()["fields"]) == [name]


def test_largest_page_has_200(api: APIClient, buyer: User) -> None:
    for _ in range(201):
        AIBillingService.grant(buyer, 1, reason="trial")
    page = api.get("/ai/api/transactions/", {"page_size": 1000}).json()
    assert (len(page["results"]), page["next"] is None) == (200, False)


def test_history_needs_a_fixed_number_of_queries(api: APIClient, wallet: Wallet, django_assert_max_num_queries) -> None:
    for _ in range(20):
        AIBillingService.grant(wallet, 1, reason="trial")
    with django_assert_max_num_queries(4):
        api.get("/ai/api/transactions/")


def test_payment_methods_come_from_paystack_and_are_cached(db: None, sandbox: PaystackSandbox, settings) -> None:
    first = APIClient().get("/ai/api/payment-methods/", {"currency": "GHS"}).json()
    assert {"MTN", "ATL", "VOD"} <= {provider["code"] for provider in first["mobile_money_providers"]}
    assert first["banks"]
    settings.PAYSTACK_BASE_URL = "http://127.0.0.1:9"
    assert APIClient().get("/ai/api/payment-methods/", {"currency": "ghs"}).json() == first


def test_payment_methods_of_an_unknown_currency_are_refused(db: None) -> None:
    assert APIClient().get("/ai/api/payment-methods/", {"currency": "EUR"}).status_code == 422


def test_team_shares_a_wallet(api: APIClient, other_api: APIClient, settings) -> None:
    settings.AI_CREDITS = {"WALLET_RESOLVER": "tests.ai_features.api.test_reading.one_team"}
    AIBillingService.grant("team:1", 5, reason="trial")
    assert [client.get("/ai/api/credits/balance/").json()["balance"] for client in (api, other_api)] == [5, 5]


def one_team(user: User) -> str:
    return "team:1"


def test_unknown_address_is_json(db: None) -> None:
    answer = APIClient().get("/ai/api/nothing/")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_wrong_method_is_json(api: APIClient) -> None:
    answer = api.delete("/ai/api/credits/balance/")
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("name", ["schema", "docs"])
def test_document_is_only_read(db: None, name: str, method: str) -> None:
    answer = APIClient().generic(method, f"/ai/api/{name}/")
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")


def test_document_in_no_format_of_ours_is_refused_in_the_one_shape(db: None) -> None:
    answer = APIClient().get("/ai/api/schema/", HTTP_ACCEPT="image/png")
    assert (answer.status_code, answer.json()["error"]) == (406, "not_acceptable")


def test_schema_is_openapi_3_1(db: None) -> None:
    answer = APIClient().get("/ai/api/schema/", {"format": "json"})
    assert answer.json()["openapi"].startswith("3.1")
    assert "/ai/api/credits/purchase/" in answer.json()["paths"]


def test_docs_page_loads_nothing_from_elsewhere(db: None) -> None:
    page = APIClient().get("/ai/api/docs/").content.decode()
    assert "cdn." not in page.lower()  # with the dot: a CSRF token may have the letters
    assert "https://" not in page
