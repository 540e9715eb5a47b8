"""What the checkout's templates show: channels on offer, amounts, the question being asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response

from paystack_sandbox import charging
from paystack_sandbox.checkout import returning
from paystack_sandbox.checkout.forms import text_field
from paystack_sandbox.checkout.hints import HINTS, step_hint
from paystack_sandbox.checkout.qr import svg
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
    "qr": "QR code",
    "eft": "EFT",
}
# Facts 4.1; the banks are those whose codes Paystack's documentation lists.
USSD_BANKS = {
    "737": "Guaranty Trust Bank",
    "919": "United Bank for Africa",
    "822": "Sterling Bank",
    "966": "Zenith Bank",
}
TRANSFER_BANK = "Test Bank"
PHONE_EXAMPLES = {"GHS": "055 123 4987", "KES": "0710 000 000", "XOF": "07 00 00 00 00"}
_ON_THE_PHONE = (charging.PHONE_PROMPT, "transfer", "ussd", "qr", "app_prompt", "processing")
_TIMERS = {
    charging.PHONE_PROMPT: charging.PHONE_PROMPT,
    "app_prompt": charging.PHONE_PROMPT,
    "processing": charging.BANK_ANSWERS,
    "transfer": charging.TRANSFER_EXPIRES,
}
# Given back to the payer after a mistake; the CVV is typed again.
_KEPT_FIELDS = ("card_number", "expiry", "phone", "provider", "amount", "account_number", "bank_code", "code")


@dataclass(frozen=True, slots=True)
class Visit:
    """A payer at the checkout of one transaction: on a page of its own, or in the popup of a merchant's page."""

    sandbox: Sandbox
    row: Transaction
    in_popup: bool = False
    base_url: str = ""

    @property
    def address(self) -> str:
        return f"/{'popup' if self.in_popup else 'checkout'}/{self.row.access_code}"

    @property
    def pending(self) -> dict[str, Any] | None:
        """What the payer is asked for, with the instrument; None where nothing is under way."""
        pending: dict[str, Any] | None = json.loads(self.row.pending) if self.row.pending else None
        return pending

    def at(self, row: Transaction) -> "Visit":
        return replace(self, row=row)


def common_values(visit: Visit) -> dict[str, Any]:
    """What every page of the checkout shows."""
    row = visit.row
    return {
        "merchant": visit.sandbox.settings.merchant_name,
        "payer": row.label or row.email,
        "amount": display(row.amount, row.currency),
        "action": visit.address,
        "reference": row.reference,
        "refresh_seconds": None,
        "watched": None,
        "popup": visit.in_popup,
        "transaction_id": row.id,
        "access_code": row.access_code,
        "email": row.email,
        "customer_code": row.customer_code,
        "redirect_url": returning.callback_url(row, visit.sandbox.settings) or "",
    }


def offered_channels(row: Transaction) -> list[str]:
    return [name for name in charging.offered_channels(row) if name in CHANNEL_NAMES]


def payment_page(
    visit: Visit,
    channel: str,
    mistake: InvalidInstrument | None = None,
    form: Mapping[str, Any] | None = None,
) -> Response:
    """Tabs and the chosen channel's form; after a mistake with what was typed."""
    row = visit.row
    channels = offered_channels(row)
    if not channels:
        message = "None of the payment channels the merchant asked for is available here."
        return page("checkout/problem.html", 200, message=message)
    chosen = channel if channel in channels else channels[0]
    refusal = _last_refusal(row) if mistake is None and row.channel == chosen else None
    values = common_values(visit) | {
        "amount": display(charging.charged_minor(visit.sandbox, row, chosen), row.currency),
        "channels": [(name, CHANNEL_NAMES[name]) for name in channels],
        "channel": chosen,
        "providers": list(PROVIDERS.get(row.currency, {}).values()),
        "phone_example": PHONE_EXAMPLES.get(row.currency, ""),
        "ussd_banks": USSD_BANKS.items(),
        "mistake": mistake,
        "declined": refusal,
        "typed": {name: text_field(form or {}, name) for name in _KEPT_FIELDS},
        "hints": HINTS.get(chosen, ()),
    }
    return page(f"checkout/{chosen}.html", 422 if mistake else 200, **values)


def step_page(visit: Visit, pending: Mapping[str, Any], mistake: InvalidInstrument | None = None) -> Response:
    """The question the payer has to answer now."""
    step = pending["step"]
    if step in _ON_THE_PHONE:
        return page("checkout/waiting.html", 422 if mistake else 200, **_waiting_values(visit, pending, mistake))
    values = _step_values(visit, pending)
    if step == "bank_page":
        return page("checkout/bank_page.html", last4=pending["instrument"].get("number", "")[-4:], **values)
    return page("checkout/step.html", hint=step_hint(pending), **values)


def handset_page(visit: Visit, pending: Mapping[str, Any]) -> Response:
    """The simulated phone alone: what a real phone shows that scanned the QR code."""
    return page("checkout/handset.html", **_waiting_values(visit, pending, None))


def shows_phone(pending: Mapping[str, Any] | None) -> bool:
    return pending is not None and pending["step"] in _ON_THE_PHONE


def state_token(row: Transaction) -> str:
    """Changes with what the page at the checkout's address would show; a waiting page asks for it."""
    step = json.loads(row.pending)["step"] if row.pending else ""
    return f"{row.status}.{step}"


def seconds_left(visit: Visit, pending: Mapping[str, Any]) -> int | None:
    """Until what the payer is asked for expires, by the sandbox's clock; None where it does not."""
    sandbox, kind = visit.sandbox, _TIMERS.get(pending["step"])
    rows = sandbox.state.execute("SELECT due_at FROM timers WHERE kind = ? AND subject_id = ?", kind, visit.row.id)
    return max(0, (int(rows[0][0]) - sandbox.clock.now_ms()) // 1000) if rows else None


def account_number(row: Transaction) -> str:
    """Where a transfer goes: an account that is only for this transaction."""
    return f"99{row.id % 10**8:08d}"


def _step_values(visit: Visit, pending: Mapping[str, Any]) -> dict[str, Any]:
    charged = charging.charged_minor(visit.sandbox, visit.row, pending["channel"])
    return common_values(visit) | {"amount": display(charged, visit.row.currency), "step": pending["step"]}


def _waiting_values(visit: Visit, pending: Mapping[str, Any], mistake: InvalidInstrument | None) -> dict[str, Any]:
    row, instrument = visit.row, pending["instrument"]
    left = seconds_left(visit, pending)
    values = _step_values(visit, pending)
    values |= {
        "refresh_seconds": 4,
        "watched": state_token(row),
        "seconds_left": left,
        "countdown": None if left is None else f"{left // 60}:{left % 60:02d}",
        "clock_time": visit.sandbox.clock.now().strftime("%H:%M"),
        "network": "4G",
        "network_code": "",
        "mistake": mistake,
    }
    match pending["step"]:
        case charging.PHONE_PROMPT:
            values |= _prompt_values(visit, instrument)
        case "transfer":
            values |= _transfer_values(visit, values["amount"])
        case "ussd":
            code = instrument["code"]
            values |= {
                "sender": USSD_BANKS.get(code, "your bank"),
                "ussd_code": f"*{code}*33*4*{row.id % 10**5:05d}#",
            }
        case "qr":
            url = f"{visit.sandbox.public_url or visit.base_url}{visit.address}/phone"
            values |= {"sender": "your bank's app", "qr_svg": svg(url)}
        case _:
            values |= {"sender": "your bank"}
    return values


def _prompt_values(visit: Visit, wallet: Mapping[str, Any]) -> dict[str, Any]:
    provider = PROVIDERS[visit.row.currency].get(wallet["provider"])
    values = {"phone": wallet["phone"], "minutes": visit.sandbox.settings.mobile_money_prompt_seconds // 60}
    if provider is None:
        return values | {"sender": "Mobile money"}
    return values | {"sender": provider.brand, "network": provider.name, "network_code": provider.code}


def _transfer_values(visit: Visit, amount: str) -> dict[str, Any]:
    return {
        "sender": "your transfer",
        "bank_name": TRANSFER_BANK,
        "account_number": account_number(visit.row),
        "account_name": visit.sandbox.settings.merchant_name,
        "typed_amount": amount.partition(" ")[2],
    }


def _last_refusal(row: Transaction) -> str | None:
    """Why the attempt before this one failed."""
    history = json.loads(row.log)["history"] if row.log else []
    if not history or history[-1]["type"] != "error":
        return None
    message: str = history[-1]["message"]
    return message.removeprefix("Error: ")
