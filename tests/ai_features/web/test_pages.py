import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.settlement import settle
from ai_features.models import Package, Purchase, Wallet
from tests.paystack_facts import facts

WIRE_LIMIT_BYTES = 30_000


def wire_bytes(page: str) -> int:
    return len(page.encode()) + Path(finders.find("ai_features/pages.css")).stat().st_size


@pytest.fixture
def settled(purchase: Purchase) -> Purchase:
    return settle(purchase.reference, facts(purchase), settled_by="webhook")


def test_wallet_shows_balance_expiry_and_history(browser: Client, settled: Purchase) -> None:
    page = browser.get("/credits/wallet/").content.decode()
    for words in (
        "<dd>100</dd>",
        "100 credits on",
        "+20",
        "+80",
        "GHS 80.00",
        f"/credits/purchases/{settled.reference}/",
    ):
        assert words in page


def test_wallet_says_what_is_left_to_expire_and_not_what_was_bought(browser: Client, settled: Purchase) -> None:
    AIBillingService.spend(settled.wallet, 30)
    (expiring,) = re.findall(r"<li>(\S+) credits on", browser.get("/credits/wallet/").content.decode())
    assert expiring == "70"


def test_what_expires_on_one_day_is_one_line(browser: Client, wallet: Wallet) -> None:
    noon = timezone.localtime().replace(hour=12, minute=0) + timedelta(days=30)
    for hour, amount in enumerate((1, 2, 4)):
        AIBillingService.grant(wallet, amount, reason="trial", expires_at=noon + timedelta(hours=hour))
    AIBillingService.grant(wallet, 8, reason="trial", expires_at=noon + timedelta(days=1))
    page = browser.get("/credits/wallet/").content.decode()
    assert re.findall(r"<li>(\S+) credits on", page) == ["7", "8"]


def test_credits_past_their_time_are_on_no_page(browser: Client, wallet: Wallet, time_machine) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    AIBillingService.grant(wallet, 5, reason="trial", expires_at=timezone.now() + timedelta(hours=1))
    AIBillingService.grant(wallet, 2, reason="trial")
    time_machine.shift(timedelta(hours=1))
    assert ">2 credits</a>" in browser.get("/credits/").content.decode()
    assert "<dd>2</dd>" in browser.get("/credits/wallet/").content.decode()


def test_head_of_the_page_says_what_can_be_spent(browser: Client, wallet: Wallet, time_machine) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    AIBillingService.grant(wallet, 5, reason="trial")
    AIBillingService.reserve(wallet, 2, ttl_seconds=60)
    assert ">3 credits</a>" in browser.get("/credits/").content.decode()
    time_machine.shift(timedelta(minutes=2))
    assert ">5 credits</a>" in browser.get("/credits/").content.decode()


def test_empty_wallet_is_an_ordinary_page(browser: Client) -> None:
    assert "Nothing yet" in browser.get("/credits/wallet/").content.decode()


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


def test_every_purchase_can_be_found_again(browser: Client, purchase: Purchase) -> None:
    for number in range(25):
        purchase.pk, purchase.reference = None, f"AI-CREDIT-1-{number:02}"
        purchase.save(force_insert=True)
    address, seen = "/credits/wallet/", set()
    while address:
        page = browser.get(address).content.decode()
        seen |= set(re.findall(r"AI-CREDIT-1-\d\d", page))
        following = re.search(r"\?purchases_before=\d+", page)
        address = f"/credits/wallet/{following[0]}" if following else ""
    assert len(seen) == 25


@pytest.mark.parametrize("name", ["before", "purchases_before"])
@pytest.mark.parametrize("key", ["", "x", "-1", "9" * 30, "²", "0"])
def test_odd_page_key_is_an_ordinary_page(browser: Client, name: str, key: str) -> None:
    assert browser.get("/credits/wallet/", {name: key}).status_code == 200


def test_receipt_has_what_an_accountant_wants(browser: Client, settled: Purchase) -> None:
    page = browser.get(f"/credits/purchases/{settled.reference}/").content.decode()
    for words in (
        settled.reference,
        "GHS 80.00",
        "80 + 20 bonus",
        "ama@example.com",
        "Card",
        "Completed",
        "Value pack",
    ):
        assert words in page


def test_receipt_has_a_line_for_each_tax(browser: Client, purchase: Purchase) -> None:
    Purchase.objects.update(tax_lines=[{"name": "<i>VAT", "rate": "0.025", "amount_minor": 200}])
    page = browser.get(f"/credits/purchases/{purchase.reference}/").content.decode()
    assert "&lt;i&gt;VAT 2.5%" in page
    assert "GHS 2.00" in page


@pytest.mark.parametrize(
    ("status", "address", "words"),
    [
        ("failed", "https://checkout.paystack.com/x", "says: <q>&lt;b&gt;no</q>"),
        ("failed", "", "could not be opened"),
        ("abandoned", "", "not paid in time"),
        ("review", "", "Our staff is looking at it"),
    ],
)
def test_receipt_says_why_nothing_was_added(
    browser: Client, purchase: Purchase, status: str, address: str, words: str
) -> None:
    Purchase.objects.update(status=status, status_reason="<b>no", authorization_url=address)
    page = browser.get(f"/credits/purchases/{purchase.reference}/").content.decode()
    assert words in page
    assert page.count("&lt;b&gt;no") == (1 if address else 0)


def test_receipt_of_a_deleted_package_shows_its_code(browser: Client, settled: Purchase) -> None:
    Package.objects.all().delete()
    page = browser.get(f"/credits/purchases/{settled.reference}/").content.decode()
    assert "<td>value</td>" in page


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


@pytest.mark.parametrize(
    "address",
    [
        "/credits/",
        "/payment/callback",
        "/payment/callback?reference={}",
        "/credits/wallet/",
        "/credits/purchases/{}/",
        "/accounts/login/",
        "/nowhere/",
    ],
)
def test_pages_are_small_plain_and_offline(browser: Client, settled: Purchase, address: str) -> None:
    page = browser.get(address.format(settled.reference), follow=True).content.decode()
    assert wire_bytes(page) < WIRE_LIMIT_BYTES
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)
    assert '<html lang="en">' in page


def test_longest_wallet_is_small(browser: Client, settled: Purchase) -> None:
    for number in range(40):
        AIBillingService.grant(settled.wallet, "1234567.123456", reason="A reason of ordinary length, ticket 4711")
        settled.pk, settled.reference = None, f"AI-CREDIT-1700000001-0123456789abcd{number:02}"
        settled.save(force_insert=True)
    assert wire_bytes(browser.get("/credits/wallet/").content.decode()) < WIRE_LIMIT_BYTES


@pytest.mark.parametrize(
    ("address", "count"), [("/credits/", 4), ("/credits/wallet/", 7), ("/credits/purchases/{}/", 7)]
)
def test_pages_cost_few_queries(
    browser: Client, settled: Purchase, address: str, count: int, django_assert_max_num_queries
) -> None:
    with django_assert_max_num_queries(count):
        browser.get(address.format(settled.reference))


@pytest.mark.parametrize("address", ["/credits/", "/payment/callback", "/payment/callback/"])
def test_pages_that_ask_paystack_stay_out_of_atomic_requests(address: str) -> None:
    assert "default" in resolve(address).func._non_atomic_requests


def test_host_may_log_in_elsewhere(browser: Client, settings) -> None:
    settings.ROOT_URLCONF, settings.LOGIN_URL = "tests.ai_features.web.only_pages", "/enter/"
    assert 'href="/enter/?next=/credits/"' in Client().get("/credits/").content.decode()
    assert "Log out" not in browser.get("/credits/").content.decode()


def test_login_page_does_not_lead_to_itself(db: None) -> None:
    assert 'href="/accounts/login' not in Client().get("/accounts/login/?next=/credits/").content.decode()


def test_names_from_staff_are_escaped(browser: Client, db: None) -> None:
    Package.objects.update(name="<img src=x>")
    assert "<img" not in browser.get("/credits/").content.decode()
