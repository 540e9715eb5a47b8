import re
from typing import Any

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.conftest import Start


def metadata_of(client: httpx2.Client, reference: str) -> Any:
    return client.get(f"/transaction/verify/{reference}").json()["data"]["metadata"]


def test_answer_has_address_code_and_reference(client: httpx2.Client) -> None:
    body = client.post("/transaction/initialize", json={"email": "a@b.co", "amount": 1}).json()
    assert (body["status"], body["message"]) == (True, "Authorization URL created")
    assert re.fullmatch(r"[a-z0-9]{15}", body["data"]["access_code"])
    assert re.fullmatch(r"[a-z0-9]{10,15}", body["data"]["reference"])
    assert body["data"]["authorization_url"] == f"{client.base_url}/checkout/{body['data']['access_code']}"


def test_checkout_is_where_the_client_found_the_sandbox(
    client: httpx2.Client, paystack_sandbox: PaystackSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But never at Paystack, whose name clients with a fixed address use when a hosts file leads them here."""
    monkeypatch.setattr(paystack_sandbox.sandbox, "public_url", "")
    here = str(client.base_url).rstrip("/")
    for name, address in (("box.test:1", "http://box.test:1"), ("api.paystack.co", here), ("paystack.co:443", here)):
        body = {"email": "a@b.co", "amount": 1}
        answer = client.post("/transaction/initialize", json=body, headers={"host": name}).json()["data"]
        assert answer["authorization_url"] == f"{address}/checkout/{answer['access_code']}"


def test_own_reference_is_kept(start: Start) -> None:
    assert start(reference="Order-7.a=b_c")["reference"] == "Order-7.a=b_c"


@pytest.mark.parametrize("amount", [8000, "8000", 8000.0, " 8000 "])
def test_whole_amounts_are_accepted(start: Start, paystack_sandbox: PaystackSandbox, amount: object) -> None:
    assert paystack_sandbox.transaction(start(amount=amount)["reference"])["amount"] == 8000


def test_amount_limit_is_ten_million(start: Start) -> None:
    assert start(amount=10_000_000_00)


def test_form_encoded_as_php_sends_it(client: httpx2.Client) -> None:
    form = "email=a%40b.co&amount=500&metadata[cart][0]=7&metadata[note]=Akwaaba&channels[]=card&channels[]=ussd"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/transaction/initialize", content=form, headers=headers).json()
    assert metadata_of(client, answer["data"]["reference"]) == {"cart": ["7"], "note": "Akwaaba"}


def test_multipart_form(client: httpx2.Client) -> None:
    boundary = "xyz"
    fields = {"email": "a@b.co", "amount": "500", "reference": "multi-1"}
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    answer = client.post("/transaction/initialize", content="".join(parts) + f"--{boundary}--\r\n", headers=headers)
    assert answer.json()["data"]["reference"] == "multi-1"


def test_json_without_its_content_type(client: httpx2.Client) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/transaction/initialize", content='{"email":"a@b.co","amount":5}', headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/transaction/initialize/", "//transaction/initialize"])
def test_stray_slashes_change_nothing(client: httpx2.Client, path: str) -> None:
    assert client.post(f"{client.base_url}{path}", json={"email": "a@b.co", "amount": 5}).status_code == 200


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (
            {"n": 1, "deep": [{"x": 2.5}], "yes": True, "no": None},
            {"n": "1", "deep": [{"x": "2.5"}], "yes": True, "no": None},
        ),
        ('{"n": 1, "s": "1"}', {"n": 1, "s": "1"}),
        ("not JSON", "not JSON"),
        (None, ""),
        ("", ""),
        ({}, {}),
    ],
)
def test_metadata_comes_back_as_paystack_gives_it(
    client: httpx2.Client, start: Start, sent: object, kept: object
) -> None:
    assert metadata_of(client, start(metadata=sent)["reference"]) == kept


def test_same_email_is_the_same_customer(start: Start, paystack_sandbox: PaystackSandbox) -> None:
    first, second = (start(email=email)["reference"] for email in ("Ama@example.com", "ama@example.com"))
    customers = [paystack_sandbox.transaction(reference)["customer"] for reference in (first, second)]
    assert customers[0] == customers[1]
    assert re.fullmatch(r"CUS_[a-z0-9]{15}", customers[0]["customer_code"])


def test_other_enabled_currencies_are_accepted() -> None:
    with PaystackSandbox(currencies=("GHS", "USD")) as sandbox:
        body = {"email": "a@b.co", "amount": 500, "currency": "USD", "reference": "usd-1"}
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers)
        assert sandbox.transaction("usd-1")["currency"] == "USD"


def test_integrations_do_not_see_each_other() -> None:
    with PaystackSandbox(secret_keys=("sk_live_other",)) as sandbox:
        body = {"email": "a@b.co", "amount": 500, "reference": "same"}
        keys = [{"Authorization": f"Bearer {key}"} for key in ("sk_test_sandbox", "sk_live_other")]
        made = [httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=key) for key in keys]
        assert [answer.status_code for answer in made] == [200, 200]
        seen = [httpx2.get(f"{sandbox.url}/transaction/verify/same", headers=key).json()["data"] for key in keys]
        assert [data["domain"] for data in seen] == ["test", "live"]
        assert seen[0]["id"] != seen[1]["id"]


def test_case_of_references_can_be_ignored() -> None:
    with PaystackSandbox(settings=Settings(reference_is_case_sensitive=False)) as sandbox:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        body = {"email": "a@b.co", "amount": 500, "reference": "Abc"}
        httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers)
        assert httpx2.get(f"{sandbox.url}/transaction/verify/aBC", headers=headers).json()["data"]["reference"] == "Abc"
