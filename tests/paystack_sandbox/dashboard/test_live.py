"""The dashboard in a real browser: it updates by itself, and does not get in the reader's way."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.browsing import BrowserThread
from tests.paystack_sandbox.conftest import Start


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserThread]:
    browser = BrowserThread()
    yield browser
    browser.stop()


def test_payment_appears_and_is_paid_while_one_looks(
    browser: BrowserThread, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    def story(page: Page) -> None:
        page.goto(paystack_sandbox.url)
        expect(page.get_by_text("No transaction yet")).to_be_visible()
        start(reference="order-7")
        page.get_by_role("link", name="order-7").click()
        expect(page.get_by_role("link", name="Open the checkout")).to_be_visible()
        paystack_sandbox.pay("order-7")
        expect(page.get_by_text("Successfully paid with card")).to_be_visible()
        expect(page.get_by_role("link", name="Open the checkout")).to_have_count(0)

    browser.browse(story, script=True)


def test_what_is_typed_and_opened_stays(
    browser: BrowserThread, payer: httpx2.Client, paid: str, paystack_sandbox: PaystackSandbox
) -> None:
    def story(page: Page) -> None:
        page.goto(paystack_sandbox.url + paid)
        page.get_by_text("Metadata").click()
        page.locator("summary", has_text="Refund").click()
        page.get_by_label("Amount").first.fill("12.34")
        payer.post("/_sandbox/refunds", json={"transaction": "order-7", "amount": 2000})
        expect(page.locator("#state")).to_have_text("reversal pending")
        expect(page.get_by_label("Amount").first).to_have_value("12.34")
        expect(page.locator("#facts pre").first).to_be_visible()
        page.get_by_role("button", name="Refund").click()
        expect(page.get_by_text("GHS 12.34")).to_be_visible()

    browser.browse(story, script=True)


def test_forms_work_without_script(browser: BrowserThread, paid: str, paystack_sandbox: PaystackSandbox) -> None:
    def story(page: Page) -> None:
        page.goto(paystack_sandbox.url + paid)
        page.get_by_text("Dispute it").click()
        page.get_by_label("Category").select_option("fraud")
        page.get_by_role("button", name="Raise a dispute").click()
        expect(page.get_by_text("awaiting merchant feedback")).to_be_visible()
        page.get_by_role("link", name="Faults").click()
        page.get_by_role("button", name="Unruly webhooks").click()
        expect(page.get_by_text("faults on")).to_be_visible()

    browser.browse(story)


def test_stopped_sandbox_is_told(browser: BrowserThread) -> None:
    with PaystackSandbox() as sandbox:

        def story(page: Page) -> None:
            page.goto(sandbox.url)
            sandbox.stop()
            expect(page.get_by_text("no answer")).to_be_visible()

        browser.browse(story, script=True)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_screen(
    browser: BrowserThread, start: Start, paystack_sandbox: PaystackSandbox, width: int
) -> None:
    start(reference="r" * 100, email="a" * 60 + "@example.com", amount=999999999, metadata={"a": "x" * 3000})
    transaction_id = paystack_sandbox.pay("r" * 100)["id"]
    paths = ("/", f"/dashboard/transactions/{transaction_id}", "/dashboard/customers", "/dashboard/webhooks",
             "/dashboard/webhooks/1", "/dashboard/requests", "/dashboard/faults", "/dashboard/clock")  # fmt: skip

    def story(page: Page) -> None:
        page.set_viewport_size({"width": width, "height": 740})
        for path in paths:
            page.goto(paystack_sandbox.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path

    browser.browse(story, script=True)
