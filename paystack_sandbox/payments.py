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
    BANK_PAGE,
    CARD_DECLINED,
    INSTANT_PHONES,
    KUDA_PHONE,
    KUDA_TOKEN,
    NUMBERING,
    PROVIDERS,
    TEST_ACCOUNTS,
    TEST_CARDS,
    Check,
    otp,
)

MOBILE_MONEY_ENDINGS = ("approve", "decline", "timeout", "low_balance")
# The payer acts on a phone or in an app: a single yes or no.
OFFLINE_STEPS = ("phone_prompt", "ussd", "qr", "app_prompt", "processing")
# What the checkout and the control route can take.
CHANNELS = ("card", "mobile_money", "bank_transfer", "ussd", "bank", "qr", "eft")
KUDA = "50211"
_MAX_IDENTIFIER = 50
_CAPITEC_IDENTIFIERS = ("CELLPHONE", "IDNUMBER", "ACCOUNTNUMBER")


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
    """`account_number` is a phone number where the bank is Kuda, which sends a token (facts 4.1)."""

    bank_code: str
    account_number: str
    channel = "bank"


@dataclass(frozen=True, slots=True)
class Qr:
    provider: str
    channel = "qr"


@dataclass(frozen=True, slots=True)
class Eft:
    provider: str
    channel = "eft"


@dataclass(frozen=True, slots=True)
class CapitecPay:
    """Approved in the bank's app; the charge API only."""

    identifier_key: str
    identifier_value: str
    channel = "capitec_pay"


Instrument = Card | MobileMoney | BankTransfer | Ussd | BankAccount | Qr | Eft | CapitecPay
INSTRUMENTS: dict[str, type[Instrument]] = {
    kind.channel: kind for kind in (Card, MobileMoney, BankTransfer, Ussd, BankAccount, Qr, Eft, CapitecPay)
}
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
    telecel_voucher: bool = False


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
            return _by_consent("ussd", answers)
        case Qr():
            return _by_consent("qr", answers)
        case CapitecPay():
            return _by_consent("app_prompt", answers)
        case Eft():
            return _through((BANK_PAGE,), answers) or Approved("Approved")
        case BankAccount():
            return _bank(instrument, answers)


def settle_now(instrument: Instrument, answers: Answers, terms: Terms) -> Move:
    """As `next_move` for a payer who has nothing more to say: an unanswered question ends in a decline."""
    move = next_move(instrument, answers, terms)
    if not isinstance(move, Ask):
        return move
    if move.step in OFFLINE_STEPS:
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


def _by_consent(step: str, answers: Answers) -> Move:
    ending = answers.get(step)
    if ending is None:
        return Ask(step)
    if ending == "timeout":
        return Declined("Timeout")
    return Declined("Declined") if ending == "decline" else Approved("Approved")


def _mobile_money(wallet: MobileMoney, answers: Answers, terms: Terms) -> Move:
    if wallet.provider == "mpesa_offline":
        return _bank_transfer(answers, terms)
    if wallet.provider == "mptill":
        return _prompted(answers, terms)
    if not is_whole_phone(wallet.phone, terms.currency):
        return Declined("Invalid phone number")
    if wallet.provider == "vod" and terms.telecel_voucher:
        return _through((otp("123456"),), answers) or Approved("Approved", "madePayment")
    instant = INSTANT_PHONES[terms.currency].get(wallet.phone)
    if instant is not None and answers.get("phone_prompt") not in terms.mobile_money_responses:
        return _through(instant, answers) or Approved("Approved", "madePayment")
    return _prompted(answers, terms)


def _prompted(answers: Answers, terms: Terms) -> Move:
    ending = answers.get("phone_prompt")
    if ending is not None and ending in terms.mobile_money_responses:
        return Declined(terms.mobile_money_responses[ending])
    return Ask("phone_prompt") if ending is None else Approved("Approved", "madePayment")


def _bank_transfer(answers: Answers, terms: Terms) -> Move:
    sent = answers.get("transfer")
    if sent is None:
        return Ask("transfer")
    return Approved("Approved") if int(sent) == terms.amount_minor else WrongSum(int(sent))


def _bank(account: BankAccount, answers: Answers) -> Move:
    number = account.account_number
    if account.bank_code == KUDA:
        return _kuda(number, answers)
    checks = TEST_ACCOUNTS.get((account.bank_code, number), TEST_ACCOUNTS.get(("", number)))
    if checks is None:
        return Declined("Declined")
    return _through(checks, answers) or Approved("Approved")


def _kuda(phone: str, answers: Answers) -> Move:
    """The bank takes its time: `pending` until it has answered (facts 4.1, 10)."""
    stopped = _through((otp(KUDA_TOKEN),), answers)
    if stopped is not None:
        return stopped
    if "processing" not in answers:
        return Ask("processing")
    return Approved("Approved") if phone == KUDA_PHONE else Declined("Declined")


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
        case "qr":
            return Qr(_one_of(given, "provider", ("scan-to-pay", "visa")))
        case "eft":
            return Eft(_one_of(given, "provider", ("ozow",)))
        case "capitec_pay":
            key = _one_of(given, "identifier_key", _CAPITEC_IDENTIFIERS)
            return CapitecPay(key, _filled(given, "identifier_value"))
        case _:
            raise InvalidInstrument("channel", f"channel must be one of {', '.join(CHANNELS)}")


def _text(given: Mapping[str, Any], field: str) -> str:
    value = given.get(field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInstrument(field, f"{field} must be a string")
    return str(value).strip()


def _one_of(given: Mapping[str, Any], field: str, allowed: tuple[str, ...]) -> str:
    """The first one allowed where the field is missing."""
    value = _text(given, field) or allowed[0]
    if value not in allowed:
        raise InvalidInstrument(field, f"{field} must be one of {', '.join(allowed)}")
    return value


def _filled(given: Mapping[str, Any], field: str) -> str:
    value = _text(given, field)
    if not value or len(value) > _MAX_IDENTIFIER:
        raise InvalidInstrument(field, f"{field} is required")
    return value


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
    if currency == "KES" and provider == "mptill":
        return MobileMoney(_filled(given, "account"), provider)
    if currency == "KES" and provider == "mpesa_offline":
        return MobileMoney(national_phone(_text(given, "phone"), currency), provider)
    if provider not in providers:
        raise InvalidInstrument("provider", f"provider must be one of {', '.join(providers)}")
    phone = _text(given, "phone")
    if not re.fullmatch(r"\+?[0-9\s()-]{1,30}", phone):
        raise InvalidInstrument("phone", "Enter the phone number, digits only")
    return MobileMoney(national_phone(phone, currency), provider)


def _read_bank(given: Mapping[str, Any]) -> BankAccount:
    code = _text(given, "bank_code") or _text(given, "code")
    if code == KUDA and _text(given, "phone"):
        return BankAccount(code, _filled(given, "phone"))
    number = _text(given, "account_number")
    if not re.fullmatch(r"[0-9]{6,20}", number):
        raise InvalidInstrument("account_number", "Enter the account number, digits only")
    return BankAccount(code, number)


def national_phone(phone: str, currency: str) -> str:
    """The number as dialled inside the country: `+233 55 123 4987`, `551234987` → `0551234987`."""
    plan = NUMBERING[currency]
    digits = re.sub(r"[^0-9]", "", phone)
    if not digits:
        return ""
    without_prefix = digits.removeprefix("00").removeprefix(plan.prefix)
    if len(digits) > plan.national_digits and len(without_prefix) < len(digits):
        digits = without_prefix
    if plan.leading_zero and len(digits) == plan.national_digits - 1 and digits[0] != "0":
        digits = "0" + digits
    return digits


def is_whole_phone(phone: str, currency: str) -> bool:
    plan = NUMBERING[currency]
    return len(phone) == plan.national_digits and (not plan.leading_zero or phone[0] == "0")
