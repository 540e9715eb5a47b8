"""The hosted page as a browser without JavaScript meets it."""

import re

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.conftest import Start

CARD = {"channel": "card", "card_number": "4084 0840 8408 4081", "expiry": "12/30", "cvv": "408"}
VERVE = {"channel": "card", "card_number": "5060666666666666666", "expiry": "12/30", "cvv": "123"}
CALLBACK = "https://shop.example/done"


def shown(payer: httpx2.Client, response: httpx2.Response) -> str:
    """The page after a form was sent."""
    assert response.status_code in (302, 303)
    return payer.get(response.headers["location"]).text


def test_paid_goes_to_the_callback_with_both_parameters(start: Start, payer: httpx2.Client) -> None:
    data = start(callback_url=CALLBACK)
    paid = payer.post(f"{data['authorization_url']}/pay", data=CARD)
    assert paid.status_code == 302
    assert paid.headers["location"] == f"{CALLBACK}?trxref={data['reference']}&reference={data['reference']}"


def test_query_of_the_callback_is_kept(start: Start, payer: httpx2.Client) -> None:
    data = start(callback_url=f"{CALLBACK}?shop=7#end", reference="a=b")
    paid = payer.post(f"{data['authorization_url']}/pay", data=CARD)
    assert paid.headers["location"] == f"{CALLBACK}?shop=7&trxref=a%3Db&reference=a%3Db#end"


@pytest.mark.parametrize("callback", [None, "javascript:alert(1)", "data:text/html,x", "/relative", "http://[broken"])
def test_without_a_usable_callback_there_is_a_success_page(start: Start, payer: httpx2.Client, callback: str) -> None:
    paid = payer.post(f"{start(callback_url=callback)['authorization_url']}/pay", data=CARD)
    assert paid.status_code == 200
    assert "Payment successful" in paid.text


def test_integrations_own_callback_is_the_fallback() -> None:
    with PaystackSandbox(settings=Settings(callback_url=CALLBACK)) as sandbox:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        body = {"email": "a@b.co", "amount": 5, "reference": "x"}
        made = httpx2.post(f"{sandbox.url}/transaction/initialize", json=body, headers=headers).json()
        paid = httpx2.post(f"{made['data']['authorization_url']}/pay", data=CARD)
    assert paid.headers["location"] == f"{CALLBACK}?trxref=x&reference=x"


def test_pin_then_otp(start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    data = start()
    url = data["authorization_url"]
    assert "Enter your card PIN" in shown(payer, payer.post(f"{url}/pay", data=VERVE))
    assert paystack_sandbox.transaction(data["reference"])["status"] == "abandoned"
    assert "Enter the OTP" in shown(payer, payer.post(f"{url}/answer", data={"step": "pin", "pin": "1234"}))
    assert paystack_sandbox.transaction(data["reference"])["status"] == "ongoing"
    paid = payer.post(f"{url}/answer", data={"step": "otp", "otp": "123456"})
    assert "Payment successful" in paid.text
    assert paystack_sandbox.transaction(data["reference"])["status"] == "success"


def test_wrong_pin_leaves_the_payer_on_the_page(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()
    url = data["authorization_url"]
    payer.post(f"{url}/pay", data=VERVE)
    again = shown(payer, payer.post(f"{url}/answer", data={"step": "pin", "pin": "9999"}))
    row = paystack_sandbox.transaction(data["reference"])
    assert "Incorrect PIN" in again
    assert (row["status"], row["gateway_response"]) == ("abandoned", "Incorrect PIN")
    assert "Payment successful" in payer.post(f"{url}/pay", data=CARD).text


@pytest.mark.parametrize(
    ("card", "steps"),
    [
        (("507850785078507804", "884"), [("pin", "0000"), ("phone", "0551234987"), ("otp", "123456")]),
        (("5192602720584796", "123"), [("bank_page", "approve")]),
        (("507850785078507812", "081"), [("pin", "1111")]),
    ],
)
def test_cards_with_other_steps(
    start: Start, payer: httpx2.Client, card: tuple[str, str], steps: list[tuple[str, str]]
) -> None:
    url = start()["authorization_url"]
    page = shown(payer, payer.post(f"{url}/pay", data=CARD | {"card_number": card[0], "cvv": card[1]}))
    for step, value in steps:
        assert f'name="{step}"' in page
        answered = payer.post(f"{url}/answer", data={"step": step, step: value})
        page = answered.text or shown(payer, answered)
    assert "Payment successful" in page


def test_bank_account_with_birthday(start: Start, payer: httpx2.Client) -> None:
    url = start(channels=["bank"])["authorization_url"]
    payer.post(f"{url}/pay", data={"channel": "bank", "bank_code": "057", "account_number": "0000000000"})
    payer.post(f"{url}/answer", data={"step": "birthday", "birthday": "2007-04-15"})
    assert "Payment successful" in payer.post(f"{url}/answer", data={"step": "otp", "otp": "123456"}).text


def test_phone_declines_and_then_approves(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()
    url = data["authorization_url"]
    wallet = {"channel": "mobile_money", "phone": "0241234567", "provider": "vod"}
    assert "Check your phone" in shown(payer, payer.post(f"{url}/pay", data=wallet))
    payer.post(f"{url}/answer", data={"step": "phone_prompt", "phone_prompt": "decline"})
    assert paystack_sandbox.transaction(data["reference"])["status"] == "failed"
    payer.post(f"{url}/pay", data=wallet)
    paid = payer.post(f"{url}/answer", data={"step": "phone_prompt", "phone_prompt": "approve"})
    assert "Payment successful" in paid.text


def test_waiting_page_moves_on_when_the_phone_approved_elsewhere(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start(callback_url=CALLBACK)
    page = shown(
        payer, payer.post(f"{data['authorization_url']}/pay", data={"channel": "mobile_money", "phone": "0241234567"})
    )
    refresh = re.search(r'http-equiv="refresh" content="\d+; url=([^"]+)"', page)
    assert refresh
    paystack_sandbox.pay(data["reference"], channel="mobile_money", outcome="approve")
    assert payer.get(refresh[1]).headers["location"].startswith(CALLBACK)


def test_transfer_of_a_wrong_sum_then_the_right_one(start: Start, payer: httpx2.Client) -> None:
    url = start()["authorization_url"]
    wrong = payer.post(f"{url}/pay", data={"channel": "bank_transfer", "amount": "50"})
    assert "incorrect amount sent" in shown(payer, wrong)
    assert "Payment successful" in payer.post(f"{url}/pay", data={"channel": "bank_transfer", "amount": "80.00"}).text


def test_ussd(start: Start, payer: httpx2.Client) -> None:
    url = start()["authorization_url"]
    assert "*966*33*4*" in shown(payer, payer.post(f"{url}/pay", data={"channel": "ussd", "code": "966"}))
    assert "Payment successful" in payer.post(f"{url}/answer", data={"step": "ussd", "ussd": "approve"}).text


def test_transfer_to_the_account_number_of_this_payment(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()
    url = data["authorization_url"]
    page = shown(payer, payer.post(f"{url}/pay", data={"channel": "bank_transfer"}))
    assert re.search(r'id="account-number">99\d{8}<', page)
    assert re.search(r'data-seconds-left="(1800|1799)"', page)
    assert paystack_sandbox.transaction(data["reference"])["status"] == "ongoing"
    mistaken = payer.post(f"{url}/answer", data={"step": "transfer", "transfer": "much"})
    assert (mistaken.status_code, 'id="transfer-error"' in mistaken.text) == (422, True)
    assert "Payment successful" in payer.post(f"{url}/answer", data={"step": "transfer", "transfer": "80.00"}).text


def test_account_number_expires(start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    data = start()
    url = data["authorization_url"]
    payer.post(f"{url}/pay", data={"channel": "bank_transfer"})
    paystack_sandbox.advance(seconds=1801)
    late = payer.post(f"{url}/answer", data={"step": "transfer", "transfer": "80"})
    assert "You have not been charged" in shown(payer, late)
    assert paystack_sandbox.transaction(data["reference"])["status"] == "abandoned"


@pytest.mark.parametrize(("channel", "answer"), [("qr", {"qr": "approve"}), ("eft", {"bank_page": "approve"})])
def test_scanned_code_and_bank_page_in_south_africa(channel: str, answer: dict[str, str]) -> None:
    headers = {"Authorization": "Bearer sk_test_sandbox"}
    with PaystackSandbox(currencies=("ZAR",)) as sandbox, httpx2.Client(base_url=sandbox.url) as payer:
        body = {"email": "a@b.co", "amount": 8000}
        data = payer.post("/transaction/initialize", json=body, headers=headers).json()["data"]
        url = data["authorization_url"]
        page = shown(payer, payer.post(f"{url}/pay", data={"channel": channel}))
        assert "<svg viewBox=" in page if channel == "qr" else "Simulated bank page" in page
        paid = payer.post(f"{url}/answer", data={"step": next(iter(answer)), **answer})
        assert "Payment successful" in paid.text


def test_phone_on_a_page_of_its_own(start: Start, payer: httpx2.Client) -> None:
    url = start()["authorization_url"]
    assert "Nothing waits" in payer.get(f"{url}/phone").text
    payer.post(f"{url}/pay", data={"channel": "mobile_money", "phone": "0241234567"})
    page = payer.get(f"{url}/phone").text
    assert "Approve" in page
    assert "Cancel payment" not in page


def test_state_tells_a_waiting_page_to_look_again(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()
    url = data["authorization_url"]
    page = shown(payer, payer.post(f"{url}/pay", data={"channel": "mobile_money", "phone": "0241234567"}))
    before = payer.get(f"{url}/state").json()["state"]
    assert f'data-seen="{before}"' in page
    paystack_sandbox.pay(data["reference"], channel="mobile_money", outcome="decline")
    assert payer.get(f"{url}/state").json()["state"] != before


def test_popup_tells_the_end_and_sends_nobody_on(start: Start, payer: httpx2.Client) -> None:
    data = start(callback_url=CALLBACK, metadata={"cancel_action": "https://shop.example/no"})
    url = f"/popup/{data['access_code']}"
    assert 'data-event="load"' in payer.get(url).text
    assert 'data-event="cancel"' in payer.post(f"{url}/cancel").text
    paid = payer.post(f"{url}/pay", data=CARD)
    assert (paid.status_code, 'data-event="success"' in paid.text) == (200, True)
    assert f'data-redirect="{CALLBACK}?trxref=' in paid.text


def test_cancel_goes_to_the_cancel_action(start: Start, payer: httpx2.Client) -> None:
    url = start(metadata={"cancel_action": "https://shop.example/no"})["authorization_url"]
    assert payer.post(f"{url}/cancel").headers["location"] == "https://shop.example/no"


def test_cancel_without_an_action_offers_the_way_back(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start(callback_url=CALLBACK)
    page = payer.post(f"{data['authorization_url']}/cancel").text
    assert "Payment cancelled" in page
    assert f'href="{CALLBACK}?trxref=' in page
    assert paystack_sandbox.transaction(data["reference"])["status"] == "abandoned"


def test_paid_checkout_charges_nobody_again(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()
    for _ in range(2):
        payer.post(f"{data['authorization_url']}/pay", data=CARD)
    assert "already been made" in payer.get(data["authorization_url"]).text
    assert len(paystack_sandbox.webhooks()) == 1


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (CARD | {"card_number": "12"}, "card_number"),
        (CARD | {"expiry": "1"}, "expiry"),
        (CARD | {"cvv": ""}, "cvv"),
        ({"channel": "mobile_money", "phone": ""}, "phone"),
        ({"channel": "bank_transfer", "amount": "much"}, "amount"),
    ],
)
def test_mistakes_are_shown_at_the_field(start: Start, payer: httpx2.Client, form: dict[str, str], field: str) -> None:
    response = payer.post(f"{start()['authorization_url']}/pay", data=form)
    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text


def test_only_the_asked_channels_are_offered(start: Start, payer: httpx2.Client) -> None:
    url = start(channels=["mobile_money"])["authorization_url"]
    page = payer.get(f"{url}?channel=card").text
    assert 'name="phone"' in page
    assert "card_number" not in page
    assert payer.post(f"{url}/pay", data=CARD).status_code == 422


def test_channels_the_sandbox_does_not_have(start: Start, payer: httpx2.Client) -> None:
    assert "None of the payment channels" in payer.get(start(channels=["apple_pay"])["authorization_url"]).text


def test_everything_sent_is_escaped(start: Start, payer: httpx2.Client) -> None:
    page = payer.get(start(label="<img src=x onerror=alert(1)>")["authorization_url"]).text
    assert "<img" not in page
    assert "&lt;img src=x" in page


@pytest.mark.parametrize("channel", ["card", "mobile_money", "bank_transfer", "ussd"])
def test_pages_are_small_and_have_no_script_inside(start: Start, payer: httpx2.Client, channel: str) -> None:
    page = payer.get(f"{start()['authorization_url']}?channel={channel}")
    extras = [payer.get(f"/static/checkout.{kind}") for kind in ("css", "js")]
    assert sum(len(answer.content) for answer in (page, *extras)) < 30_000
    assert not re.search(r"<script(?! src=)|<style|style=|onclick", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_unknown_access_code(payer: httpx2.Client) -> None:
    assert payer.get("/checkout/abcdefghijklmno").status_code == 404


def test_form_from_another_site_is_refused(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()
    sent = payer.post(f"{data['authorization_url']}/pay", data=CARD, headers={"origin": "https://evil.example"})
    assert sent.status_code == 403
    assert paystack_sandbox.transaction(data["reference"])["status"] == "abandoned"


def test_fee_on_top_is_in_the_amount_shown() -> None:
    with PaystackSandbox(settings=Settings(pass_fees_to_payer=True)) as sandbox:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        made = httpx2.post(
            f"{sandbox.url}/transaction/initialize", json={"email": "a@b.co", "amount": 8000}, headers=headers
        )
        assert "Pay GHS 81.60" in httpx2.get(made.json()["data"]["authorization_url"]).text
