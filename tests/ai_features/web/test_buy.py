import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from ai_features.models import Purchase
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.conftest import CARD

FORM = {"package": "value", "custom_amount": "", "payment_method": "", "key": "k1"}


def test_everybody_sees_what_is_for_sale(db: None) -> None:
    page = Client().get("/credits/").content.decode()
    assert "GHS 80.00" in page
    assert "Log in to buy" in page


def test_choosing_a_package_leads_to_the_checkout(browser: Client, sandbox: PaystackSandbox) -> None:
    answer = browser.post("/credits/", FORM)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{sandbox.url}/checkout/")
    callback = sandbox.transaction(Purchase.objects.get().reference)["callback_url"]
    assert callback == "http://testserver/payment/callback"


def test_double_click_is_one_purchase(browser: Client, sandbox: PaystackSandbox) -> None:
    first, second = (browser.post("/credits/", FORM).headers["Location"] for _ in range(2))
    assert first == second
    assert Purchase.objects.count() == 1


def test_click_on_a_stale_page_after_paying_shows_the_result(browser: Client, sandbox: PaystackSandbox) -> None:
    browser.post("/credits/", FORM)
    reference = Purchase.objects.get().reference
    sandbox.pay(reference, channel="card", card=CARD)
    browser.get("/payment/callback", {"reference": reference})
    assert browser.post("/credits/", FORM).headers["Location"] == f"/payment/callback?reference={reference}"


def test_each_drawing_has_a_key_of_its_own_and_is_not_stored(browser: Client) -> None:
    pages = [browser.get("/credits/") for _ in range(2)]
    keys = {re.search(r'name="key" value="(\w+)"', page.content.decode())[1] for page in pages}
    assert len(keys) == 2
    assert "no-store" in pages[0].headers["Cache-Control"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"package": "nonsense"}, "no such package"),
        ({"package": ""}, "required"),
        ({"package": "custom"}, "Enter the amount"),
        ({"package": "custom", "custom_amount": "0.50"}, "between GHS 1.00"),
        ({"package": "custom", "custom_amount": "NaN"}, "Enter a number"),
        ({"payment_method": "cheque"}, "Choose one of"),
        ({"key": ""}, "required"),
        ({"key": "a b\x00"}, "valid value"),
        ({"key": "x" * 65}, "at most 64"),
    ],
)
def test_unusable_choice_is_explained_on_the_page(browser: Client, sandbox, change: dict[str, str], words: str) -> None:
    answer = browser.post("/credits/", FORM | change)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Purchase.objects.exists()


def test_buyer_without_email_is_told(browser: Client, sandbox: PaystackSandbox) -> None:
    User.objects.update(email="")
    assert "valid e-mail address" in browser.post("/credits/", FORM).content.decode()


def test_paystack_down_keeps_the_form_filled_in(browser: Client, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    answer = browser.post("/credits/", FORM | {"package": "custom", "custom_amount": "12.34"})
    assert answer.status_code == 503
    assert 'value="12.34"' in answer.content.decode()
    assert "cannot be reached" in answer.content.decode()


def test_site_without_a_key_says_so(browser: Client, settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY = ""
    assert browser.post("/credits/", FORM).status_code == 503


def test_buying_needs_a_login(db: None) -> None:
    answer = Client().post("/credits/", FORM)
    assert answer.headers["Location"] == "/accounts/login/?next=/credits/"


def test_forged_form_is_refused(buyer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(buyer)
    assert client.post("/credits/", FORM).status_code == 403
