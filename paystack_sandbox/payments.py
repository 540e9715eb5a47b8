"""Which instrument leads to which outcome. Pure: no HTTP, no state, no clock of its own.

An instrument and the payer's answers so far give the next move: ask for something, or an end. The hosted
checkout gives answers one page at a time; the control route gives all it has at once and calls `settle_now`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from paystack_sandbox.testdata import (
    CARD_DECLINED,
    INSTANT_PHONES,
    NUMBERING,
    PROVIDERS,
    TEST_ACCOUNTS,
    TEST_CARDS,
    Check,
)

MOBILE_MONEY_ENDINGS = ("approve", "decline", "timeout", "low_balance")
# What the checkout and the control route can take.
CHANNELS = ("card", "mobile_money", "bank_transfer", "ussd", "bank")


class InvalidInstrument(ValueError):
    """The payer typed something that is no card, phone or account at all; nothing was attempted."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Card:
    number: str
    cvv: str
    expiry: str
    """MM/YY"""
    channel = "card"


@dataclass(frozen=True, slots=True)
class MobileMoney:
    phone: str
    """As dialled in the country, or with its digits only where it can't be one."""
    provider: str
    channel = "mobile_money"


@dataclass(frozen=True, slots=True)
class BankTransfer:
    account_number: str
    """The account the payer is told to send to."""
    channel = "bank_transfer"


@dataclass(frozen=True, slots=True)
class Ussd:
    code: str
    channel = "ussd"


@dataclass(frozen=True, slots=True)
class BankAccount:
    bank_code: str
    account_number: str
    channel = "bank"


Instrument = Card | MobileMoney | BankTransfer | Ussd | BankAccount
Answers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """The payer has to do something: enter a PIN, approve on the phone, send the money."""

    step: str


@dataclass(frozen=True, slots=True)
class Approved:
    gateway_response: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """`wrong_answer` tells a mistyped PIN, OTP and the like from a refusal by the bank."""

    gateway_response: str
    wrong_answer: bool = False


@dataclass(frozen=True, slots=True)
class WrongSum:
    """A transfer of another amount than asked for: sent back, and the order stays unpaid (facts 12, 13)."""

    sent_minor: int


Move = Ask | Approved | Declined | WrongSum


@dataclass(frozen=True, slots=True)
class Terms:
    """What an outcome depends on besides the instrument."""

    amount_minor: int
    currency: str
    today: date
    mobile_money_responses: Mapping[str, str]


def next_move(instrument: Instrument, answers: Answers, terms: Terms) -> Move:
    """What happens once the payer has given `answers`."""
    match instrument:
        case Card():
            return _card(instrument, answers, terms)
        case MobileMoney():
            return _mobile_money(instrument, answers, terms)
        case BankTransfer():
            return _bank_transfer(answers, terms)
        case Ussd():
            return Approved("Approved") if "ussd" in answers else Ask("ussd")
        case BankAccount():
            return _bank(instrument, answers)


def settle_now(instrument: Instrument, answers: Answers, terms: Terms) -> Move:
    """As `next_move` for a payer who has nothing more to say: an unanswered question ends in a decline."""
    move = next_move(instrument, answers, terms)
    if not isinstance(move, Ask):
        return move
    if move.step in ("phone_prompt", "ussd"):
        return next_move(instrument, {**answers, move.step: "approve"}, terms)
    if move.step == "transfer":
        return next_move(instrument, {**answers, move.step: str(terms.amount_minor)}, terms)
    return next_move(instrument, {**answers, move.step: ""}, terms)


def _through(checks: tuple[Check, ...], answers: Answers) -> Ask | Declined | None:
    for check in checks:
        given = answers.get(check.step)
        if given is None:
            return Ask(check.step)
        if not check.accepts(given):
            return Declined(check.refusal, wrong_answer=True)
    return None


def _card(card: Card, answers: Answers, terms: Terms) -> Move:
    month, year = (int(part) for part in card.expiry.split("/"))
    if (2000 + year, month) < (terms.today.year, terms.today.month):
        return Declined("Expired card")
    known = TEST_CARDS.get(card.number)
    if known is None or card.cvv != known.cvv:
        return Declined(CARD_DECLINED)
    stopped = _through(known.checks, answers)
    if stopped is not None:
        return stopped
    return Approved("Successful") if known.declined is None else Declined(known.declined)


def _mobile_money(wallet: MobileMoney, answers: Answers, terms: Terms) -> Move:
    if not is_whole_phone(wallet.phone, terms.currency):
        return Declined("Invalid phone number")
    ending = answers.get("phone_prompt")
    if ending is not None and ending in terms.mobile_money_responses:
        return Declined(terms.mobile_money_responses[ending])
    instant = INSTANT_PHONES[terms.currency].get(wallet.phone)
    if instant is not None:
        return _through(instant, answers) or Approved("Approved", "madePayment")
    return Ask("phone_prompt") if ending is None else Approved("Approved", "madePayment")


def _bank_transfer(answers: Answers, terms: Terms) -> Move:
    sent = answers.get("transfer")
    if sent is None:
        return Ask("transfer")
    return Approved("Approved") if int(sent) == terms.amount_minor else WrongSum(int(sent))


def _bank(account: BankAccount, answers: Answers) -> Move:
    number = account.account_number
    checks = TEST_ACCOUNTS.get((account.bank_code, number), TEST_ACCOUNTS.get(("", number)))
    if checks is None:
        return Declined("Declined")
    return _through(checks, answers) or Approved("Approved")


def read_instrument(channel: str, given: Mapping[str, Any], currency: str) -> Instrument:
    """The instrument in a form or JSON body. Raises InvalidInstrument naming the field to mend."""
    match channel:
        case "card":
            return _read_card(given)
        case "mobile_money":
            return _read_mobile_money(given, currency)
        case "bank_transfer":
            return BankTransfer(_text(given, "account_number"))
        case "ussd":
            return Ussd(_text(given, "code") or "737")
        case "bank":
            return _read_bank(given)
        case _:
            raise InvalidInstrument("channel", f"channel must be one of {', '.join(CHANNELS)}")


def _text(given: Mapping[str, Any], field: str) -> str:
    value = given.get(field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInstrument(field, f"{field} must be a string")
    return str(value).strip()


def _read_card(given: Mapping[str, Any]) -> Card:
    number = re.sub(r"[\s-]", "", _text(given, "number"))
    if not re.fullmatch(r"[0-9]{12,19}", number):
        raise InvalidInstrument("card_number", "Enter the card number: 12 to 19 digits")
    expiry = re.fullmatch(r"(0?[1-9]|1[0-2])\s*[/-]?\s*(?:20)?([0-9]{2})", _text(given, "expiry"))
    if not expiry:
        raise InvalidInstrument("expiry", "Enter the expiry date as MM/YY")
    cvv = _text(given, "cvv")
    if not re.fullmatch(r"[0-9]{3,4}", cvv):
        raise InvalidInstrument("cvv", "Enter the CVV: 3 or 4 digits")
    return Card(number, cvv, f"{int(expiry[1]):02d}/{expiry[2]}")


def _read_mobile_money(given: Mapping[str, Any], currency: str) -> MobileMoney:
    providers = PROVIDERS.get(currency)
    if not providers:
        raise InvalidInstrument("channel", f"There is no mobile money in {currency}")
    provider = _text(given, "provider").lower() or next(iter(providers))
    if provider not in providers:
        raise InvalidInstrument("provider", f"provider must be one of {', '.join(providers)}")
    phone = _text(given, "phone")
    if not re.fullmatch(r"\+?[0-9\s()-]{1,30}", phone):
        raise InvalidInstrument("phone", "Enter the phone number, digits only")
    return MobileMoney(national_phone(phone, currency), provider)


def _read_bank(given: Mapping[str, Any]) -> BankAccount:
    number = _text(given, "account_number")
    if not re.fullmatch(r"[0-9]{6,20}", number):
        raise InvalidInstrument("account_number", "Enter the account number, digits only")
    return BankAccount(_text(given, "bank_code"), number)


def national_phone(phone: str, currency: str) -> str:
    """The number as dialled inside the country: `+233 55 123 4987`, `551234987` → `0551234987`."""
    plan = NUMBERING[currency]
    digits = re.sub(r"[^0-9]", "", phone)
    without_prefix = digits.removeprefix("00").removeprefix(plan.prefix)
    if len(digits) > plan.national_digits and len(without_prefix) < len(digits):
        digits = without_prefix
    if plan.leading_zero and len(digits) == plan.national_digits - 1 and digits[0] != "0":
        digits = "0" + digits
    return digits


def is_whole_phone(phone: str, currency: str) -> bool:
    plan = NUMBERING[currency]
    return len(phone) == plan.national_digits and (not plan.leading_zero or phone[0] == "0")
