"""Who an account belongs to, and what a card number tells (facts 7.2). Every answer is made up, and always the same."""

import re
from hashlib import sha256
from typing import Any

from paystack_sandbox.api.banks import table
from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.fields import read_text, require_text
from paystack_sandbox.errors import PaystackError

# An account that no bank knows, for those who test the error.
UNKNOWN_ACCOUNT = "9999999999"
_ACCOUNT = re.compile(r"[0-9]{8,16}")
_FIRST_NAMES = ("AMA", "KOFI", "CHIDI", "NGOZI", "WANJIRU", "THABO", "AWA", "YAO")
_LAST_NAMES = ("MENSAH", "OWUSU", "OKAFOR", "ADEYEMI", "OTIENO", "DLAMINI", "KOUASSI", "BOATENG")
_ACCOUNT_TYPES = ("personal", "business")
_DOCUMENT_TYPES = ("identityNumber", "passportNumber", "businessRegistrationNumber")
# (brand, card type, bank, bank's id) of the test cards, and the documentation's own example.
_KNOWN_BINS = {
    "539983": ("Mastercard", "DEBIT", "Guaranty Trust Bank", 9),
    "408408": ("Visa", "DEBIT", "TEST BANK", 24),
    "507850": ("Verve", "DEBIT", "TEST BANK", 24),
    "506066": ("Verve", "DEBIT", "TEST BANK", 24),
    "519260": ("Mastercard", "CREDIT", "TEST BANK", 24),
    "408080": ("Visa", "DEBIT", "TEST BANK", 24),
}
_BRANDS = (
    (r"3[47]", "American Express"),
    (r"50[67]|6500", "Verve"),
    (r"5[1-5]|2[2-7]", "Mastercard"),
    (r"4", "Visa"),
)


def resolve_account(call: Call) -> Answer:
    """The holder's name: of any well-formed number but 9999999999, which no bank knows."""
    number, code = require_text(call.query, "account_number"), require_text(call.query, "bank_code")
    bank = _bank(code)
    if bank is None:
        raise PaystackError("bank_code_unknown", code=code)
    if not _ACCOUNT.fullmatch(number) or number == UNKNOWN_ACCOUNT:
        raise PaystackError("account_unresolved")
    data = {"account_number": number, "account_name": holder_of(number), "bank_id": bank["id"]}
    return Answer("Account number resolved", data)


def validate_account(call: Call) -> Answer:
    """South African accounts only. An account that can't be is a 400 with `data`, as the sample has it."""
    body = call.body
    number, code, _ = (require_text(body, field) for field in ("account_number", "bank_code", "account_name"))
    kind = _one_of(body, "account_type", _ACCOUNT_TYPES)
    _one_of(body, "document_type", _DOCUMENT_TYPES)
    if require_text(body, "country_code").upper() != "ZA":
        raise PaystackError("bad_value", '"country_code" must be ZA')
    bank = _bank(code)
    if bank is None or bank["currency"] != "ZAR":
        raise PaystackError("bank_code_unknown", code=code)
    message = f"{kind.capitalize()} Account Verification attempted"
    if not _ACCOUNT.fullmatch(number) or number == UNKNOWN_ACCOUNT:
        refused = {"verified": False, "verificationMessage": "The provided bank account number is invalid"}
        return Answer(message, refused, http_status=400, status=False)
    open_since = ("accountAcceptsDebits", "accountAcceptsCredits", "accountOpenForMoreThanThreeMonths", "accountOpen")
    data: dict[str, Any] = dict.fromkeys(open_since, True)
    # A document proves the holder; without one nobody says that the name matches.
    data["accountHolderMatch"] = read_text(body, "document_number") is not None
    data |= {"verified": True, "verificationMessage": "Account is verified successfully"}
    return Answer(message, data)


def resolve_bin(call: Call) -> Answer:
    """What the first six digits tell. Of unknown cards the brand only."""
    digits = call.path["bin"]
    if not re.fullmatch(r"[0-9]{6,8}", digits):
        raise PaystackError("bin_invalid")
    brand, kind, bank, bank_id = _KNOWN_BINS.get(digits[:6], (_brand(digits), "", "", None))
    known = bank != ""
    data = {
        "bin": digits[:6],
        "brand": brand,
        "sub_brand": "",
        "country_code": "NG" if known else "",
        "country_name": "Nigeria" if known else "",
        "card_type": kind,
        "bank": bank,
        "currency": "NGN" if known else "",
        "linked_bank_id": bank_id,
    }
    return Answer("Bin resolved", data)


def holder_of(account_number: str) -> str:
    """A name made from the number."""
    digest = sha256(account_number.encode()).digest()
    return f"{_FIRST_NAMES[digest[0] % 8]} {_LAST_NAMES[digest[1] % 8]}"


def _bank(code: str) -> dict[str, Any] | None:
    return next((bank for bank in table("banks.json") if bank["code"] == code), None)


def _one_of(body: Any, field: str, allowed: tuple[str, ...]) -> str:
    value = require_text(body, field)
    if value not in allowed:
        raise PaystackError("bad_value", f'"{field}" must be one of {", ".join(allowed)}')
    return value


def _brand(digits: str) -> str:
    return next((brand for pattern, brand in _BRANDS if re.match(pattern, digits)), "Unknown")
