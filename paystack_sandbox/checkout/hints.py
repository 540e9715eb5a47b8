"""Help for testers on the checkout: what to type, and what then happens (facts 10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hint:
    value: str
    outcome: str


HINTS: dict[str, tuple[Hint, ...]] = {
    "card": (
        Hint("4084 0840 8408 4081 · 408", "paid at once"),
        Hint("5078 5078 5078 5078 12 · 081", "PIN 1111"),
        Hint("5060 6666 6666 6666 666 · 123", "PIN 1234, OTP 123456"),
        Hint("5078 5078 5078 5078 04 · 884", "PIN 0000, phone, OTP 123456"),
        Hint("5192 6027 2058 4796 · 123", "bank page"),
        Hint("4084 0800 0000 5408 · 001", "declined"),
        Hint("4084 0800 0067 0037 · 787", "insufficient funds"),
        Hint("5078 5078 5078 5078 53 · 082", "PIN 0000, token not generated"),
    ),
    "mobile_money": (
        Hint("GHS 0551234987 · KES 0710000000", "paid at once"),
        Hint("XOF 0700000000", "OTP 1234"),
        Hint("any other full number", "prompt on a simulated phone"),
        Hint("a number too short", "fails"),
    ),
    "bank_transfer": (
        Hint("the amount asked for", "paid"),
        Hint("any other amount", "sent back, still unpaid"),
    ),
    "bank": (Hint("Zenith · 0000000000", "birthday 2007-04-15, OTP 123456"),),
}
_PINS = {
    "507850785078507812": "1111",
    "5060666666666666666": "1234",
    "507850785078507804": "0000",
    "507850785078507853": "0000",
}


def step_hint(pending: Mapping[str, Any]) -> str | None:
    """The answer that passes."""
    match pending["step"]:
        case "pin":
            return _PINS.get(pending["instrument"].get("number", ""))
        case "otp":
            return "1234" if pending["channel"] == "mobile_money" else "123456"
        case "birthday":
            return "2007-04-15"
        case _:
            return None
