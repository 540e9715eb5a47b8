import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from ai_features.billing import purchases
from ai_features.models import Purchase
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.conftest import CARD

FORM = {"package": "value", "custom_amount": "", "payment_method": "", "key": "k1"}
METHOD = {"payment_method": "mobile_money"}


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


def test_other_choice_on_the_same_page_is_another_purchase(browser: Client, sandbox: PaystackSandbox) -> None:
    """The back button brings a page back with its key."""
    first = browser.post("/credits/", FORM).headers["Location"]
    others = [browser.post("/credits/", FORM | {"package": "starter"}), browser.post("/credits/", FORM | METHOD)]
    assert len({first, *(answer.headers["Location"] for answer in others)}) == 3


def test_amount_left_in_its_field_does_not_stop_a_package(browser: Client, sandbox: PaystackSandbox) -> None:
    browser.post("/credits/", FORM | {"custom_amount": "some money"})
    assert Purchase.objects.get().package_code == "value"


def test_chosen_method_is_the_only_one_at_the_checkout(browser: Client, sandbox: PaystackSandbox) -> None:
    browser.post("/credits/", FORM | METHOD)
    assert sandbox.transaction(Purchase.objects.get().reference)["channels"] == ["mobile_money"]


def test_click_on_a_stale_page_after_a_failure_shows_the_result(browser: Client, sandbox: PaystackSandbox) -> None:
    browser.post("/credits/", FORM)
    Purchase.objects.update(status="failed")
    assert browser.post("/credits/", FORM).headers["Location"].startswith("/payment/callback?")


def test_first_click_still_at_work_keeps_the_key(browser: Client, sandbox: PaystackSandbox, monkeypatch) -> None:
    browser.post("/credits/", FORM)
    Purchase.objects.update(authorization_url="")
    monkeypatch.setattr(purchases, "REPEAT_WAITS_SECONDS", 0.0)
    answer = browser.post("/credits/", FORM)
    assert answer.status_code == 409
    assert 'name="key" value="k1"' in answer.content.decode()


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
        ({"package": ""}, "Choose a package"),
        ({"package": "x\x00"}, "Null characters"),
        ({"package": "custom"}, "Enter the amount"),
        ({"package": "custom", "custom_amount": "0.50"}, "between GHS 1.00"),
        ({"package": "custom", "custom_amount": "NaN"}, "Enter a number"),
        ({"package": "custom", "custom_amount": "-1"}, "between GHS 1.00"),
        ({"package": "custom", "custom_amount": "1e400"}, "no more than"),
        ({"package": "custom", "custom_amount": "1.005"}, "no more than 2 decimal places"),
        ({"payment_method": "cheque"}, "Choose one of"),
        ({"key": ""}, "out of date"),
        ({"key": "a b"}, "out of date"),
        ({"key": "k\x00"}, "Null characters"),
        ({"key": "x" * 65}, "out of date"),
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


def test_buying_needs_a_login_and_keeps_the_choice(db: None) -> None:
    answer = Client().post("/credits/", FORM | METHOD)
    wanted = "/credits/%3Fpackage%3Dvalue%26payment_method%3Dmobile_money"
    assert answer.headers["Location"] == f"/accounts/login/?next={wanted}"


def test_choice_in_the_address_is_made_already(browser: Client) -> None:
    page = browser.get("/credits/", {"package": "custom", "custom_amount": '"><b>', **METHOD}).content.decode()
    assert 'value="&quot;&gt;&lt;b&gt;"' in page
    assert 'value="mobile_money" checked' in page
    assert page.count("card package chosen") == 1


def test_starting_purchases_is_rate_limited(browser: Client, sandbox: PaystackSandbox, settings: Any) -> None:
    settings.AI_CREDITS = {"THROTTLE_RATES": {"purchase": "1/min"}}
    answers = [browser.post("/credits/", FORM | {"key": key}) for key in ("k1", "k2")]
    assert [answer.status_code for answer in answers] == [302, 429]


def test_paystack_is_asked_outside_the_requests_transaction(
    browser: Client, sandbox: PaystackSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A durable transaction inside would raise RuntimeError."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert browser.post("/credits/", FORM).status_code == 302


def test_tax_is_told_before_paying(browser: Client, settings: Any) -> None:
    settings.AI_CREDITS = {"TAXES": [("VAT", "0.15")]}
    page = browser.get("/credits/").content.decode()
    assert "GHS 92.00" in page
    assert "includes VAT 15%, GHS 12.00" in page
    assert "plus VAT 15%" in page


def test_forged_form_is_refused(buyer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(buyer)
    answer = client.post("/credits/", FORM)
    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()
