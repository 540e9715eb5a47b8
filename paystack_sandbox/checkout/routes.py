"""The checkout's four addresses. Each POST ends in a redirect, so that reloading a page repeats nothing."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from paystack_sandbox import charging, guard
from paystack_sandbox.bodies import read_body
from paystack_sandbox.checkout import returning
from paystack_sandbox.checkout.forms import read_payment, text_field
from paystack_sandbox.checkout.view import common_values, payment_page, step_page
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.pages import page
from paystack_sandbox.payments import InvalidInstrument
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Transaction

Action = Callable[[Sandbox, Transaction, Mapping[str, Any], Request], Response]


def show(sandbox: Sandbox, row: Transaction, form: Mapping[str, Any], request: Request) -> Response:
    """The page the transaction is at: choose and pay, answer what is asked, or the end."""
    del form
    if row.is_paid:
        # A page that waited for the phone refreshes itself to here; others were opened by hand.
        return _paid(sandbox, row) if "waiting" in request.query_params else _already_paid(sandbox, row)
    if charging.is_closed(sandbox, row):
        return page("checkout/ended.html", **common_values(sandbox, row), title="Payment failed", url=None)
    if row.pending is not None:
        return step_page(sandbox, row, json.loads(row.pending))
    return payment_page(sandbox, row, request.query_params.get("channel", ""))


def pay(sandbox: Sandbox, row: Transaction, form: Mapping[str, Any], request: Request) -> Response:
    channel = text_field(form, "channel")
    try:
        instrument, answers = read_payment(form, channel, row.currency)
        row = charging.attempt(
            sandbox, row.id, instrument, answers, ip_address=request.client.host if request.client else None
        )
    except InvalidInstrument as error:
        return payment_page(sandbox, row, channel, error, form)
    return _after(sandbox, row, channel)


def answer(sandbox: Sandbox, row: Transaction, form: Mapping[str, Any], request: Request) -> Response:
    """PIN, OTP and the like; also what the simulated bank page and phone send."""
    del request
    step = text_field(form, "step")
    try:
        row = charging.answer(sandbox, row.id, step, text_field(form, step))
    except charging.NothingAsked:
        # Two tabs, or the back button: show where the transaction really is.
        return _to_checkout(row)
    return _after(sandbox, row, row.channel or "")


def back(sandbox: Sandbox, row: Transaction, form: Mapping[str, Any], request: Request) -> Response:
    del form, request
    return _to_checkout(charging.abandon(sandbox, row.id), row.channel or "")


def cancel(sandbox: Sandbox, row: Transaction, form: Mapping[str, Any], request: Request) -> Response:
    """The payer leaves; the transaction stays open and can be paid later at the same address."""
    del form, request
    row = charging.abandon(sandbox, row.id)
    url = returning.cancel_url(row, sandbox.settings)
    if url is not None:
        return RedirectResponse(url, 302)
    values = common_values(sandbox, row)
    url = returning.callback_url(row, sandbox.settings)
    return page("checkout/ended.html", **values, title="Payment cancelled", url=url)


def _after(sandbox: Sandbox, row: Transaction, channel: str) -> Response:
    return _paid(sandbox, row) if row.is_paid else _to_checkout(row, channel)


def _paid(sandbox: Sandbox, row: Transaction) -> Response:
    url = returning.callback_url(row, sandbox.settings)
    if url is not None:
        return RedirectResponse(url, 302)
    values = common_values(sandbox, row)
    return page("checkout/paid.html", **values, title="Payment successful", url=None)


def _already_paid(sandbox: Sandbox, row: Transaction) -> Response:
    url = returning.callback_url(row, sandbox.settings)
    values = common_values(sandbox, row)
    return page("checkout/paid.html", **values, title="This payment has already been made", url=url)


def _to_checkout(row: Transaction, channel: str = "") -> Response:
    query = f"?channel={quote(channel)}" if channel else ""
    return RedirectResponse(f"/checkout/{row.access_code}{query}", 303)


def _served(action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        sandbox: Sandbox = request.app.state.sandbox
        row = sandbox.state.find_transaction("t.access_code = ?", request.path_params["code"])
        if row is None:
            return page("checkout/problem.html", 404, message="There is no payment at this address.")
        if request.method == "POST" and guard.is_foreign_form(request):
            return page("checkout/problem.html", 403, message="This form was sent from another site.")
        try:
            form = await read_body(request) if request.method == "POST" else {}
            return action(sandbox, row, form, request)
        except PaystackError as error:
            return page("checkout/problem.html", error.http_status, message=error.message)
        except charging.AlreadyPaid:
            return _already_paid(sandbox, sandbox.state.transaction_by_id(row.id))
        except charging.CheckoutClosed:
            return _to_checkout(row)

    return serve


def routes() -> list[Route]:
    return [
        Route("/checkout/{code}", _served(show), methods=["GET"]),
        Route("/checkout/{code}/pay", _served(pay), methods=["POST"]),
        Route("/checkout/{code}/answer", _served(answer), methods=["POST"]),
        Route("/checkout/{code}/back", _served(back), methods=["POST"]),
        Route("/checkout/{code}/cancel", _served(cancel), methods=["POST"]),
    ]
