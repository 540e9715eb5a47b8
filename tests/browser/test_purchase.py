import re

import pytest
from playwright.sync_api import Page, expect

from ai_features.models import LedgerEntry, Purchase
from paystack_sandbox import PaystackSandbox
from tests.browser.conftest import PHONE, log_in

DONE = "100 credits added! New balance: 145.5"


@pytest.fixture
def checkout(page: Page, paystack_sandbox: PaystackSandbox) -> Page:
    """On Paystack's page, to pay for the Value pack."""
    page.get_by_role("button", name="Buy Value pack").click()
    page.wait_for_url(f"{paystack_sandbox.url}/checkout/**")
    return page


def pay_by_card(page: Page, number: str, cvv: str) -> None:
    page.goto(re.sub(r"[?#].*", "", page.url) + "?channel=card")
    page.locator("[name=card_number]").fill(number)
    page.locator("[name=expiry]").fill("12/30")
    page.locator("[name=cvv]").fill(cvv)
    page.get_by_role("button", name="Pay GHS 80.00").click()


def give(page: Page, field: str, value: str) -> None:
    page.locator(f"[name={field}]").fill(value)
    page.locator(f"[name={field}]").press("Enter")


def test_card_without_steps(checkout: Page) -> None:
    pay_by_card(checkout, "4084084084084081", "408")
    expect(checkout.get_by_role("heading", name=DONE)).to_be_visible()
    assert "/payment/callback?trxref=" in checkout.url


def test_card_with_pin_and_otp(checkout: Page) -> None:
    pay_by_card(checkout, "5060666666666666666", "123")
    give(checkout, "pin", "1234")
    give(checkout, "otp", "123456")
    expect(checkout.get_by_role("heading", name=DONE)).to_be_visible()


def test_declined_card_then_another_on_the_same_page(checkout: Page, paystack_sandbox: PaystackSandbox) -> None:
    pay_by_card(checkout, "4084080000005408", "001")
    expect(checkout.get_by_role("alert")).to_be_visible()
    assert checkout.url.startswith(paystack_sandbox.url)
    pay_by_card(checkout, "4084084084084081", "408")
    expect(checkout.get_by_role("heading", name=DONE)).to_be_visible()


def test_mobile_money_approved_late(checkout: Page, site: str) -> None:
    checkout.goto(checkout.url + "?channel=mobile_money")
    checkout.locator("[name=phone]").fill("0241234567")
    checkout.get_by_role("button", name="Pay GHS 80.00").click()
    expect(checkout.get_by_role("button", name="Approve", exact=True)).to_be_visible()
    phone = checkout.context.new_page()
    phone.goto(f"{site}/payment/callback?reference={Purchase.objects.get().reference}")
    expect(phone.get_by_role("heading", name="We are waiting for your payment")).to_be_visible()
    checkout.get_by_role("button", name="Approve", exact=True).click()
    # The page that waits finds out by itself.
    expect(phone.get_by_role("heading", name=DONE)).to_be_visible()


def test_cancel_charges_nothing_and_leads_back_to_the_shop(checkout: Page, site: str) -> None:
    checkout.get_by_role("button", name="Cancel payment").or_(
        checkout.get_by_role("link", name="Cancel payment")
    ).first.click()
    checkout.wait_for_url(f"{site}/credits/**")
    assert Purchase.objects.get().status == "pending"
    assert LedgerEntry.objects.count() == 1


def test_back_button_and_another_click_pays_once(checkout: Page, paystack_sandbox: PaystackSandbox) -> None:
    checkout.go_back()
    checkout.get_by_role("button", name="Buy Value pack").click()
    checkout.wait_for_url(f"{paystack_sandbox.url}/checkout/**")
    pay_by_card(checkout, "4084084084084081", "408")
    expect(checkout.get_by_role("heading", name=DONE)).to_be_visible()
    assert Purchase.objects.filter(status="completed").count() == 1


def test_back_button_after_paying_buys_nothing_twice(checkout: Page, site: str) -> None:
    pay_by_card(checkout, "4084084084084081", "408")
    expect(checkout.get_by_role("heading", name=DONE)).to_be_visible()
    checkout.go_back()
    checkout.goto(f"{site}/credits/wallet/")
    checkout.get_by_role("link", name="100 credits").click()
    expect(checkout.get_by_role("heading", name="Receipt")).to_be_visible()
    assert Purchase.objects.count() == 1


def test_buying_again_is_a_second_purchase(checkout: Page, site: str) -> None:
    pay_by_card(checkout, "4084084084084081", "408")
    expect(checkout.get_by_role("heading", name=DONE)).to_be_visible()
    checkout.goto(f"{site}/credits/")
    checkout.get_by_role("button", name="Buy Starter").click()
    checkout.wait_for_url("**/checkout/**")
    assert Purchase.objects.count() == 2


def test_enter_in_the_amounts_field_buys_that_amount(page: Page, paystack_sandbox: PaystackSandbox) -> None:
    page.get_by_label("Card", exact=True).check()
    page.get_by_label("Amount in GHS").fill("12.34")
    page.get_by_label("Amount in GHS").press("Enter")
    page.wait_for_url(f"{paystack_sandbox.url}/checkout/**")
    bought = Purchase.objects.get()
    assert (bought.package_code, bought.amount_minor, bought.payment_method) == ("custom", 1234, "card")


def test_webhook_alone_brings_the_credits(checkout: Page, paystack_sandbox: PaystackSandbox) -> None:
    """The tab is closed before the redirect."""
    reference = Purchase.objects.get().reference
    checkout.close()
    paystack_sandbox.pay(reference, channel="bank_transfer")
    paystack_sandbox.wait_for_webhooks(timeout_seconds=10)
    settled = Purchase.objects.get()
    assert (settled.status, settled.settled_by) == ("completed", "webhook")


def test_every_page_fits_a_phone(checkout: Page, site: str) -> None:
    bought = Purchase.objects.get()
    Purchase.objects.update(status="failed", status_reason="LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED")
    result, receipt = f"/payment/callback?reference={bought.reference}", f"/credits/purchases/{bought.reference}/"
    for path in ("/credits/", "/credits/wallet/", result, receipt, "/payment/callback", "/nowhere/"):
        checkout.goto(f"{site}{path}")
        assert checkout.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_log_out_and_back_to_the_result(checkout: Page, site: str, paystack_sandbox: PaystackSandbox) -> None:
    """The buyer comes back in a browser that does not know them."""
    reference = Purchase.objects.get().reference
    checkout.goto(f"{site}/credits/")
    checkout.get_by_role("button", name="Log out").click()
    paystack_sandbox.pay(reference, channel="bank_transfer")
    checkout.goto(f"{site}/payment/callback?trxref={reference}&reference={reference}")
    expect(checkout.get_by_role("heading", name="Thank you")).to_be_visible()
    checkout.get_by_role("main").get_by_role("link", name="Log in").click()
    log_in(checkout)
    expect(checkout.get_by_role("heading", name=DONE)).to_be_visible()
