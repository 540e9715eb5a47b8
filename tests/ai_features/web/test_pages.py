import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client

from ai_features.billing import AIBillingService
from ai_features.billing.settlement import settle
from ai_features.models import Package, Purchase, Wallet
from tests.paystack_facts import facts

WIRE_LIMIT_BYTES = 30_000


@pytest.fixture
def settled(purchase: Purchase) -> Purchase:
    return settle(purchase.reference, facts(purchase), settled_by="webhook")


def test_wallet_shows_balance_expiry_and_history(browser: Client, settled: Purchase) -> None:
    page = browser.get("/credits/wallet/").content.decode()
    for words in (
        "<dd>100</dd>",
        "80 credits on",
        "+20",
        "+80",
        "GHS 80.00",
        f"/credits/purchases/{settled.reference}/",
    ):
        assert words in page


def test_debt_and_held_are_shown_plainly(browser: Client, wallet: Wallet) -> None:
    Wallet.objects.update(balance=5_000_000, held=2_000_000, debt=1_500_000)
    page = browser.get("/credits/wallet/").content.decode()
    assert "<dt>Debt</dt><dd>1.5</dd>" in page
    assert "<dt>Held</dt><dd>2</dd>" in page


def test_history_goes_on_by_key_at_constant_cost(
    browser: Client, wallet: Wallet, django_assert_max_num_queries
) -> None:
    for number in range(60):
        AIBillingService.grant(wallet, number + 1, reason=f"trial {number}")
    page, seen = browser.get("/credits/wallet/").content.decode(), set()
    while True:
        seen |= set(re.findall(r"trial \d+", page))
        following = re.search(r"\?before=\d+", page)
        if following is None:
            break
        with django_assert_max_num_queries(7):
            page = browser.get(f"/credits/wallet/{following[0]}").content.decode()
    assert len(seen) == 60


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, "²", "0"])
def test_odd_page_key_is_an_ordinary_page(browser: Client, before: str) -> None:
    assert browser.get("/credits/wallet/", {"before": before}).status_code == 200


def test_receipt_has_what_an_accountant_wants(browser: Client, settled: Purchase) -> None:
    page = browser.get(f"/credits/purchases/{settled.reference}/").content.decode()
    for words in (settled.reference, "GHS 80.00", "80 + 20 bonus", "ama@example.com", "card", "Completed"):
        assert words in page


def test_unpaid_purchase_can_be_continued(browser: Client, purchase: Purchase) -> None:
    page = browser.get(f"/credits/purchases/{purchase.reference}/").content.decode()
    assert purchase.authorization_url in page


def test_receipt_of_another_is_not_found(others_browser: Client, settled: Purchase) -> None:
    assert others_browser.get(f"/credits/purchases/{settled.reference}/").status_code == 404


@pytest.mark.parametrize("reference", ["nobody", "%00", "%C3%A9", "x" * 300])
def test_odd_receipt_is_not_found(browser: Client, reference: str) -> None:
    assert browser.get(f"/credits/purchases/{reference}/").status_code == 404


@pytest.mark.parametrize("address", ["/credits/wallet/", "/credits/purchases/x/"])
def test_private_pages_ask_for_a_login(db: None, address: str) -> None:
    assert Client().get(address).headers["Location"] == f"/accounts/login/?next={address}"


def test_log_in_and_out(buyer: User) -> None:
    client = Client()
    answer = client.post("/accounts/login/", {"username": "ama", "password": "ama", "next": "/credits/wallet/"})
    assert answer.headers["Location"] == "/credits/wallet/"
    assert client.post("/accounts/logout/").status_code == 302


def test_login_leads_nowhere_else(buyer: User) -> None:
    form = {"username": "ama", "password": "ama", "next": "https://evil.example/"}
    assert Client().post("/accounts/login/", form).headers["Location"] == "/credits/"


@pytest.mark.parametrize("address", ["/credits/", "/payment/callback", "/credits/wallet/", "/credits/purchases/{}/"])
def test_pages_are_small_plain_and_offline(browser: Client, settled: Purchase, address: str) -> None:
    page = browser.get(address.format(settled.reference)).content.decode()
    style = Path(finders.find("ai_features/pages.css")).stat().st_size
    assert len(page.encode()) + style < WIRE_LIMIT_BYTES
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
    assert not re.search(r'(?:src|href)="https?://(?!127)', page)


def test_names_from_staff_are_escaped(browser: Client, db: None) -> None:
    Package.objects.update(name="<img src=x>")
    assert "<img" not in browser.get("/credits/").content.decode()
