"""Text from outside that wants to be a header, an address, a log line, or a script."""

import csv
import io
import re
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from rest_framework.test import APIClient

from ai_features import checks
from ai_features.billing import AIBillingService, notices
from ai_features.billing.accounts import reports
from ai_features.models import AccountItem, LedgerEntry, Package, Purchase, Refund, Wallet
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.test_webhook import deliver
from tests.paystack_facts import charge_success

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "http:///evil.example",
        "http:evil.example",
        "http://testserver@evil.example/",
        "http://testserver.evil.example/",
        "http://evil.example\\@testserver/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://testserver/\r\nSet-Cookie: a=b",
        "http://testserver/\tx",
        "http://test\nserver/",
        "\x00http://testserver/",
        "/relative",
    ],
)
def test_callback_url_leads_nowhere_else(api: APIClient, sandbox: PaystackSandbox, target: str) -> None:
    body = {"package": "value", "callback_url": target}
    answer = api.post("/ai/api/credits/purchase/", body, format="json")
    assert answer.status_code == 422
    assert answer.json()["error"] in ("callback_url_refused", "invalid_request")
    assert not Purchase.objects.exists()


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
@pytest.mark.parametrize("page", ["/accounts/login/", "/admin/login/"])
def test_next_leads_nowhere_else(buyer: User, page: str, target: str) -> None:
    buyer.is_staff = True
    buyer.save()
    form = {"username": "ama", "password": "ama", "next": target}
    answer = Client().post(f"{page}?{urlencode({'next': target})}", form)
    assert answer.status_code == 302
    assert re.match(r"/(?![/\\])", answer.headers["Location"])


@pytest.mark.parametrize("host", ["evil.example", "testserver:80@evil.example", "testserver\r\nX: y"])
def test_foreign_host_header_is_refused(db: None, host: str) -> None:
    assert Client(HTTP_HOST=host).get("/credits/").status_code == 400
    for headers in ({}, {"HTTP_AUTHORIZATION": "Token x"}):
        answer = Client(HTTP_HOST=host, **headers).get("/ai/api/credits/balance/")
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


@pytest.mark.parametrize("address", ["/{}", "/ai/{}", "/credits/purchases/{}/", "/payment/callback?reference={}"])
def test_enormous_address_is_no_500(db: None, address: str) -> None:
    assert Client().get(address.format("a" * 60_000)).status_code in (200, 400, 404)


@pytest.mark.parametrize("number", ["9" * 4400, "9" * 30, "-1", "x", "%00"])
@pytest.mark.parametrize("page", ["purchase/{}/refund/", "refund/{}/retry/", "reviewitem/{}/decide/"])
def test_impossible_row_number_is_a_404(admin_client: Client, page: str, number: str) -> None:
    assert admin_client.get(f"/admin/ai_features/{page.format(number)}").status_code == 404


@pytest.mark.parametrize("query", ["status__exact=%00", "created_at__year=99999", "created_at__year=0"])
@pytest.mark.parametrize("model", ["purchase", "ledgerentry", "webhookevent", "wallet", "refund", "reviewitem"])
def test_filter_that_no_database_knows_is_no_500(admin_client: Client, model: str, query: str) -> None:
    assert admin_client.get(f"/admin/ai_features/{model}/?{query}").status_code == 302


@pytest.mark.parametrize("user", ["x", "\0", "9" * 4400])
def test_grant_to_what_is_no_user_is_refused(admin_client: Client, user: str) -> None:
    assert admin_client.get("/admin/ai_features/wallet/grant/", {"user": user}).status_code == 200
    answer = admin_client.post("/admin/ai_features/wallet/grant/", {"user": user, "credits": 1, "reason": "x"})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not LedgerEntry.objects.exists()


def test_line_break_in_a_reason_is_refused_in_words(admin_client: Client, buyer: User) -> None:
    form = {"user": buyer.pk, "credits": 1, "reason": "two\nlines", "key": "k"}
    page = admin_client.post("/admin/ai_features/wallet/grant/", form).content.decode()
    assert "printable" in page
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize("reference", ["=1+1", "-2-3", "+4", "@SUM"])
def test_spreadsheet_calculates_no_reference(db: None, reference: str) -> None:
    today = date(2026, 11, 3)
    moment = datetime(2026, 11, 3, 12, tzinfo=UTC)
    refund = Refund.objects.create(
        reference=reference, status="processed", amount_minor=3000, currency="GHS", asked_at=moment, ended_at=moment
    )
    AccountItem.objects.create(day=today, of_day=today, kind="refund", currency="GHS", amount_minor=3000, refund=refund)
    file = io.StringIO()
    reports.write_items_csv(reports.items(today, today), file)
    assert [row["reference"] for row in csv.DictReader(io.StringIO(file.getvalue()))] == [f"'{reference}"]


def test_line_break_in_a_query_makes_no_header(db: None) -> None:
    query = urlencode({"reference": "a\r\nSet-Cookie: evil=1", "trxref": "\r\n\r\n<script>"})
    answer = Client(HTTP_ACCEPT="text/html").get(f"/ai/api/credits/verify/?{query}")
    assert answer.status_code == 302
    assert not set("\r\n<") & set(answer.headers["Location"])
    assert "evil" not in answer.cookies


@pytest.mark.parametrize("email", ["ama@example.com\nBcc: all@example.com", "ama@example.com\r\n\r\nHi"])
def test_line_break_in_an_address_reaches_nobody(api: APIClient, buyer: User, sandbox: Any, email: str) -> None:
    User.objects.filter(pk=buyer.pk).update(email=email)
    answer = api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json")
    assert (answer.status_code, answer.json()["error"]) == (422, "email_unusable")


def test_line_break_in_the_merchants_name_is_refused_by_check(settings: Any) -> None:
    settings.AI_CREDITS = {"MERCHANT_NAME": "Shop\r\nBcc: all@example.com"}
    assert "MERCHANT_NAME" in " ".join(problem.msg for problem in checks.unusable_settings(None))


def test_line_break_in_a_subject_sends_nothing(buyer: User) -> None:
    with pytest.raises(ValueError, match="Header values"):
        notices.send_notice.call(buyer.email, "Credits\r\nBcc: all@example.com", "Hi")
    assert mail.outbox == []


@pytest.fixture
def marked(purchase: Purchase, wallet: Wallet, buyer: User) -> Purchase:
    """Everything that anybody outside can put into our database says SCRIPT."""
    Package.objects.update(name=SCRIPT)
    AIBillingService.grant(wallet, 1, reason=SCRIPT)
    AIBillingService.spend(wallet, "0.5", feature="", metadata={SCRIPT: SCRIPT})
    deliver(charge_success(purchase, gateway_response=SCRIPT, channel=SCRIPT[:40], metadata={"a": SCRIPT}))
    User.objects.filter(pk=buyer.pk).update(first_name=SCRIPT[:150], username=SCRIPT[:150])
    Purchase.objects.update(status_reason=SCRIPT, package_code=SCRIPT[:40], tax_lines=[tax(SCRIPT)])
    purchase.refresh_from_db()
    return purchase


def tax(name: str) -> dict[str, Any]:
    return {"name": name, "rate": "0.15", "amount_minor": 1200}


def assert_harmless(page: str) -> None:
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("status", ["completed", "failed", "pending", "review"])
@pytest.mark.parametrize(
    "address", ["/credits/", "/credits/wallet/", "/credits/purchases/{}/", "/payment/callback?reference={}"]
)
def test_pages_escape_what_came_from_outside(browser: Client, marked: Purchase, address: str, status: str) -> None:
    Purchase.objects.update(status=status)
    page = browser.get(address.format(marked.reference)).content.decode()
    assert_harmless(page)
    assert "</html>" in page


@pytest.mark.parametrize("query", ["package", "custom_amount", "payment_method", "next", "reference"])
def test_pages_escape_the_query(browser: Client, marked: Purchase, query: str) -> None:
    for address in ("/credits/", "/credits/wallet/", "/payment/callback", "/accounts/login/", "/nowhere/"):
        assert_harmless(browser.get(address, {query: SCRIPT}, follow=True).content.decode())


def test_admin_escapes_what_came_from_outside(admin_client: Client, marked: Purchase) -> None:
    for model in ("purchase", "wallet", "ledgerentry", "webhookevent", "package"):
        rows = f"/admin/ai_features/{model}/"
        page = admin_client.get(rows).content.decode()
        assert_harmless(page)
        for row in set(re.findall(rf'href="({rows}\d+/change/)', page)):
            assert_harmless(admin_client.get(row).content.decode())


def test_json_is_never_taken_for_a_page(api: APIClient, marked: Purchase) -> None:
    answer = api.get("/ai/api/transactions/")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
