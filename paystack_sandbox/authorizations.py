"""The `authorization` object of a paid transaction, by instrument (facts 3.5, 3.6)."""

import base64
import hashlib
from typing import Any

from paystack_sandbox.money import CURRENCIES
from paystack_sandbox.payments import (
    BankAccount,
    BankTransfer,
    CapitecPay,
    Card,
    Eft,
    Instrument,
    MobileMoney,
    Qr,
    Ussd,
)
from paystack_sandbox.state import random_code
from paystack_sandbox.testdata import PROVIDERS, TEST_CARDS


def card_signature(number: str) -> str:
    """`SIG_` and 20 characters, the same for the same card."""
    digest = base64.b64encode(hashlib.sha256(number.encode()).digest(), altchars=b"Az").decode()
    return f"SIG_{digest[:20]}"


def authorization_of(instrument: Instrument, currency: str) -> dict[str, Any]:
    """A new authorization; its code is new on each use of an instrument."""
    code = f"AUTH_{random_code(10)}"
    country_code = CURRENCIES[currency].country_code
    match instrument:
        case Card():
            return _of_card(code, instrument, country_code)
        case MobileMoney():
            return _of_mobile_money(code, instrument, currency)
        case BankTransfer():
            return _plain(code, "bank_transfer", country_code) | _transfer_fields(instrument, country_code)
        case Ussd():
            return _plain(code, "ussd", country_code) | {"card_type": "offline", "brand": "Offline"}
        case Qr() | Eft() | CapitecPay():
            return _plain(code, instrument.channel, country_code) | {"card_type": "offline", "brand": "Offline"}
        case BankAccount():
            return _plain(code, "bank", country_code) | {
                "bin": f"{instrument.account_number[:3]}XXX",
                "last4": f"X{instrument.account_number[-3:]}",
                "bank": "Zenith Bank" if instrument.bank_code == "057" else "Test Bank",
                "brand": "Zenith Emandate",
            }


def _of_card(code: str, card: Card, country_code: str) -> dict[str, Any]:
    known = TEST_CARDS[card.number]
    month, year = card.expiry.split("/")
    return {
        "authorization_code": code,
        "bin": card.number[:6],
        "last4": card.number[-4:],
        "exp_month": month,
        "exp_year": f"20{year}",
        "channel": "card",
        "card_type": f"{known.brand} ",
        "bank": "TEST BANK",
        "country_code": country_code,
        "brand": known.brand,
        "reusable": known.reusable,
        "signature": card_signature(card.number) if known.reusable else None,
        "account_name": None,
    }


def _of_mobile_money(code: str, wallet: MobileMoney, currency: str) -> dict[str, Any]:
    network = {"mpesa_offline": "mpesa", "mptill": "mpesa"}.get(wallet.provider, wallet.provider)
    brand = PROVIDERS[currency][network].brand
    return _plain(code, "mobile_money", CURRENCIES[currency].country_code) | {
        "bin": f"{wallet.phone[:3]}XXX",
        "last4": f"X{wallet.phone[-3:]}",
        "bank": brand,
        "brand": brand.capitalize(),
    }


def _plain(code: str, channel: str, country_code: str) -> dict[str, Any]:
    return {
        "authorization_code": code,
        "bin": "000XXX",
        "last4": "X000",
        "exp_month": "12",
        "exp_year": "9999",
        "channel": channel,
        "card_type": "",
        "bank": None,
        "country_code": country_code,
        "brand": None,
        "reusable": False,
        "signature": None,
        "account_name": None,
    }


def _transfer_fields(transfer: BankTransfer, country_code: str) -> dict[str, Any]:
    return {
        "card_type": "transfer",
        "brand": "Managed Account",
        "sender_bank": "Simulated Bank",
        "sender_bank_account_number": "XXXXXX4321",
        "sender_country": country_code,
        "sender_name": "SANDBOX PAYER",
        "narration": "Paid in the sandbox",
        "receiver_bank": "Test Bank",
        "receiver_bank_account_number": transfer.account_number or None,
    }
