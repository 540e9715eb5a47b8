import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings


def names(client: httpx2.Client, query: str) -> list[str]:
    return [bank["name"] for bank in client.get(f"/bank?{query}").json()["data"]]


def test_ghanas_mobile_money(payer: httpx2.Client) -> None:
    rows = payer.get("/bank?currency=GHS&type=mobile_money").json()["data"]
    assert [(row["code"], row["slug"], row["id"]) for row in rows] == [
        ("ATL", "atl-mobile-money", 29),
        ("MTN", "mtn-mobile-money", 28),
        ("VOD", "vod-mobile-money", 66),
    ]


@pytest.mark.parametrize("kind", ["ghipss", "ghipps"])
def test_ghanas_banks_in_both_spellings(payer: httpx2.Client, kind: str) -> None:
    assert len(names(payer, f"country=ghana&type={kind}")) == 25


def test_meta_is_in_cursor_form(payer: httpx2.Client) -> None:
    first = payer.get("/bank?country=ghana&perPage=20").json()
    rest = payer.get("/bank", params={"country": "ghana", "perPage": 20, "next": first["meta"]["next"]}).json()
    assert set(first["meta"]) == {"next", "previous", "perPage"}
    assert len(first["data"]) + len(rest["data"]) == 28
    assert rest["meta"]["next"] is None


def test_pages_by_number(payer: httpx2.Client) -> None:
    assert names(payer, "currency=GHS&perPage=10&page=2") == names(payer, "currency=GHS")[10:20]


def test_at_most_a_hundred_a_page(payer: httpx2.Client) -> None:
    assert payer.get("/bank?perPage=5000").json()["meta"]["perPage"] == 100


def test_countries(payer: httpx2.Client) -> None:
    body = payer.get("/country").json()
    assert body["message"] == "Countries retrieved"
    assert {row["iso_code"]: row["default_currency_code"] for row in body["data"]}["GH"] == "GHS"


def test_can_be_closed_to_those_without_a_key() -> None:
    with PaystackSandbox(settings=Settings(public_bank_list=False)) as sandbox:
        assert httpx2.get(f"{sandbox.url}/bank").status_code == 401
