"""The Content-Security-Policy in a real browser, with JavaScript on: nothing is blocked that a page needs."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from ai_features.models import Purchase
from paystack_sandbox import PaystackSandbox
from tests.browser.conftest import log_in


def is_complaint(message: ConsoleMessage) -> bool:
    """The admin names no icon, so browsers ask for one where there is none."""
    return message.type == "error" and not message.location["url"].endswith("/favicon.ico")


@pytest.fixture
def watched(chromium: Browser, site: str) -> Iterator[tuple[Page, list[str]]]:
    """A page with scripts on, logged in as staff, and every complaint in its console."""
    User.objects.filter(username="demo").update(is_staff=True, is_superuser=True)
    context = chromium.new_context()
    page, complaints = context.new_page(), []
    page.set_default_timeout(20_000)
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.goto(f"{site}/accounts/login/")
    log_in(page)
    page.wait_for_url("**/credits/")
    yield page, complaints
    context.close()


def test_our_pages_break_no_policy(watched: tuple[Page, list[str]], site: str, sandbox: PaystackSandbox) -> None:
    page, complaints = watched
    page.get_by_role("button", name="Buy Value pack").click()
    page.wait_for_url(f"{sandbox.url}/checkout/**")
    reference = Purchase.objects.get().reference
    sandbox.pay(reference, channel="bank_transfer")
    for path in (f"/payment/callback?reference={reference}", f"/credits/purchases/{reference}/", "/credits/wallet/"):
        page.goto(f"{site}{path}")
        expect(page.get_by_role("heading").first).to_be_visible()
    assert complaints == []


def test_api_page_works_under_the_policy(watched: tuple[Page, list[str]], site: str) -> None:
    page, complaints = watched
    page.goto(f"{site}/ai/api/docs/")
    page.get_by_text("/ai/api/credits/balance/").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text('"balance": 45.5').first).to_be_visible()
    assert complaints == []


def test_admin_works_under_the_policy(watched: tuple[Page, list[str]], site: str) -> None:
    page, complaints = watched
    page.goto(f"{site}/admin/")
    for name in ("package", "purchase", "wallet", "ledgerentry", "webhookevent"):
        page.goto(f"{site}/admin/ai_features/{name}/")
    page.goto(f"{site}/admin/ai_features/package/add/")
    page.get_by_label("Name").fill("Big pack")
    page.goto(f"{site}/admin/ai_features/wallet/grant/")
    page.goto(f"{site}/admin/auth/user/{User.objects.get(username='demo').pk}/change/")
    page.locator("a", has_text="Today").first.click()
    assert complaints == []


def test_script_that_got_into_a_page_does_not_run(watched: tuple[Page, list[str]], site: str) -> None:
    page, complaints = watched
    page.evaluate("document.body.innerHTML = '<img src=x onerror=\"window.ran = true\">'")
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in complaint for complaint in complaints)
