import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.models import Purchase, PurchaseStatus, Wallet
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.conftest import CARD

URL = "/payment/callback"
NOBODYS = "AI-CREDIT-1-nobody"


@pytest.fixture
def started(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    AIBillingService.grant(buyer, "45.5", reason="trial")
    return AIBillingService.purchase_credits(buyer, "value")


@pytest.fixture
def paid(started: Purchase, sandbox: PaystackSandbox) -> Purchase:
    sandbox.pay(started.reference, channel="card", card=CARD)
    return started


def bare(answer: HttpResponse, reference: str) -> str:
    """The page without what differs from one request to the next."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode()).replace(reference, "X")


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


def test_another_buyer_settles_the_payment_and_learns_nothing(others_browser: Client, paid: Purchase) -> None:
    answer = others_browser.get(URL, {"reference": paid.reference})
    assert answer.status_code == 404
    assert Wallet.objects.get(user__username="ama").balance == 145_500_000
    assert "145.5" not in answer.content.decode()


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
    [
        ("abandoned", "not paid in time"),
        ("review", "differs from your order"),
        ("partially_refunded", "A part of this payment was refunded"),
        ("refunded", "This payment was refunded"),
    ],
)
def test_other_ends_are_told_in_words(browser: Client, started: Purchase, status: str, words: str) -> None:
    refunded_minor = 100 if "refunded" in status else 0
    Purchase.objects.update(status=status, status_reason="Paid 5000, sold for 8000.", refunded_minor=refunded_minor)
    page = text(browser, started.reference)
    assert words in page
    assert "Paid 5000" not in page


@pytest.mark.parametrize("status", PurchaseStatus.values)
def test_no_status_is_told_to_anybody_else(others_browser: Client, started: Purchase, status: str) -> None:
    Purchase.objects.update(status=status, completed_at=timezone.now(), refunded_minor=int("refunded" in status))
    for client in (Client(), others_browser):
        known, unknown = (client.get(URL, {"reference": r}) for r in (started.reference, NOBODYS))
        assert known.status_code == unknown.status_code
        assert bare(known, started.reference) == bare(unknown, NOBODYS)


def test_checkout_that_never_opened_is_not_the_banks_fault(browser: Client, started: Purchase) -> None:
    Purchase.objects.update(status="failed", status_reason="paystack_timeout: no answer", authorization_url="")
    page = text(browser, started.reference)
    assert "checkout could not be opened" in page
    assert "paystack_timeout" not in page


def test_trying_again_starts_from_the_same_choice(browser: Client, started: Purchase) -> None:
    Purchase.objects.update(status="failed", package_code="custom", price_minor=1234)
    assert "/credits/?package=custom&amp;custom_amount=12.34" in text(browser, started.reference)


def test_paid_after_our_deadline_is_credited_all_the_same(browser: Client, paid: Purchase) -> None:
    Purchase.objects.update(status="abandoned")
    assert "100 credits added! New balance: 145.5" in text(browser, paid.reference)


def test_one_credit_is_not_credits(browser: Client, started: Purchase, sandbox: PaystackSandbox, buyer: User) -> None:
    one = AIBillingService.purchase_credits(buyer, "custom", custom_amount=Decimal(1))
    sandbox.pay(one.reference, channel="card", card=CARD)
    assert "1 credit added! New balance: 46.5" in text(browser, one.reference)


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


def test_result_costs_few_queries(browser: Client, paid: Purchase, django_assert_max_num_queries) -> None:
    text(browser, paid.reference)
    with django_assert_max_num_queries(5):
        text(browser, paid.reference)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no lock on the whole database")
@pytest.mark.django_db(transaction=True)
def test_busy_database_is_not_an_error_page(browser: Client, paid: Purchase) -> None:
    with connection.cursor() as cursor, closing(sqlite3.connect(connection.settings_dict["NAME"])) as another:
        cursor.execute("PRAGMA busy_timeout = 50")
        another.execute("BEGIN IMMEDIATE")
        assert "waiting for your payment" in text(browser, paid.reference)
        another.rollback()
    assert "100 credits added!" in text(browser, paid.reference)
