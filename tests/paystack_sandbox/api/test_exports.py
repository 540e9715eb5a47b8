import csv
import io

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.conftest import Start


def rows_of(response: httpx2.Response) -> list[dict[str, str]]:
    assert (response.status_code, response.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(response.text)))


def test_export_leads_to_a_csv_without_a_key(
    client: httpx2.Client, payer: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.pay(start(reference="paid")["reference"])
    start(reference="open")
    body = client.get("/transaction/export?status=success").json()
    assert body["message"] == "Export successful"
    rows = rows_of(payer.get(body["data"]["path"]))
    assert [(row["reference"], row["amount"], row["email"]) for row in rows] == [("paid", "8000", "ama@example.com")]
    everything = client.get("/transaction/export?status=all").json()["data"]["path"]
    assert [row["reference"] for row in rows_of(payer.get(everything))] == ["open", "paid"]


def test_address_is_good_for_a_minute(
    client: httpx2.Client, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = client.get("/transaction/export").json()["data"]
    assert len(data["expiresAt"]) == len("2024-08-22 11:01:23")
    paystack_sandbox.advance(seconds=61)
    assert payer.get(data["path"]).status_code == 403


def test_more_rows_than_a_batch(client: httpx2.Client, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    state = paystack_sandbox.sandbox.state
    with state.transaction():
        customer = state.customer_id(1, "many@example.com", 0)
        for number in range(2100):
            state.add_transaction(
                integration_id=1,
                customer_id=customer,
                reference=f"r{number}",
                reference_key=f"r{number}",
                access_code=f"a{number}",
                status="abandoned",
                currency="GHS",
                amount=100,
                requested_amount=100,
                metadata='""',
                gateway_response="",
                created_at=number,
            )
    rows = rows_of(payer.get(client.get("/transaction/export").json()["data"]["path"]))
    assert (len(rows), len({row["reference"] for row in rows})) == (2100, 2100)


@pytest.mark.parametrize(("method", "path"), [("GET", "/files/exports/nope.csv"), ("PUT", "/files/uploads/nope")])
def test_unknown_files(payer: httpx2.Client, method: str, path: str) -> None:
    response = payer.request(method, path)
    assert (response.status_code, response.json()["status"]) == (404, False)


def test_export_of_disputes(
    client: httpx2.Client, payer: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    reference = paystack_sandbox.pay(start()["reference"])["reference"]
    payer.post("/_sandbox/disputes", json={"transaction": reference})
    path = client.get("/dispute/export").json()["data"]["path"]
    assert [row["category"] for row in rows_of(payer.get(path))] == ["chargeback"]
