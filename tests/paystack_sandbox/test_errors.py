from typing import Any

import httpx2
import pytest

from paystack_sandbox.errors import ERRORS

INITIALIZE = "/transaction/initialize"
GOOD = {"email": "a@b.co", "amount": 8000}


def check(response: httpx2.Response, row: str) -> None:
    expected = ERRORS[row]
    body = response.json()
    assert (response.status_code, body["status"], body["message"]) == (expected.http_status, False, expected.message)
    assert (body.get("code"), body.get("meta", {}).get("nextStep")) == (expected.code, expected.next_step)


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"email": None}, "email_missing"),
        ({"email": ""}, "email_empty"),
        ({"email": "ama"}, "email_invalid"),
        ({"email": "ama@office.local"}, "email_invalid"),
        ({"email": ["a@b.co"]}, "email_invalid"),
        ({"amount": None}, "amount_invalid"),
        ({"amount": 0}, "amount_invalid"),
        ({"amount": -5}, "amount_invalid"),
        ({"amount": "ten"}, "amount_invalid"),
        ({"amount": "NaN"}, "amount_invalid"),
        ({"amount": True}, "amount_invalid"),
        ({"amount": {}}, "amount_invalid"),
        ({"amount": 100.5}, "amount_fraction"),
        ({"amount": "100.50"}, "amount_fraction"),
        ({"amount": 10_000_000_01}, "amount_limit"),
        ({"amount": "1e40"}, "amount_limit"),
        ({"currency": "NGN"}, "currency_not_supported"),
        ({"currency": 7}, "currency_not_supported"),
        ({"reference": "a/b"}, "reference_character"),
        ({"reference": "a:b"}, "reference_character"),
        ({"reference": "a b"}, "reference_character"),
        ({"reference": {"a": 1}}, "reference_character"),
        ({"reference": "a" * 101}, "reference_length"),
        ({"plan": "PLN_x"}, "plan_not_found"),
    ],
)
def test_initialize_refuses(client: httpx2.Client, change: dict[str, Any], row: str) -> None:
    check(client.post(INITIALIZE, json=GOOD | change), row)


def test_used_reference_is_refused_forever(client: httpx2.Client) -> None:
    client.post(INITIALIZE, json=GOOD | {"reference": "once"})
    check(client.post(INITIALIZE, json=GOOD | {"reference": "once", "amount": 1}), "duplicate_reference")


def test_error_body_is_paystacks_to_the_letter(client: httpx2.Client) -> None:
    assert client.get("/transaction/verify/nope").json() == {
        "status": False,
        "message": "Transaction reference not found.",
        "meta": {
            "nextStep": "Ensure that you're passing the reference of a transaction that exists on this integration"
        },
        "type": "validation_error",
        "code": "transaction_not_found",
    }


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/transaction/verify/nope", "reference_not_found"),
        ("/transaction/verify/a%2Fb", "reference_character"),
        ("/transaction/verify/a%00b", "reference_character"),
        ("/transaction/17", "transaction_not_found"),
        ("/transaction/99999999999999999999999", "transaction_not_found"),
        ("/transaction/abc", "transaction_id_not_numeric"),
        ("/transaction/timeline/nope", "timeline_not_found"),
    ],
)
def test_unknown_transactions(client: httpx2.Client, path: str, row: str) -> None:
    check(client.get(path), row)


@pytest.mark.parametrize("header", ["Bearer sk_test_wrong", "sk_test_sandbox", "Basic sk_test_sandbox", "Bearer", ""])
def test_wrong_key(payer: httpx2.Client, header: str) -> None:
    check(payer.get("/transaction", headers={"Authorization": header}), "invalid_key")


def test_missing_key(payer: httpx2.Client) -> None:
    check(payer.post(INITIALIZE, json=GOOD), "no_authorization")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_what_is_not_there_says_so_in_json(client: httpx2.Client, method: str) -> None:
    response = client.request(method, "/subaccount/ACCT_1")
    assert response.status_code == 404
    assert response.json()["message"].startswith(f"The sandbox does not have {method} /subaccount/ACCT_1")


def test_export_is_not_taken_for_an_id(client: httpx2.Client) -> None:
    assert client.get("/transaction/export").json()["message"] == "Export successful"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_not_there(client: httpx2.Client, method: str) -> None:
    assert client.request(method, INITIALIZE).json()["code"] in ("not_in_sandbox", "invalid_params")


def test_head_has_no_body(client: httpx2.Client) -> None:
    response = client.head("/transaction")
    assert (response.status_code, response.content) == (200, b"")


def test_every_answer_has_a_request_id(client: httpx2.Client) -> None:
    answers = [client.get("/bank"), client.get("/nowhere"), client.get("/transaction/verify/nope")]
    assert len({answer.headers["x-paystack-request-id"] for answer in answers}) == 3


def test_body_over_the_limit(client: httpx2.Client) -> None:
    check(client.post(INITIALIZE, content=b'{"email":"' + b"a" * 1_100_000 + b'"}'), "body_too_large")
