"""A real browser against a real server, Paystack beside it; nothing in between is simulated."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, sync_playwright

from ai_features.billing import AIBillingService
from app import csp
from paystack_sandbox import PaystackSandbox

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE = {"width": 360, "height": 740}


def log_in(page: Page) -> None:
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("no Chromium on this machine; CI runs these")
    # Playwright keeps an event loop in this thread, which Django would take for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def site(transactional_db: None, live_server: Any, paystack_sandbox: PaystackSandbox, settings: Any) -> str:
    """The site's address; Paystack is the sandbox, and its webhooks reach the site."""
    settings.PAYSTACK_BASE_URL = paystack_sandbox.url
    settings.PAYSTACK_SECRET_KEY = paystack_sandbox.secret_key
    settings.CONTENT_SECURITY_POLICY = csp.policy(paystack_sandbox.url)
    paystack_sandbox.webhook_url = f"{live_server.url}/ai/api/webhooks/paystack/"
    user = User.objects.create_user("demo", "demo@example.com", "demo")
    AIBillingService.grant(user, "45.5", reason="Demo")
    return str(live_server.url)


@pytest.fixture
def page(chromium: Browser, site: str, paystack_sandbox: PaystackSandbox) -> Iterator[Page]:
    """A phone's browser, logged in, on the page with the packages; without JavaScript, which no page needs."""
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{site}/accounts/login/")
    log_in(page)
    page.wait_for_url("**/credits/")
    yield page
    context.close()
    paystack_sandbox.wait_for_webhooks(timeout_seconds=10)
