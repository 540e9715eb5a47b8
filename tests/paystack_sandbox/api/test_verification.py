"""Banks, accounts, card numbers, countries and states."""

import httpx2
import pytest

ACCOUNT = {
    "account_name": "Ann Bron",
    "account_number": "0123456789",
    "account_type": "personal",
    "bank_code": "632005",
    "country_code": "ZA",
    "document_type": "identityNumber",
    "document_number": "1234567890123",
}


@pytest.mark.parametrize("code", ["057", "MTN", "030100"])
def test_account_has_the_same_holder_each_time(client: httpx2.Client, code: str) -> None:
    bodies = [client.get(f"/bank/resolve?account_number=0551234987&bank_code={code}").json() for _ in range(2)]
    assert bodies[0] == bodies[1]
    assert (bodies[0]["message"], bodies[0]["data"]["account_number"]) == ("Account number resolved", "0551234987")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("account_number=0123456789&bank_code=nope", 400, "invalid_bank_code"),
        ("account_number=9999999999&bank_code=057", 422, "invalid_params"),
        ("account_number=x&bank_code=057", 422, "invalid_params"),
        ("bank_code=057", 400, "missing_params"),
    ],
)
def test_account_that_cannot_be_resolved(client: httpx2.Client, query: str, status: int, code: str) -> None:
    response = client.get(f"/bank/resolve?{query}")
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_south_african_account(client: httpx2.Client) -> None:
    body = client.post("/bank/validate", json=ACCOUNT).json()
    assert (body["message"], body["data"]["verified"]) == ("Personal Account Verification attempted", True)
    refused = client.post("/bank/validate", json=ACCOUNT | {"account_number": "9999999999"})
    assert (refused.status_code, refused.json()["status"]) == (400, False)
    assert refused.json()["data"]["verificationMessage"] == "The provided bank account number is invalid"


@pytest.mark.parametrize("change", [{"country_code": "GH"}, {"account_type": "x"}, {"bank_code": "057"}])
def test_validate_refuses(client: httpx2.Client, change: dict) -> None:
    assert client.post("/bank/validate", json=ACCOUNT | change).status_code == 400


@pytest.mark.parametrize(
    ("digits", "brand", "bank"),
    [("539983", "Mastercard", "Guaranty Trust Bank"), ("408408", "Visa", "TEST BANK"), ("411111", "Visa", "")],
)
def test_card_number(client: httpx2.Client, digits: str, brand: str, bank: str) -> None:
    body = client.get(f"/decision/bin/{digits}").json()
    assert (body["message"], body["data"]["brand"], body["data"]["bank"]) == ("Bin resolved", brand, bank)


@pytest.mark.parametrize("digits", ["12345", "abcdef", "123456789"])
def test_no_card_number(client: httpx2.Client, digits: str) -> None:
    assert client.get(f"/decision/bin/{digits}").status_code == 400


def test_states(client: httpx2.Client) -> None:
    body = client.get("/address_verification/states?country=CA").json()
    assert body["data"][:2] == [
        {"name": "Alberta", "slug": "alberta", "abbreviation": "AB"},
        {"name": "British Columbia", "slug": "british-columbia", "abbreviation": "BC"},
    ]
    assert len(client.get("/address_verification/states?country=us").json()["data"]) == 51
    assert client.get("/address_verification/states").status_code == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("country=south-africa&enabled_for_verification=true", 5),
        ("country=South Africa", 5),
        ("country=cote-divoire", 3),
        ("currency=NGN&pay_with_bank=true", 2),
        ("currency=NGN&gateway=digitalbankmandate", 1),
        ("currency=NGN&pay_with_bank_transfer=true", 17),
        ("currency=KES&type=kepss", 6),
    ],
)
def test_bank_filters(payer: httpx2.Client, query: str, names: int) -> None:
    assert len(payer.get(f"/bank?{query}").json()["data"]) == names


def test_nip_codes_on_demand(payer: httpx2.Client) -> None:
    rows = payer.get("/bank?currency=NGN&include_nip_sort_code=true").json()["data"]
    assert {row["code"]: row["nip_sort_code"] for row in rows}["057"] == "000015"
    assert "nip_sort_code" not in payer.get("/bank?currency=NGN").json()["data"][0]
