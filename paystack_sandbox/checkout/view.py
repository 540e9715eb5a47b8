"""What the checkout's templates show: channels on offer, amounts, the question being asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from paystack_sandbox import charging
from paystack_sandbox.checkout.forms import text_field
from paystack_sandbox.money import display
from paystack_sandbox.pages import page
from paystack_sandbox.payments import InvalidInstrument
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Transaction
from paystack_sandbox.testdata import PROVIDERS

CHANNEL_NAMES = {
    "card": "Card",
    "mobile_money": "Mobile money",
    "bank_transfer": "Bank transfer",
    "ussd": "USSD",
    "bank": "Bank account",
}
# Given back to the payer after a mistake; the CVV is typed again.
_KEPT_FIELDS = ("card_number", "expiry", "phone", "provider", "amount", "account_number", "bank_code")


@dataclass(frozen=True, slots=True)
class Hint:
    """A row of the page's help for testers: what to type, and what then happens."""

    value: str
    outcome: str


# Facts 10, in the words a tester needs.
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
    "ussd": (),
    "bank": (Hint("Zenith · 0000000000", "birthday 2007-04-15, OTP 123456"),),
}


def common_values(sandbox: Sandbox, row: Transaction) -> dict[str, Any]:
    """What every page of the checkout shows."""
    return {
        "merchant": sandbox.settings.merchant_name,
        "payer": row.label or row.email,
        "amount": display(row.amount, row.currency),
        "action": f"/checkout/{row.access_code}",
        "reference": row.reference,
        "refresh_seconds": None,
    }


def payment_page(
    sandbox: Sandbox,
    row: Transaction,
    channel: str,
    mistake: InvalidInstrument | None = None,
    form: Mapping[str, Any] | None = None,
) -> Response:
    """Tabs and the chosen channel's form; after a mistake with what was typed."""
    channels = charging.offered_channels(row)
    if not channels:
        message = "None of the payment channels the merchant asked for is available here."
        return page("checkout/problem.html", 200, message=message)
    chosen = channel if channel in channels else channels[0]
    charged = charging.charged_minor(sandbox, row, chosen)
    providers = PROVIDERS.get(row.currency, {}).values()
    values = common_values(sandbox, row) | {
        "amount": display(charged, row.currency),
        "amount_plain": display(charged, row.currency).partition(" ")[2],
        "channels": [(name, CHANNEL_NAMES[name]) for name in channels],
        "channel": chosen,
        "providers": list(providers),
        "mistake": mistake,
        "declined": _last_refusal(row) if mistake is None and row.channel == chosen else None,
        "typed": {name: text_field(form or {}, name) for name in _KEPT_FIELDS},
        "account_number": f"99{row.id % 10**8:08d}",
        "ussd_code": f"*737*33*{row.id % 10**6:06d}#",
        "hints": HINTS[chosen],
    }
    return page(f"checkout/{chosen}.html", 422 if mistake else 200, **values)


def step_page(sandbox: Sandbox, row: Transaction, pending: Mapping[str, Any]) -> Response:
    """The question the payer has to answer now."""
    charged = charging.charged_minor(sandbox, row, pending["channel"])
    values = common_values(sandbox, row) | {"amount": display(charged, row.currency), "step": pending["step"]}
    if pending["step"] != charging.PHONE_PROMPT:
        return page("checkout/step.html", **values)
    wallet = pending["instrument"]
    return page(
        "checkout/phone_prompt.html",
        **values
        | {
            "refresh_seconds": 4,
            "phone": wallet["phone"],
            "provider": PROVIDERS[row.currency][wallet["provider"]].brand,
            "minutes": sandbox.settings.mobile_money_prompt_seconds // 60,
        },
    )


def _last_refusal(row: Transaction) -> str | None:
    """Why the attempt before this one failed."""
    history = json.loads(row.log)["history"] if row.log else []
    if not history or history[-1]["type"] != "error":
        return None
    message: str = history[-1]["message"]
    return message.removeprefix("Error: ")
