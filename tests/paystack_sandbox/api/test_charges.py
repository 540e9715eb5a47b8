"""The charge API, instrument by instrument and step by step."""

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from tests.paystack_sandbox.api.conftest import CARD

PIN_CARD = {"number": "5060666666666666666", "cvv": "123", "expiry": "12/60"}
PHONE_CARD = {"number": "507850785078507804", "cvv": "884", "expiry": "12/60"}
ADDRESS_CARD = {"number": "4084080000000904", "cvv": "904", "expiry": "12/60"}


def charge(client: httpx2.Client, **body: object) -> dict:
    response = client.post("/charge", json={"email": "ama@example.com", "amount": 10000, **body})
    assert (response.status_code, response.json()["message"]) == (200, "Charge attempted"), response.text
    return response.json()["data"]


def test_mobile_money_of_the_documentation_is_paid_at_once(client: httpx2.Client) -> None:
    data = charge(client, mobile_money={"phone": "0551234987", "provider": "mtn"})
    assert (data["status"], data["message"], data["channel"], data["fees"]) == (
        "success",
        "madePayment",
        "mobile_money",
        195,
    )
    wallet = data["authorization"]
    assert (wallet["exp_month"], wallet["exp_year"], "signature" in wallet) == (12, 9999, False)


@pytest.mark.parametrize(
    ("currency", "body", "asked"),
    [
        ("GHS", {"card": PIN_CARD}, {"status": "send_pin"}),
        ("GHS", {"mobile_money": {"phone": "0241234567", "provider": "VOD"}}, {"status": "pay_offline"}),
        ("GHS", {"card": {"number": "5192602720584796", "cvv": "123", "expiry": "12/60"}}, {"status": "open_url"}),
        ("GHS", {"card": ADDRESS_CARD}, {"status": "send_address", "country_code": "US"}),
        ("XOF", {"mobile_money": {"phone": "0700000000", "provider": "orange"}}, {"status": "send_otp"}),
        ("NGN", {"bank": {"code": "057", "account_number": "0000000000"}}, {"status": "send_birthday"}),
        ("NGN", {"ussd": {"type": "737"}}, {"status": "pay_offline"}),
        ("NGN", {"bank_transfer": {"account_expires_at": None}}, {"status": "pending_bank_transfer"}),
        ("KES", {"mobile_money": {"phone": "254722000000", "provider": "mpesa"}}, {"status": "pay_offline"}),
        (
            "KES",
            {"mobile_money": {"phone": "254700000000", "provider": "mpesa_offline"}},
            {"status": "pay_offline", "account_number": "4084333"},
        ),
        ("KES", {"mobile_money": {"account": "1234567", "provider": "mptill"}}, {"status": "pay_offline"}),
        ("ZAR", {"eft": {"provider": "ozow"}}, {"status": "open_url"}),
        ("ZAR", {"qr": {"provider": "scan-to-pay"}}, {"status": "pay_offline"}),
    ],
)
def test_what_each_instrument_asks_for(currency: str, body: dict, asked: dict) -> None:
    with PaystackSandbox(currencies=(currency,)) as sandbox:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        with httpx2.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
            data = charge(client, **body)
            assert asked.items() <= data.items()
            assert client.get(f"/charge/{data['reference']}").json()["data"] == data
            channel = next(iter(body))
            if channel in ("ussd", "qr", "eft", "mobile_money"):
                outcome = {"bank_page": "approve"} if channel == "eft" else {}
                assert sandbox.pay(data["reference"], channel=channel, **body[channel], **outcome)["id"] > 0


def test_pin_and_otp_in_turn(client: httpx2.Client) -> None:
    reference = charge(client, card=PIN_CARD, reference="in-turn")["reference"]
    asked = client.post("/charge/submit_pin", json={"reference": reference, "pin": "1234"}).json()
    assert (asked["message"], asked["data"]["status"]) == ("Charge attempted", "send_otp")
    paid = client.post("/charge/submit_otp", json={"reference": reference, "otp": "123456"}).json()
    assert (paid["data"]["status"], paid["data"]["reference"]) == ("success", "in-turn")


def test_pin_sent_along_is_not_asked_for(client: httpx2.Client) -> None:
    assert charge(client, card=PIN_CARD, pin="1234")["status"] == "send_otp"


def test_phone_birthday_and_address(client: httpx2.Client, nigeria: httpx2.Client) -> None:
    reference = charge(client, card=PHONE_CARD, pin="0000")["reference"]
    asked = client.post("/charge/submit_phone", json={"reference": reference, "phone": "0551234987"}).json()
    assert asked["data"] == {"reference": reference, "status": "send_otp", "display_text": "Please send OTP"}
    reference = charge(nigeria, bank={"code": "057", "account_number": "0000000000"})["reference"]
    birthday = {"reference": reference, "birthday": "2007-04-15T00:00:00.000Z"}
    asked = nigeria.post("/charge/submit_birthday", json=birthday).json()
    assert asked["data"]["status"] == "send_otp"
    reference = charge(client, card=ADDRESS_CARD)["reference"]
    address = {"address": "140 N 2ND ST", "city": "Stroudsburg", "state": "PA", "zip_code": "18360"}
    paid = client.post("/charge/submit_address", json={"reference": reference, **address}).json()
    assert paid["data"]["status"] == "success"


def test_wrong_answer_is_a_400_and_the_end(client: httpx2.Client) -> None:
    reference = charge(client, card=PIN_CARD)["reference"]
    wrong = client.post("/charge/submit_pin", json={"reference": reference, "pin": "9999"})
    assert (wrong.status_code, wrong.json()) == (
        400,
        {
            "status": False,
            "message": "Charge attempted",
            "data": {"reference": reference, "status": "failed", "message": "Incorrect PIN"},
        },
    )
    again = client.post("/charge/submit_pin", json={"reference": reference, "pin": "1234"})
    assert again.status_code == 400
    verified = client.get(f"/transaction/verify/{reference}").json()["data"]
    assert (verified["status"], verified["gateway_response"]) == ("failed", "Incorrect PIN")
    duplicate = client.post(
        "/charge", json={"email": "a@b.co", "amount": 100, "reference": reference, "card": CARD}
    ).json()
    assert duplicate["code"] == "duplicate_reference"


@pytest.mark.parametrize(
    ("instrument", "status", "message"),
    [
        ({"card": {**CARD, "cvv": "000"}}, "failed", "Transaction declined. Please use the test card."),
        ({"card": {"number": "506066506660506067", "cvv": "060", "expiry": "12/60"}}, "timeout", "Timeout"),
        ({"mobile_money": {"phone": "024", "provider": "mtn"}}, "failed", "Invalid phone number"),
    ],
)
def test_first_charge_that_fails_is_a_200(client: httpx2.Client, instrument: dict, status: str, message: str) -> None:
    data = charge(client, **instrument)
    assert (data["status"], data["message"]) == (status, message)


def test_bank_page_leads_to_the_checkout(client: httpx2.Client, payer: httpx2.Client) -> None:
    data = charge(client, card={"number": "5192602720584796", "cvv": "123", "expiry": "12/60"})
    assert payer.get(data["url"]).status_code == 200
    payer.post(f"{data['url']}/answer", data={"step": "bank_page", "bank_page": "approve"})
    assert client.get(f"/charge/{data['reference']}").json()["data"]["status"] == "success"


def test_kuda_takes_its_time(nigeria: httpx2.Client) -> None:
    data = charge(nigeria, bank={"code": "50211", "phone": "+2348100000000", "token": "123456"})
    assert data["status"] == "pending"
    nigeria.sandbox.advance(seconds=10)  # type: ignore[attr-defined]
    checked = nigeria.get(f"/charge/{data['reference']}").json()
    assert (checked["message"], checked["data"]["status"]) == ("Reference check successful", "success")


def test_account_for_a_transfer_lives_so_long(nigeria: httpx2.Client) -> None:
    sandbox: PaystackSandbox = nigeria.sandbox  # type: ignore[attr-defined]
    data = charge(nigeria, bank_transfer={"account_expires_at": "2020-01-01T00:00:00Z"})
    sandbox.advance(seconds=14 * 60)
    assert nigeria.get(f"/charge/{data['reference']}").json()["data"]["status"] == "pending_bank_transfer"
    sandbox.advance(seconds=120)
    assert nigeria.get(f"/charge/{data['reference']}").json()["data"]["status"] == "timeout"


def test_transfer_is_paid_or_sent_back(nigeria: httpx2.Client) -> None:
    sandbox: PaystackSandbox = nigeria.sandbox  # type: ignore[attr-defined]
    reference = charge(nigeria, bank_transfer={})["reference"]
    sandbox.pay(reference, channel="bank_transfer", amount=5)
    assert [row["event"] for row in sandbox.webhooks()] == ["bank.transfer.rejected"]
    assert nigeria.get(f"/charge/{reference}").json()["data"]["status"] == "pending_bank_transfer"
    assert sandbox.pay(reference, channel="bank_transfer", amount=10000)["status"] == "success"


def test_capitec_pay_has_a_form_of_its_own(south_africa: httpx2.Client) -> None:
    instrument = {"capitec_pay": {"identifier_key": "CELLPHONE", "identifier_value": "0812345678"}}
    body = south_africa.post("/charge", json={"email": "a@b.co", "amount": 1000, **instrument}).json()
    assert (body["type"], body["code"], body["message"]) == ("success", "ok", "Charge pending")
    assert body["data"]["timeToLive"] == 120
    reference = body["data"]["transaction"]["reference"]
    assert south_africa.post(f"/capitec-pay/requery/{reference}").json()["data"] == {"status": "pending"}
    south_africa.sandbox.pay(reference, channel="capitec_pay", identifier_value="x")  # type: ignore[attr-defined]
    assert south_africa.post(f"/capitec-pay/requery/{reference}").json()["message"] == "Charge successful"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"amount": 100, "card": CARD}, "Email address is required for association with card"),
        ({"email": "a@b.co", "card": CARD}, "Invalid Amount Sent"),
        ({"email": "a@b.co", "amount": 100, "currency": "USD", "card": CARD}, "Currency not supported by merchant"),
        ({"email": "a@b.co", "amount": 100, "authorization_code": "AUTH_nope"}, "Authorization code is invalid"),
        ({"email": "a@b.co", "amount": 100, "mobile_money": {"phone": "0551234987", "provider": "x"}}, None),
        ({"email": "a@b.co", "amount": 100, "mobile_money": "0551234987"}, None),
        ({"email": "a@b.co", "amount": 100, "qr": {"provider": "x"}}, None),
        ({"email": "a@b.co", "amount": 100}, None),
    ],
)
def test_charge_refuses(client: httpx2.Client, body: dict, message: str | None) -> None:
    response = client.post("/charge", json=body)
    assert (response.status_code, response.json()["status"]) == (400, False)
    assert message in (None, response.json()["message"])


@pytest.mark.parametrize("step", ["pin", "otp", "phone", "birthday"])
def test_submit_with_an_unknown_reference(client: httpx2.Client, step: str) -> None:
    response = client.post(f"/charge/submit_{step}", json={"reference": "nope", step: "1"})
    assert (response.status_code, response.json()["message"]) == (400, "Transaction reference is invalid")


def test_submit_of_what_was_not_asked(client: httpx2.Client) -> None:
    reference = charge(client, card=PIN_CARD)["reference"]
    assert client.post("/charge/submit_otp", json={"reference": reference, "otp": "1"}).status_code == 400
    assert client.get(f"/charge/{reference}").json()["data"]["status"] == "send_pin"


def test_charge_of_a_saved_card(client: httpx2.Client, saved_card: str) -> None:
    data = charge(client, authorization_code=saved_card)
    assert (data["status"], data["authorization"]["authorization_code"]) == ("success", saved_card)
