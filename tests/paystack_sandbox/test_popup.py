"""`/inline.js` on a merchant's page of another origin, in a real browser; its server side without one."""

from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import FrameLocator, Page, expect

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.browsing import BrowserThread, Shop
from tests.paystack_sandbox.conftest import Start

PAGE = """<!doctype html>
<title>Shop</title>
<p id="told"></p>
<button id="buy">Buy</button>
<script src="{sandbox}/v2/inline.js"></script>
<script>
  const told = [];
  const note = (name) => (value) => {{
    told.push([name, value]);
    document.getElementById("told").textContent = told.map((one) => one[0]).join(" ");
  }};
  const callbacks = {{
    onLoad: note("load"), onSuccess: note("success"), onCancel: note("cancel"), onError: note("error"),
  }};
  const sale = {{ key: "pk_test_sandbox", email: "ama@example.com", amount: 8000, currency: "GHS", ref: "popup-1" }};
  document.getElementById("buy").onclick = () => {{ {buy} }};
</script>
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserThread]:
    browser = BrowserThread()
    yield browser
    browser.stop()


def visit(
    browser: BrowserThread, sandbox: PaystackSandbox, buy: str, story: Callable[[Page, FrameLocator], None]
) -> None:
    """Open the shop, press Buy, and go on with the story."""
    with Shop(PAGE.format(sandbox=sandbox.url, buy=buy)) as shop:

        def whole(page: Page) -> None:
            page.goto(shop.url)
            page.get_by_role("button", name="Buy").click()
            story(page, page.frame_locator("iframe[title='Paystack checkout']"))

        browser.browse(whole, script=True)


def pay_by_card(frame: FrameLocator) -> None:
    frame.get_by_label("Card number").fill("4084 0840 8408 4081")
    frame.get_by_label("Expiry").fill("12/30")
    frame.get_by_label("CVV").fill("408")
    frame.get_by_role("button", name="Pay GHS 80.00").click()


def test_resumed_transaction_is_paid_and_told(
    browser: BrowserThread, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    data = start(callback_url="https://shop.example/done")

    def story(page: Page, frame: FrameLocator) -> None:
        expect(page.locator("#told")).to_have_text("load")
        pay_by_card(frame)
        expect(page.locator("#told")).to_have_text("load success")
        expect(page.locator("iframe")).to_have_count(0)
        loaded, paid = (value for _, value in page.evaluate("told"))
        assert loaded["accessCode"] == data["access_code"]
        assert loaded["customer"]["email"] == "ama@example.com"
        assert (paid["reference"], paid["trxref"], paid["status"]) == (data["reference"], data["reference"], "success")
        assert (
            paid["redirecturl"] == f"https://shop.example/done?trxref={data['reference']}&reference={data['reference']}"
        )

    visit(browser, paystack_sandbox, f"new PaystackPop().resumeTransaction('{data['access_code']}', callbacks)", story)
    assert paystack_sandbox.transaction(data["reference"])["status"] == "success"


def test_new_transaction_is_cancelled_and_taken_up_again(
    browser: BrowserThread, paystack_sandbox: PaystackSandbox
) -> None:
    def story(page: Page, frame: FrameLocator) -> None:
        frame.get_by_role("button", name="Cancel payment").click()
        expect(page.locator("#told")).to_have_text("load cancel")
        page.get_by_role("button", name="Buy").click()
        pay_by_card(frame)
        expect(page.locator("#told")).to_have_text("load cancel load success")

    buy = "(window.pop ??= new PaystackPop()).newTransaction({...sale, ...callbacks})"
    visit(browser, paystack_sandbox, buy, story)
    assert paystack_sandbox.transaction("popup-1")["status"] == "success"


def test_checkout_is_a_promise_of_the_transaction(browser: BrowserThread, paystack_sandbox: PaystackSandbox) -> None:
    def story(page: Page, frame: FrameLocator) -> None:
        expect(frame.get_by_role("button", name="Pay GHS 80.00")).to_be_visible()
        assert page.evaluate("window.answer.then((one) => one.getStatus().checkoutUrl)").startswith(
            f"{paystack_sandbox.url}/checkout/"
        )

    buy = "window.answer = new PaystackPop().checkout({...sale, ...callbacks})"
    visit(browser, paystack_sandbox, buy, story)


def test_preloaded_transaction_opens_later_and_can_be_cancelled_by_the_page(
    browser: BrowserThread, paystack_sandbox: PaystackSandbox
) -> None:
    def story(page: Page, frame: FrameLocator) -> None:
        expect(page.locator("iframe")).to_have_count(0)
        page.evaluate("void (window.one = window.open_it())")
        expect(page.locator("#told")).to_have_text("load")
        page.evaluate("window.pop.cancelTransaction(window.one.id)")
        expect(page.locator("#told")).to_have_text("load cancel")
        expect(page.locator("iframe")).to_have_count(0)

    buy = "window.pop = new PaystackPop(); window.open_it = pop.preloadTransaction({...sale, ...callbacks})"
    visit(browser, paystack_sandbox, buy, story)


@pytest.mark.parametrize(
    ("buy", "message"),
    [
        ("new PaystackPop().newTransaction({...sale, key: 'pk_test_other', ...callbacks})", "Invalid key"),
        ("new PaystackPop().newTransaction({...sale, amount: 0, ...callbacks})", "Invalid Amount Sent"),
        ("new PaystackPop().resumeTransaction('nope', callbacks)", "Access code is invalid"),
    ],
)
def test_errors_are_told(browser: BrowserThread, paystack_sandbox: PaystackSandbox, buy: str, message: str) -> None:
    def story(page: Page, frame: FrameLocator) -> None:
        expect(page.locator("#told")).to_have_text("error")
        assert page.evaluate("told[0][1].message") == message

    visit(browser, paystack_sandbox, buy, story)


def test_first_version_of_the_interface(browser: BrowserThread, paystack_sandbox: PaystackSandbox) -> None:
    def story(page: Page, frame: FrameLocator) -> None:
        pay_by_card(frame)
        expect(page.locator("#told")).to_have_text("success")
        assert page.evaluate("told[0][1].reference") == "popup-1"

    buy = "PaystackPop.setup({...sale, callback: note('success'), onClose: note('cancel')}).openIframe()"
    visit(browser, paystack_sandbox, buy, story)


def test_button_in_a_form(browser: BrowserThread, paystack_sandbox: PaystackSandbox) -> None:
    html = (
        f'<form action="/process"><script src="{paystack_sandbox.url}/inline.js" data-key="pk_test_sandbox" '
        'data-email="ama@example.com" data-amount="8000" data-ref="form-1"></script></form>'
    )

    def story(page: Page) -> None:
        page.goto(shop.url)
        page.get_by_role("button", name="Pay 80").click()
        pay_by_card(page.frame_locator("iframe"))
        page.wait_for_url("**/process?reference=form-1")

    with Shop(html) as shop:
        browser.browse(story, script=True)


@pytest.mark.parametrize("path", ["/inline.js", "/v1/inline.js", "/v2/inline.js"])
def test_script_is_there_at_each_of_its_addresses(payer: httpx2.Client, path: str) -> None:
    answer = payer.get(path)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert answer.headers["content-type"].startswith("text/javascript")


def test_popup_takes_no_secret_key(payer: httpx2.Client) -> None:
    answer = payer.post("/checkout/request_inline", json={"key": "sk_test_sandbox", "email": "a@b.co", "amount": 5})
    assert (answer.status_code, answer.json()["message"]) == (401, "Invalid key")


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b'{"key": 5}', b'{"key": "pk_test_sandbox", "amount": {}}'])
def test_popup_refuses_anything_else(payer: httpx2.Client, body: bytes) -> None:
    answer = payer.post("/checkout/request_inline", content=body)
    assert answer.status_code in (400, 401)
    assert answer.json()["status"] is False
