"""Paystack's published test instruments (facts 10): what each asks for, and how it ends.

"legacy" cards stood in the documentation of 2018 only and are probably gone from the real service.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the payer is asked for. `accepts` judges the answer; `refusal` is the gateway's response."""

    step: str
    accepts: Callable[[str], bool]
    refusal: str


def _exactly(expected: str) -> Callable[[str], bool]:
    return lambda given: given == expected


def _digits(given: str) -> int:
    return sum(character.isdigit() for character in given)


def pin(expected: str) -> Check:
    return Check("pin", _exactly(expected), "Incorrect PIN")


def otp(expected: str) -> Check:
    return Check("otp", _exactly(expected), "Token Authorization Not Successful. Incorrect Token Supplied")


def birthday(expected: str) -> Check:
    return Check("birthday", _exactly(expected), "Incorrect date of birth")


ADDRESS = Check("address", lambda given: bool(given.strip()), "Address verification failed")
PHONE = Check("phone", lambda given: _digits(given) >= 10, "Invalid phone number")
BANK_PAGE = Check("bank_page", _exactly("approve"), "Authentication failed")


@dataclass(frozen=True, slots=True)
class TestCard:
    number: str
    cvv: str
    brand: str
    checks: tuple[Check, ...] = ()
    declined: str | None = None
    reusable: bool = False
    refund_ends: str | None = None


CARD_DECLINED = "Transaction declined. Please use the test card."

TEST_CARDS: dict[str, TestCard] = {
    card.number: card
    for card in (
        TestCard("4084084084084081", "408", "visa", reusable=True),
        TestCard("507850785078507812", "081", "verve", (pin("1111"),)),
        TestCard("5060666666666666666", "123", "verve", (pin("1234"), otp("123456"))),
        TestCard("507850785078507804", "884", "verve", (pin("0000"), PHONE, otp("123456"))),
        TestCard("5192602720584796", "123", "mastercard", (BANK_PAGE,), reusable=True),
        TestCard("4084080000005408", "001", "visa", declined="Declined"),
        TestCard("507850785078507853", "082", "verve", (pin("0000"),), declined="Token Not Generated"),
        TestCard("4084080000670037", "787", "visa", declined="Insufficient Funds"),
        TestCard("4084080000671803", "180", "visa", refund_ends="failed"),
        TestCard("4084080000671902", "190", "visa", refund_ends="needs-attention"),
        # The sandbox's own: no card that asks for an address is published.
        TestCard("4084080000000904", "904", "visa", (ADDRESS,), reusable=True),
        TestCard("4084080000000409", "000", "visa", (BANK_PAGE,)),  # legacy
        TestCard("5060660000000064", "606", "verve", declined="Server error"),  # legacy
        TestCard("506066506660506067", "060", "verve", declined="Timeout"),  # legacy
    )
}


@dataclass(frozen=True, slots=True)
class Provider:
    """A mobile-money network in one country: its code in the charge API and its names."""

    code: str
    name: str
    brand: str


PROVIDERS: dict[str, dict[str, Provider]] = {
    "GHS": {
        "mtn": Provider("mtn", "MTN", "MTN Mobile Money"),
        "vod": Provider("vod", "Telecel", "Vodafone Cash"),
        "atl": Provider("atl", "AirtelTigo", "AirtelTigo Money"),
    },
    "KES": {
        "mpesa": Provider("mpesa", "M-Pesa", "M-PESA"),
        "atl": Provider("atl", "Airtel Money", "Airtel Money"),
    },
    "XOF": {
        "mtn": Provider("mtn", "MTN", "MTN Mobile Money"),
        "orange": Provider("orange", "Orange", "Orange Money"),
        "wave": Provider("wave", "Wave", "Wave"),
    },
}


@dataclass(frozen=True, slots=True)
class NumberingPlan:
    """Phone numbers of a country: prefix, and digits after it (with a leading zero where one is dialled)."""

    prefix: str
    national_digits: int
    leading_zero: bool


NUMBERING: dict[str, NumberingPlan] = {
    "GHS": NumberingPlan("233", 10, leading_zero=True),
    "KES": NumberingPlan("254", 10, leading_zero=True),
    "XOF": NumberingPlan("225", 10, leading_zero=False),
}

# Phone numbers that answer without a prompt: currency → number → checks.
INSTANT_PHONES: dict[str, dict[str, tuple[Check, ...]]] = {
    "GHS": {"0551234987": ()},
    "KES": {"0710000000": ()},
    "XOF": {"0700000000": (otp("1234"),)},
}

# Bank accounts: (bank code or "" for any, account number) → checks.
TEST_ACCOUNTS: dict[tuple[str, str], tuple[Check, ...]] = {
    ("057", "0000000000"): (birthday("2007-04-15"), otp("123456")),
    ("", "1012204936"): (),
    ("", "1012204935"): (),
}
# Accounts whose refund does not end well (facts 10).
ACCOUNT_REFUND_ENDS = {"1012204936": "failed", "1012204935": "needs-attention"}
KUDA_PHONE, KUDA_TOKEN = "+2348100000000", "123456"
