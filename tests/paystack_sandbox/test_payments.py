"""The pure part: which instrument leads where."""

from datetime import date

import pytest

from paystack_sandbox.money import amount_with_fee_minor, display, fee_minor
from paystack_sandbox.payments import (
    Approved,
    Ask,
    BankAccount,
    BankTransfer,
    Card,
    Declined,
    InvalidInstrument,
    MobileMoney,
    Move,
    Terms,
    WrongSum,
    national_phone,
    next_move,
    read_instrument,
    settle_now,
)
from paystack_sandbox.settings import Settings

PAID = Approved("Successful")


def terms(currency: str = "GHS") -> Terms:
    return Terms(8000, currency, date(2026, 11, 23), Settings().mobile_money_responses)


def card(number: str, cvv: str, expiry: str = "12/30") -> Card:
    return Card(number.replace(" ", ""), cvv, expiry)


@pytest.mark.parametrize(
    ("instrument", "answers", "end"),
    [
        (card("4084 0840 8408 4081", "408"), {}, PAID),
        (card("4084 0840 8408 4081", "408"), {"pin": "9", "otp": "9"}, PAID),
        (card("5078 5078 5078 5078 12", "081"), {"pin": "1111"}, PAID),
        (card("5078 5078 5078 5078 12", "081"), {"pin": "1112"}, Declined("Incorrect PIN", wrong_answer=True)),
        (card("5060 6666 6666 6666 666", "123"), {"pin": "1234", "otp": "123456"}, PAID),
        (card("5060 6666 6666 6666 666", "123"), {}, Declined("Incorrect PIN", wrong_answer=True)),
        (
            card("5060 6666 6666 6666 666", "123"),
            {"pin": "1234", "otp": "1"},
            Declined("Token Authorization Not Successful. Incorrect Token Supplied", wrong_answer=True),
        ),
        (card("5078 5078 5078 5078 04", "884"), {"pin": "0000", "phone": "0551234987", "otp": "123456"}, PAID),
        (
            card("5078 5078 5078 5078 04", "884"),
            {"pin": "0000", "phone": "055123", "otp": "123456"},
            Declined("Invalid phone number", wrong_answer=True),
        ),
        (card("5192 6027 2058 4796", "123"), {"bank_page": "approve"}, PAID),
        (
            card("5192 6027 2058 4796", "123"),
            {"bank_page": "decline"},
            Declined("Authentication failed", wrong_answer=True),
        ),
        (card("4084 0800 0000 5408", "001"), {}, Declined("Declined")),
        (card("5078 5078 5078 5078 53", "082"), {"pin": "0000"}, Declined("Token Not Generated")),
        (card("4084 0800 0067 0037", "787"), {}, Declined("Insufficient Funds")),
        (card("4084 0800 0067 1803", "180"), {}, PAID),
        (card("4084 0800 0067 1902", "190"), {}, PAID),
        (card("4084 0800 0000 0409", "000"), {"bank_page": "approve"}, PAID),
        (card("4111 1111 1111 1111", "123"), {}, Declined("Transaction declined. Please use the test card.")),
        (card("4084 0840 8408 4081", "111"), {}, Declined("Transaction declined. Please use the test card.")),
        (card("4084 0840 8408 4081", "408", "10/26"), {}, Declined("Expired card")),
        (card("4084 0840 8408 4081", "408", "11/26"), {}, PAID),
        (BankTransfer("9900000001"), {"transfer": "8000"}, Approved("Approved")),
        (BankTransfer("9900000001"), {"transfer": "7999"}, WrongSum(7999)),
        (BankAccount("057", "0000000000"), {"birthday": "2007-04-15", "otp": "123456"}, Approved("Approved")),
        (
            BankAccount("057", "0000000000"),
            {"birthday": "2007-04-16"},
            Declined("Incorrect date of birth", wrong_answer=True),
        ),
        (BankAccount("058", "1012204936"), {}, Approved("Approved")),
        (BankAccount("058", "123456"), {}, Declined("Declined")),
    ],
)
def test_ends(instrument: Card, answers: dict[str, str], end: Move) -> None:
    assert settle_now(instrument, answers, terms()) == end


def test_each_step_is_asked_in_turn() -> None:
    verve = card("5078 5078 5078 5078 04", "884")
    answers: dict[str, str] = {}
    asked = []
    for given in ("0000", "0551234987", "123456"):
        move = next_move(verve, answers, terms())
        assert isinstance(move, Ask)
        asked.append(move.step)
        answers[move.step] = given
    assert (asked, next_move(verve, answers, terms())) == (["pin", "phone", "otp"], PAID)


@pytest.mark.parametrize(
    ("currency", "phone", "answers", "end"),
    [
        ("GHS", "0551234987", {}, Approved("Approved", "madePayment")),
        ("GHS", "0241234567", {}, Ask("phone_prompt")),
        ("GHS", "0241234567", {"phone_prompt": "approve"}, Approved("Approved", "madePayment")),
        ("GHS", "0241234567", {"phone_prompt": "decline"}, Declined("APPROVAL_REJECTED")),
        ("GHS", "0241234567", {"phone_prompt": "timeout"}, Declined("EXPIRED")),
        ("GHS", "024123", {}, Declined("Invalid phone number")),
        ("KES", "+254710000000", {}, Approved("Approved", "madePayment")),
        ("XOF", "0700000000", {}, Ask("otp")),
        ("XOF", "0700000000", {"otp": "1234"}, Approved("Approved", "madePayment")),
    ],
)
def test_mobile_money(currency: str, phone: str, answers: dict[str, str], end: Move) -> None:
    wallet = read_instrument("mobile_money", {"phone": phone}, currency)
    assert isinstance(wallet, MobileMoney)
    assert next_move(wallet, answers, terms(currency)) == end


@pytest.mark.parametrize("phone", ["0551234987", "551234987", "+233551234987", "233 55 123 4987", "00233551234987"])
def test_phone_spellings(phone: str) -> None:
    assert national_phone(phone, "GHS") == "0551234987"


@pytest.mark.parametrize("provider", ["mtn", "MTN", "vod", "atl"])
def test_providers_in_either_case(provider: str) -> None:
    wallet = read_instrument("mobile_money", {"phone": "0551234987", "provider": provider}, "GHS")
    assert next_move(wallet, {}, terms()) == Approved("Approved", "madePayment")


@pytest.mark.parametrize(
    ("channel", "given", "field"),
    [
        ("card", {"number": "123", "cvv": "408", "expiry": "12/30"}, "card_number"),
        ("card", {"number": "4084084084084081", "cvv": "x", "expiry": "12/30"}, "cvv"),
        ("card", {"number": "4084084084084081", "cvv": "408", "expiry": "13/30"}, "expiry"),
        ("mobile_money", {"phone": "ama"}, "phone"),
        ("mobile_money", {"phone": "0551234987", "provider": "wave"}, "provider"),
        ("bank", {"account_number": "x"}, "account_number"),
        ("cowries", {}, "channel"),
    ],
)
def test_what_is_no_instrument_names_the_field(channel: str, given: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInstrument) as caught:
        read_instrument(channel, given, "GHS")
    assert caught.value.field == field


@pytest.mark.parametrize("expiry", ["12/30", "12 / 30", "1230", "12-30", "12/2030"])
def test_expiry_spellings(expiry: str) -> None:
    assert read_instrument("card", {"number": "4084084084084081", "cvv": "408", "expiry": expiry}, "GHS") == card(
        "4084084084084081", "408"
    )


@pytest.mark.parametrize(
    ("amount", "currency", "channel", "fee"),
    [
        (8000, "GHS", "card", 156),
        (100_000, "NGN", "card", 1_500),
        (250_000, "NGN", "card", 13_750),
        (100_000_000, "NGN", "card", 200_000),
        (10_000, "KES", "mobile_money", 150),
        (10_000, "KES", "card", 290),
    ],
)
def test_fees(amount: int, currency: str, channel: str, fee: int) -> None:
    assert fee_minor(amount, currency, channel, "ROUND_HALF_UP") == fee


def test_amount_that_nets_the_price() -> None:
    gross = amount_with_fee_minor(8000, "GHS", "card")
    assert gross - fee_minor(gross, "GHS", "card", "ROUND_HALF_UP") in (8000, 8001)


def test_amounts_for_people() -> None:
    assert (display(123450, "GHS"), display(100000, "XOF")) == ("GHS 1,234.50", "XOF 1,000")
