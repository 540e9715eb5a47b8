"""The control routes under /_sandbox: what a test or a tester does to the sandbox itself.

They take no key, and serve only clients on this machine unless the sandbox was started otherwise.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paystack_sandbox import back_office, charging, files, guard, timers
from paystack_sandbox.api.endpoint import json_response
from paystack_sandbox.api.operations import ROUTES
from paystack_sandbox.api.pages import read_id
from paystack_sandbox.bodies import parse_json_object, raw_body
from paystack_sandbox.clock import MAX_ADVANCE_SECONDS, iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.faults import InvalidFaults, check_operations, operation_name, parse_faults
from paystack_sandbox.payments import MOBILE_MONEY_ENDINGS, InvalidInstrument, read_instrument
from paystack_sandbox.present import sandbox_view
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Attempt, Transaction, Webhook
from paystack_sandbox.testdata import TEST_CARDS
from paystack_sandbox.webhooks import NoWebhookUrl

MAX_LISTED_WEBHOOKS = 1000
OPERATIONS = frozenset(operation_name(route.method, route.path) for route in ROUTES)
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_EARLIER_ANSWERS = ("pin", "otp", "phone", "birthday", "bank_page")

Handler = Callable[[Sandbox, Request], Awaitable[Response]]


class Refused(Exception):
    """A control request that can't be done; the message says why."""

    def __init__(self, http_status: int, message: str) -> None:
        self.http_status, self.message = http_status, message
        super().__init__(message)


def controlled(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        refusal = guard.refusal(request)
        if refusal is not None:
            return json_response(403, {"status": False, "message": refusal})
        try:
            return await handler(request.app.state.sandbox, request)
        except Refused as error:
            return json_response(error.http_status, {"status": False, "message": error.message})
        except PaystackError as error:
            return json_response(error.http_status, {"status": False, "message": error.message})

    return serve


async def health(sandbox: Sandbox, request: Request) -> Response:
    del request
    return json_response(200, {"status": "ok", "now": iso(sandbox.clock.now_ms())})


# Transactions


async def show_transaction(sandbox: Sandbox, request: Request) -> Response:
    return _transaction_answer(sandbox, request, _transaction(sandbox, request))


async def pay(sandbox: Sandbox, request: Request) -> Response:
    """Pay as a payer with everything at hand would; an unanswered PIN or OTP ends in a decline."""
    body = parse_json_object(await raw_body(request))
    # Not before the body is here, for while it is awaited the payer may answer, or time may run out.
    row = _transaction(sandbox, request)
    try:
        paid = _pay(sandbox, row, body, request.client.host if request.client else None)
    except InvalidInstrument as error:
        raise Refused(400, error.message) from error
    except (charging.AlreadyPaid, charging.CheckoutClosed) as error:
        raise Refused(409, f"The transaction is {row.status}; it can't be paid again.") from error
    return _transaction_answer(sandbox, request, paid)


def _pay(sandbox: Sandbox, row: Transaction, body: Mapping[str, Any], payer: str | None) -> Transaction:
    """`payer` is the address the payment comes from."""
    channel = body.get("channel")
    if not isinstance(channel, str):
        raise Refused(400, 'Say how to pay: {"channel": "card", …}')
    if channel == "mobile_money":
        return _pay_by_phone(sandbox, row, body, payer)
    given, answers = body, {}
    if channel == "card":
        given = _with_defaults(body.get("card"))
        answers = _answers(given)
    elif channel == "bank_transfer" and body.get("amount") is not None:
        answers = {"transfer": str(_whole_amount(body["amount"]))}
    elif channel == "bank":
        answers = _answers(body)
    instrument = read_instrument(channel, given, row.currency)
    return charging.attempt(sandbox, row.id, instrument, answers, in_one_go=True, ip_address=payer)


def _pay_by_phone(sandbox: Sandbox, row: Transaction, body: Mapping[str, Any], payer: str | None) -> Transaction:
    outcome = body.get("outcome", "approve")
    if outcome not in (*MOBILE_MONEY_ENDINGS, "wait"):
        raise Refused(400, f"outcome must be one of {', '.join(MOBILE_MONEY_ENDINGS)}, wait")
    waiting = row.pending is not None and json.loads(row.pending)["step"] == charging.PHONE_PROMPT
    if waiting and body.get("phone") is None and outcome != "wait":
        return charging.answer(sandbox, row.id, charging.PHONE_PROMPT, outcome)
    instrument = read_instrument("mobile_money", body, row.currency)
    answers = _answers({name: value for name, value in body.items() if name != "phone"})
    if outcome == "wait":
        return charging.attempt(sandbox, row.id, instrument, answers, ip_address=payer)
    if "outcome" in body:
        answers[charging.PHONE_PROMPT] = outcome
    return charging.attempt(sandbox, row.id, instrument, answers, in_one_go=True, ip_address=payer)


def _with_defaults(card: Any) -> dict[str, Any]:
    """Only the number must be given: a test card's own CVV and a date to come stand in for the rest."""
    if not isinstance(card, dict):
        raise Refused(400, 'Give the card: {"channel": "card", "card": {"number": "4084 0840 8408 4081"}}')
    digits = "".join(character for character in str(card.get("number")) if character.isdigit())
    known = TEST_CARDS.get(digits)
    return {"cvv": known.cvv if known else "000", "expiry": "12/60"} | card


def _answers(given: Mapping[str, Any]) -> dict[str, str]:
    return {step: str(given[step]) for step in _EARLIER_ANSWERS if given.get(step) is not None}


def _whole_amount(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**53:
        raise Refused(400, "amount must be a positive integer of the subunit")
    return value


def _transaction(sandbox: Sandbox, request: Request) -> Transaction:
    row = sandbox.find_by_reference(request.path_params["reference"])
    if row is None:
        raise Refused(404, "The sandbox knows no transaction with this reference.")
    return row


def _transaction_answer(sandbox: Sandbox, request: Request, row: Transaction) -> Response:
    integration = sandbox.state.integration(row.integration_id)
    url = sandbox.checkout_url(row, f"{request.url.scheme}://{request.url.netloc}")
    return json_response(200, sandbox_view(row, integration, sandbox.settings, url))


# Webhooks


async def list_webhooks(sandbox: Sandbox, request: Request) -> Response:
    """Newest first; `?reference=` narrows to one transaction's, `?before=` goes on after the last id of a list."""
    narrowed = [("id < ?", _before(request))] if "before" in request.query_params else []
    if "reference" in request.query_params:
        narrowed.append(("reference = ?", request.query_params["reference"]))
    where = " AND ".join(condition for condition, _value in narrowed) or "1"
    found = sandbox.state.select_webhooks(where, [value for _, value in narrowed], "id DESC", MAX_LISTED_WEBHOOKS)
    rows = [webhook_view(row, sandbox.state.attempts(row.id)) for row in found]
    return Response(json.dumps(rows, ensure_ascii=False), media_type="application/json")


def _before(request: Request) -> int | str:
    webhook_id = read_id(request.query_params["before"])
    if webhook_id is None:
        raise Refused(422, "before must be the id of a delivery")
    return webhook_id


def webhook_view(row: Webhook, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        "id": row.id,
        "event": row.event,
        "reference": row.reference,
        "url": row.url,
        "created_at": iso(row.created_at),
        "delivered": bool(row.delivered),
        "next_attempt_at": iso(row.next_attempt_at),
        "attempts": [
            {
                "at": iso(attempt.at),
                "status": attempt.status,
                "error": attempt.error,
                "response": attempt.response,
                "fault": attempt.fault,
            }
            for attempt in attempts
        ],
        "payload": json.loads(row.body),
    }


async def redeliver(sandbox: Sandbox, request: Request) -> Response:
    webhook_id = read_id(request.path_params["id"])
    row = sandbox.state.webhook(webhook_id) if webhook_id is not None else None
    if row is None:
        raise Refused(404, "The sandbox knows no delivery with this id.")
    try:
        sandbox.webhooks.send_again(row.id)
    except NoWebhookUrl as error:
        raise Refused(409, "There is no webhook URL: start with --webhook-url.") from error
    fresh = sandbox.state.webhook(row.id)
    assert fresh is not None
    return json_response(202, webhook_view(fresh, sandbox.state.attempts(row.id)))


# Faults, clock, reset


async def show_faults(sandbox: Sandbox, request: Request) -> Response:
    del request
    return json_response(200, sandbox.dice.faults.as_json())


async def put_faults(sandbox: Sandbox, request: Request) -> Response:
    """Replace the faults; what is left out is off."""
    body = parse_json_object(await raw_body(request))
    try:
        check_operations(parse_faults(body, 0), OPERATIONS)
        return json_response(200, sandbox.set_faults(body).as_json())
    except InvalidFaults as error:
        raise Refused(422, str(error)) from error


async def show_struck(sandbox: Sandbox, request: Request) -> Response:
    """How often each API fault was felt since the start or the last reset; webhooks tell theirs with each attempt."""
    del request
    return json_response(200, {"api": dict(sandbox.struck)})


async def move_clock(sandbox: Sandbox, request: Request) -> Response:
    """Move time on; what falls due runs at once."""
    seconds = _seconds_in(parse_json_object(await raw_body(request)))
    if sandbox.clock.offset_ms / 1000 + seconds > MAX_ADVANCE_SECONDS:
        raise Refused(422, "The clock can't be moved on by more than a hundred years.")
    sandbox.advance(seconds)
    timers.run_due(sandbox)
    return json_response(200, _clock_view(sandbox))


async def show_clock(sandbox: Sandbox, request: Request) -> Response:
    del request
    return json_response(200, _clock_view(sandbox))


def _clock_view(sandbox: Sandbox) -> dict[str, Any]:
    return {"now": iso(sandbox.clock.now_ms()), "advanced_seconds": sandbox.clock.offset_ms / 1000}


def _seconds_in(body: Mapping[str, Any]) -> float:
    parts = {"seconds": body["advance_seconds"]} if "advance_seconds" in body else body.get("advance")
    if not isinstance(parts, dict) or not parts or set(parts) - set(UNITS):
        raise Refused(422, 'Send {"advance_seconds": 60} or {"advance": {"hours": 1}} (days, minutes, seconds)')
    for value in parts.values():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10**10:
            raise Refused(422, "The clock moves forward, by a number of seconds, minutes, hours or days.")
    return float(sum(value * UNITS[unit] for unit, value in parts.items()))


async def reset(sandbox: Sandbox, request: Request) -> Response:
    del request
    sandbox.reset()
    return json_response(200, {"status": "empty"})


def routes() -> list[Route]:
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/_sandbox/health", health),
        ("GET", "/_sandbox/transactions/{reference}", show_transaction),
        ("POST", "/_sandbox/transactions/{reference}/pay", pay),
        ("POST", "/_sandbox/refunds", back_office.make_refund),
        ("POST", "/_sandbox/disputes", back_office.raise_dispute),
        ("GET", "/_sandbox/authorizations/{code}", back_office.show_authorization),
        ("PUT", "/_sandbox/authorizations/{code}", back_office.put_authorization),
        ("GET", "/_sandbox/webhooks", list_webhooks),
        ("POST", "/_sandbox/webhooks/{id}/redeliver", redeliver),
        ("GET", "/_sandbox/faults", show_faults),
        ("PUT", "/_sandbox/faults", put_faults),
        ("GET", "/_sandbox/faults/struck", show_struck),
        ("GET", "/_sandbox/clock", show_clock),
        ("POST", "/_sandbox/clock", move_clock),
        ("POST", "/_sandbox/reset", reset),
    )
    return [
        *(Route(path, controlled(handler), methods=[method]) for method, path, handler in table),
        *files.routes(),
    ]
