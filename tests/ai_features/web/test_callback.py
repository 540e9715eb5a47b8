from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.models import Purchase, Wallet
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.conftest import CARD

URL = "/payment/callback"


@pytest.fixture
def started(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    AIBillingService.grant(buyer, "45.5", reason="trial")
    return AIBillingService.purchase_credits(buyer, "value")


@pytest.fixture
def paid(started: Purchase, sandbox: PaystackSandbox) -> Purchase:
    sandbox.pay(started.reference, channel="card", card=CARD)
    return started


def text(client: Client, reference: str, name: str = "reference") -> str:
    return client.get(URL, {name: reference}).content.decode()


@pytest.mark.parametrize("name", ["reference", "trxref"])
def test_buyer_reads_what_was_added(browser: Client, paid: Purchase, name: str) -> None:
    assert "100 credits added! New balance: 145.5" in text(browser, paid.reference, name)


def test_result_is_the_same_on_every_look(browser: Client, paid: Purchase, buyer: User) -> None:
    text(browser, paid.reference)
    AIBillingService.grant(buyer, 1, reason="later")
    assert "100 credits added! New balance: 145.5" in text(browser, paid.reference)


def test_stranger_settles_the_payment_and_learns_nothing(paid: Purchase) -> None:
    page = text(Client(), paid.reference)
    assert Wallet.objects.get().balance == 145_500_000
    for secret in ("145.5", "100 credits", "80.00", "ama", "value"):
        assert secret not in page


def test_stranger_sees_the_same_for_any_reference(paid: Purchase) -> None:
    known, unknown = (text(Client(), reference) for reference in (paid.reference, "AI-CREDIT-1-nobody"))
    assert known.replace(paid.reference, "X") == unknown.replace("AI-CREDIT-1-nobody", "X")


def test_another_buyer_sees_the_same_as_for_no_purchase(others_browser: Client, paid: Purchase) -> None:
    answers = [others_browser.get(URL, {"reference": r}) for r in (paid.reference, "AI-CREDIT-1-nobody")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert "145.5" not in answers[0].content.decode()


def test_unpaid_purchase_looks_again_by_itself(browser: Client, started: Purchase) -> None:
    page = text(browser, started.reference)
    assert '<meta http-equiv="refresh" content="3">' in page
    assert started.authorization_url in page


@pytest.mark.parametrize(("age", "refresh"), [(timedelta(minutes=5), 'content="10"'), (timedelta(hours=1), None)])
def test_page_looks_less_often_with_time(browser: Client, started: Purchase, age: timedelta, refresh) -> None:
    Purchase.objects.update(created_at=timezone.now() - age)
    page = text(browser, started.reference)
    assert refresh in page if refresh else "http-equiv" not in page


def test_paystack_down_is_not_an_error_page(browser: Client, paid: Purchase, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 500}})
    assert "waiting for your payment" in text(browser, paid.reference)
    sandbox.set_faults({})
    assert "100 credits added!" in text(browser, paid.reference)


def test_failed_payment_says_why_and_what_to_do(browser: Client, started: Purchase, settings) -> None:
    settings.AI_CREDITS = {"SUPPORT_EMAIL": "help@example.com"}
    settings.PAYSTACK_BASE_URL = "http://127.0.0.1:9"
    Purchase.objects.update(status="failed", status_reason='<script>alert("x")</script>')
    page = text(browser, started.reference)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "Try again" in page
    assert "help@example.com" in page


@pytest.mark.parametrize(
    ("status", "words"),
    [("abandoned", "not paid in time"), ("review", "differs from your order"), ("refunded", "was refunded")],
)
def test_other_ends_are_told_in_words(browser: Client, started: Purchase, status: str, words: str) -> None:
    Purchase.objects.update(status=status)
    assert words in text(browser, started.reference)


@pytest.mark.parametrize("reference", ["", "\x00", "é", "x" * 5000, "<b>", "../..", "' OR 1=1"])
def test_odd_reference_is_an_ordinary_page(browser: Client, reference: str) -> None:
    assert browser.get(URL, {"reference": reference}).status_code == 404
    assert Client().get(URL, {"reference": reference}).status_code == 200


def test_asking_paystack_is_rate_limited(started: Purchase, sandbox: PaystackSandbox, settings) -> None:
    settings.AI_CREDITS = {"THROTTLE_RATES": {"callback": "1/min"}}
    text(Client(), started.reference)
    sandbox.pay(started.reference, channel="card", card=CARD)
    assert Client().get(URL, {"reference": started.reference}).status_code == 200
    assert Wallet.objects.get().balance == 45_500_000


def test_reference_does_not_leak_and_nothing_is_stored(browser: Client, started: Purchase) -> None:
    answer = browser.get(URL, {"reference": started.reference})
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"]
