"""The checkout's addresses. Each POST ends in a redirect, so that reloading a page repeats nothing.

The same pages serve under /checkout, where a payer is sent, and under /popup, where /inline.js frames them;
there the end is told to the merchant's page and nobody is sent on.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from paystack_sandbox import charging, guard
from paystack_sandbox.bodies import read_body
from paystack_sandbox.checkout import inline, returning
from paystack_sandbox.checkout.forms import read_amount, read_payment, text_field
from paystack_sandbox.checkout.view import (
    Visit,
    account_number,
    common_values,
    handset_page,
    offered_channels,
    payment_page,
    shows_phone,
    state_token,
    step_page,
)
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.pages import page
from paystack_sandbox.payments import InvalidInstrument
from paystack_sandbox.sandbox import Sandbox

Action = Callable[[Visit, Mapping[str, Any], Request], Response]
# How long the account number of a transfer is good.
_TRANSFER_MS = 30 * 60 * 1000


def show(visit: Visit, form: Mapping[str, Any], request: Request) -> Response:
    """The page the transaction is at: choose and pay, answer what is asked, or the end."""
    del form
    if visit.row.is_paid:
        # A page that waited for the phone comes back by itself to here; others were opened by hand.
        return _paid(visit) if "waiting" in request.query_params else _already_paid(visit)
    if charging.is_closed(visit.sandbox, visit.row):
        return page("checkout/ended.html", **common_values(visit), title="Payment failed", url=None, cancelled=False)
    pending = visit.pending
    if pending is None:
        return payment_page(visit, request.query_params.get("channel") or visit.row.channel or "")
    return step_page(visit, pending)


def phone(visit: Visit, form: Mapping[str, Any], request: Request) -> Response:
    del form, request
    pending = visit.pending
    if pending is None or not shows_phone(pending):
        return page("checkout/problem.html", 200, message="Nothing waits for this phone.")
    return handset_page(visit, pending)


def state(visit: Visit, form: Mapping[str, Any], request: Request) -> Response:
    """For a page that waits: has anything happened?"""
    del form, request
    return JSONResponse({"state": state_token(visit.row)}, headers={"cache-control": "no-store"})


def pay(visit: Visit, form: Mapping[str, Any], request: Request) -> Response:
    channel = text_field(form, "channel")
    if channel not in offered_channels(visit.row):
        return payment_page(visit, channel, InvalidInstrument("channel", "Choose one of these ways to pay."), form)
    try:
        given = {**form, "account_number": account_number(visit.row)} if channel == "bank_transfer" else form
        instrument, answers = read_payment(given, channel, visit.row.currency)
        address = request.client.host if request.client else None
        row = charging.attempt(visit.sandbox, visit.row.id, instrument, answers, ip_address=address)
    except InvalidInstrument as error:
        return payment_page(visit, channel, error, form)
    if channel == "bank_transfer" and row.pending is not None:
        due_at = visit.sandbox.clock.now_ms() + _TRANSFER_MS
        visit.sandbox.state.set_timer(charging.TRANSFER_EXPIRES, row.id, due_at)
        visit.sandbox.wake()
    return _after(visit.at(row), channel)


def answer(visit: Visit, form: Mapping[str, Any], request: Request) -> Response:
    """PIN, OTP and the like; also what the simulated bank page and phone send."""
    del request
    step = text_field(form, "step")
    value = text_field(form, step)
    pending = visit.pending
    if pending is not None and step == pending["step"] == "transfer":
        try:
            value = str(read_amount(form, "transfer"))
        except InvalidInstrument as error:
            return step_page(visit, pending, error)
    try:
        row = charging.answer(visit.sandbox, visit.row.id, step, value)
    except charging.NothingAsked:
        # Two tabs, or the back button: show where the transaction really is.
        return _to_checkout(visit)
    return _after(visit.at(row), row.channel or "")


def back(visit: Visit, form: Mapping[str, Any], request: Request) -> Response:
    del form, request
    row = charging.abandon(visit.sandbox, visit.row.id)
    return _to_checkout(visit.at(row), row.channel or "")


def cancel(visit: Visit, form: Mapping[str, Any], request: Request) -> Response:
    """The payer leaves; the transaction stays open and can be paid later at the same address."""
    del form, request
    visit = visit.at(charging.abandon(visit.sandbox, visit.row.id))
    settings = visit.sandbox.settings
    url = None if visit.in_popup else returning.cancel_url(visit.row, settings)
    if url is not None:
        return RedirectResponse(url, 302)
    url = None if visit.in_popup else returning.callback_url(visit.row, settings)
    return page("checkout/ended.html", **common_values(visit), title="Payment cancelled", url=url, cancelled=True)


def _after(visit: Visit, channel: str) -> Response:
    return _paid(visit) if visit.row.is_paid else _to_checkout(visit, channel)


def _paid(visit: Visit) -> Response:
    url = returning.callback_url(visit.row, visit.sandbox.settings)
    if url is not None and not visit.in_popup:
        return RedirectResponse(url, 302)
    return page("checkout/paid.html", **common_values(visit), title="Payment successful", url=None)


def _already_paid(visit: Visit) -> Response:
    url = None if visit.in_popup else returning.callback_url(visit.row, visit.sandbox.settings)
    return page("checkout/paid.html", **common_values(visit), title="This payment has already been made", url=url)


def _to_checkout(visit: Visit, channel: str = "") -> Response:
    query = f"?channel={quote(channel)}" if channel else ""
    return RedirectResponse(f"{visit.address}{query}", 303)


def _served(action: Action, *, in_popup: bool) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        sandbox: Sandbox = request.app.state.sandbox
        row = sandbox.state.find_transaction("t.access_code = ?", request.path_params["code"])
        if row is None:
            return page("checkout/problem.html", 404, message="There is no payment at this address.")
        if request.method == "POST" and guard.is_foreign_form(request):
            return page("checkout/problem.html", 403, message="This form was sent from another site.")
        visit = Visit(sandbox, row, in_popup, f"{request.url.scheme}://{request.url.netloc}")
        try:
            form = await read_body(request) if request.method == "POST" else {}
            return action(visit, form, request)
        except PaystackError as error:
            return page("checkout/problem.html", error.http_status, message=error.message)
        except charging.AlreadyPaid:
            return _already_paid(visit.at(sandbox.state.transaction_by_id(row.id)))
        except charging.CheckoutClosed:
            return _to_checkout(visit)

    return serve


def routes() -> list[Route]:
    table: tuple[tuple[str, str, Action], ...] = (
        ("GET", "", show),
        ("GET", "/state", state),
        ("GET", "/phone", phone),
        ("POST", "/pay", pay),
        ("POST", "/answer", answer),
        ("POST", "/back", back),
        ("POST", "/cancel", cancel),
    )
    places = (("checkout", False), ("popup", True))
    return inline.routes() + [
        Route(f"/{place}/{{code}}{path}", _served(action, in_popup=in_popup), methods=[method])
        for place, in_popup in places
        for method, path, action in table
    ]
