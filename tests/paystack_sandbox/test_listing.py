import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.conftest import Start


@pytest.fixture
def five(start: Start, paystack_sandbox: PaystackSandbox) -> list[str]:
    """References, oldest first; the second and the fourth are paid."""
    references = [start(reference=f"r{number}", amount=1000 + number)["reference"] for number in range(5)]
    for reference in ("r1", "r3"):
        paystack_sandbox.pay(reference)
    return references


def listed(client: httpx2.Client, **query: object) -> list[str]:
    return [row["reference"] for row in client.get("/transaction", params=query).json()["data"]]


def test_newest_first_with_totals(client: httpx2.Client, five: list[str]) -> None:
    body = client.get("/transaction").json()
    assert body["message"] == "Transactions retrieved"
    assert [row["reference"] for row in body["data"]] == five[::-1]
    assert body["meta"] == {"total": 5, "total_volume": 2004, "skipped": 0, "perPage": 50, "page": 1, "pageCount": 1}


@pytest.mark.parametrize("spelling", ["perPage", "per_page"])
def test_pages_by_offset(client: httpx2.Client, five: list[str], spelling: str) -> None:
    assert listed(client, **{spelling: 2, "page": 2}) == ["r2", "r1"]
    meta = client.get("/transaction", params={spelling: 2, "page": 3}).json()["meta"]
    assert (meta["skipped"], meta["pageCount"]) == (4, 3)


def test_cursor_goes_forth_and_back(client: httpx2.Client, five: list[str]) -> None:
    first = client.get("/transaction?use_cursor=true&perPage=2").json()
    second = client.get("/transaction", params={"perPage": 2, "next": first["meta"]["next"]}).json()
    third = client.get("/transaction", params={"perPage": 2, "next": second["meta"]["next"]}).json()
    pages = [[row["reference"] for row in page["data"]] for page in (first, second, third)]
    assert pages == [["r4", "r3"], ["r2", "r1"], ["r0"]]
    assert (first["meta"]["previous"], third["meta"]["next"]) == (None, None)
    back = client.get("/transaction", params={"perPage": 2, "previous": third["meta"]["previous"]}).json()
    assert [row["reference"] for row in back["data"]] == ["r2", "r1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "success"}, ["r3", "r1"]),
        ({"status": "failed"}, []),
        ({"amount": 1002}, ["r2"]),
        ({"amount": "x"}, []),
        ({"channel": "card"}, ["r3", "r1"]),
        ({"customer": "CUS_abcdefghijklmno"}, []),
        ({"from": "2000-01-01", "to": "2001-01-01"}, []),
        ({"from": "2000-01-01T00:00:00.000Z"}, ["r4", "r3", "r2", "r1", "r0"]),
        ({"from": "2000-01-01T00:00:00 02:00", "status": "success"}, ["r3", "r1"]),
        # As published clients send them: encoded twice, 0 for a filter that is left out.
        ({"to": "2001-01-01T00%3A00%3A00.000"}, []),
        ({"customer": 0, "amount": 0, "terminalid": 0, "status": "success"}, ["r3", "r1"]),
        ({"terminalid": "7"}, []),
    ],
)
def test_filters(client: httpx2.Client, five: list[str], query: dict[str, object], found: list[str]) -> None:
    assert listed(client, **query) == found


def test_filter_by_customers_number(
    client: httpx2.Client, five: list[str], start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    row = paystack_sandbox.transaction(start(reference="kofis", email="kofi@example.com")["reference"])
    assert listed(client, customer=row["customer"]["id"]) == ["kofis"]


@pytest.mark.parametrize("query", ["from=yesterday", "to=99999-01-01", "next=%21", "previous=abc"])
def test_bad_filters_are_refused(client: httpx2.Client, query: str) -> None:
    assert client.get(f"/transaction?{query}").status_code == 400


def test_rows_differ_from_verify(client: httpx2.Client, five: list[str]) -> None:
    row = client.get("/transaction").json()["data"][0]
    assert (row["metadata"], row["plan"], row["source"]["entry_point"]) == (None, {}, "transaction_initialize")
    assert not {"plan_object", "transaction_date", "receipt_number", "fees_breakdown"} & set(row)


def test_totals(client: httpx2.Client, five: list[str]) -> None:
    body = client.get("/transaction/totals").json()
    assert body["message"] == "Transaction totals"
    assert (body["data"]["total_transactions"], body["data"]["total_volume"]) == (5, 2004)
    assert body["data"]["total_volume_by_currency"] == [{"currency": "GHS", "amount": 2004}]
