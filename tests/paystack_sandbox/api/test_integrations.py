"""Two integrations in one sandbox know nothing of each other; one that is stopped goes on where it was."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.api.tour import Tour, disputes, refunds, subscriptions

LISTS = (
    *("/transaction", "/customer", "/refund", "/dispute", "/plan", "/subscription", "/settlement", "/balance/ledger"),
    "/integration/webhooks/events",
)
NUMBERED = (
    *("/transaction/5000000001", "/transaction/timeline/5000000001", "/refund/3000001", "/dispute/3000001"),
    *("/dispute/transaction/5000000001", "/plan/3000001", "/subscription/3000001", "/settlement/3000001/transactions"),
    *("/customer/5000000001", "/customer/ama@example.com", f"/integration/webhooks/events/{1:024x}"),
    "/integration/webhooks/events/lookup?reference=5000000001",
)


@pytest.fixture(scope="module")
def stranger() -> Iterator[httpx2.Client]:
    with PaystackSandbox(secret_keys=("sk_test_stranger",)) as sandbox:
        visit = Tour(sandbox)
        for part in (subscriptions, refunds, disputes):
            part(visit)
        visit.close()
        headers = {"Authorization": "Bearer sk_test_stranger"}
        with httpx2.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
            yield client


@pytest.mark.parametrize("path", LISTS)
def test_lists_of_a_stranger_are_empty(stranger: httpx2.Client, path: str) -> None:
    assert stranger.get(path).json()["data"] == []


@pytest.mark.parametrize("path", NUMBERED)
def test_numbers_of_others_are_unknown(stranger: httpx2.Client, path: str) -> None:
    assert stranger.get(path).status_code in (400, 404)


def test_balance_of_a_stranger_is_nothing(stranger: httpx2.Client) -> None:
    assert stranger.get("/balance").json()["data"] == [{"currency": "GHS", "balance": 0}]


def test_saved_card_of_another_integration(stranger: httpx2.Client) -> None:
    body = {"email": "ama@example.com", "amount": 100, "authorization_code": "AUTH_x"}
    assert stranger.post("/transaction/charge_authorization", json=body).status_code == 400


def test_lives_go_on_after_a_restart(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer sk_test_sandbox"}
    with PaystackSandbox(data=tmp_path / "sandbox.db") as sandbox:
        body = {"email": "ama@example.com", "amount": 8000, "reference": "kept"}
        httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers)
        sandbox.pay("kept")
        httpx2.post(f"{sandbox.url}/refund", json={"transaction": "kept"}, headers=headers)
    with PaystackSandbox(data=tmp_path / "sandbox.db") as sandbox:
        assert sandbox.transaction("kept")["status"] == "reversal-pending"
        sandbox.advance(seconds=600)
        assert sandbox.transaction("kept")["status"] == "reversed"
        assert sandbox.webhooks()[0]["event"] == "refund.processed"
