"""The checkout in a real browser, on a phone."""

import re
from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.browsing import BrowserThread
from tests.paystack_sandbox.conftest import Start

Browse = Callable[[Callable[[Page], None]], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserThread]:
    browser = BrowserThread()
    yield browser
    browser.stop()


@pytest.fixture
def browse(browser: BrowserThread) -> Browse:
    """Runs a story with a page of a phone's browser."""
    return browser.browse


def pay_by_card(page: Page, number: str, cvv: str) -> None:
    page.locator("[name=card_number]").fill(number)
    page.locator("[name=expiry]").fill("12/30")
    page.locator("[name=cvv]").fill(cvv)
    page.get_by_role("button", name="Pay GHS 80.00").click()


def test_declined_card_then_pin_and_otp(browse: Browse, start: Start, paystack_sandbox: PaystackSandbox) -> None:
    data = start(callback_url=f"{paystack_sandbox.url}/_sandbox/health")

    def story(page: Page) -> None:
        page.goto(data["authorization_url"])
        pay_by_card(page, "4084 0800 0000 5408", "001")
        expect(page.get_by_role("alert")).to_contain_text("Declined")
        pay_by_card(page, "5060 6666 6666 6666 666", "123")
        page.get_by_label("PIN").fill("1234")
        page.get_by_role("button", name="Authorize").click()
        page.get_by_label("OTP").fill("123456")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"**/_sandbox/health?trxref={data['reference']}&reference={data['reference']}")
        assert paystack_sandbox.transaction(data["reference"])["status"] == "success"

    browse(story)


def test_only_field_and_wrong_field_have_the_caret(browse: Browse, start: Start) -> None:
    def story(page: Page) -> None:
        page.goto(start()["authorization_url"])
        pay_by_card(page, "4084", "123")
        expect(page.get_by_label("Card number")).to_be_focused()
        pay_by_card(page, "5060 6666 6666 6666 666", "123")
        expect(page.get_by_label("PIN")).to_be_focused()
        page.keyboard.type("1234")
        page.keyboard.press("Enter")
        expect(page.get_by_label("OTP")).to_be_focused()

    browse(story)


def test_long_merchant_name_is_read_whole_beside_a_large_amount(browse: Browse) -> None:
    with PaystackSandbox(settings=Settings(merchant_name="Accra Shea Butter")) as sandbox:
        body = {"email": "ama@example.com", "amount": 12345678}
        headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
        made = httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers).json()["data"]

        def story(page: Page) -> None:
            page.goto(made["authorization_url"])
            name = page.locator(".merchant")
            assert name.evaluate(
                "one => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight + 1"
            )

        browse(story)


def test_mobile_money_approved_on_the_simulated_phone(browse: Browse, start: Start) -> None:
    def story(page: Page) -> None:
        page.goto(start()["authorization_url"])
        page.get_by_role("link", name="Mobile money").click()
        page.get_by_role("radio", name="Telecel").check()
        page.get_by_label("Phone number").fill("020 123 4567")
        page.get_by_role("button", name="Pay GHS 80.00").click()
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Payment successful")).to_be_visible()

    browse(story)


def test_cancel_and_come_back(browse: Browse, start: Start) -> None:
    def story(page: Page) -> None:
        page.goto(start()["authorization_url"])
        page.get_by_role("button", name="Cancel payment").click()
        page.get_by_role("link", name="Back to the checkout").click()
        expect(page.get_by_role("button", name="Pay GHS 80.00")).to_be_visible()

    browse(story)


def test_script_shapes_what_is_typed_and_sees_the_phone_answer(
    browser: BrowserThread, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()

    def story(page: Page) -> None:
        page.goto(data["authorization_url"])
        page.get_by_label("Card number").press_sequentially("5060666666666666666")
        page.get_by_label("Expiry").press_sequentially("1230")
        expect(page.get_by_label("Card number")).to_have_value("5060 6666 6666 6666 666")
        expect(page.get_by_label("Expiry")).to_have_value("12 / 30")
        expect(page.get_by_text("Verve")).to_be_visible()
        page.get_by_role("link", name="Mobile money").click()
        page.get_by_label("Phone number").fill("0241234567")
        page.get_by_role("button", name="Pay GHS 80.00").click()
        expect(page.locator("time")).to_have_text(re.compile("^2:5[0-9]$"))
        paystack_sandbox.pay(data["reference"], channel="mobile_money", outcome="approve")
        expect(page.get_by_role("heading", name="Payment successful")).to_be_visible()

    browser.browse(story, script=True)


@pytest.mark.parametrize("channel", ["card", "mobile_money", "bank_transfer", "ussd"])
def test_nothing_is_wider_than_the_phone(browse: Browse, start: Start, channel: str) -> None:
    url = start(amount=123456789, email="a" * 60 + "@example.com")["authorization_url"]

    def story(page: Page) -> None:
        page.goto(f"{url}?channel={channel}")
        boxes = [element.bounding_box() for element in page.locator("main *").all()]
        assert max(box["x"] + box["width"] for box in boxes if box) <= 360

    browse(story)
