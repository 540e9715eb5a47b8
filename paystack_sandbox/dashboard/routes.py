"""The dashboard's addresses. A form goes to the address of its page; what it does ends in a redirect."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from paystack_sandbox import guard
from paystack_sandbox.bodies import read_body
from paystack_sandbox.dashboard import actions, details, lists, switches
from paystack_sandbox.dashboard.visit import Form, NotThere, Values, Visit, begin, common_values
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.faults import InvalidFaults
from paystack_sandbox.pages import page, unframed


@dataclass(frozen=True, slots=True)
class View:
    """One page: what it shows, and what its forms do."""

    path: str
    name: str
    tab: str
    read: Callable[[Visit], Values]
    act: Callable[[Visit, Form], str] | None = None


VIEWS = (
    View("/", "transactions", "transactions", lists.transactions),
    View(
        "/dashboard/transactions/{id}", "transaction", "transactions", details.transaction, actions.act_on_transaction
    ),
    View("/dashboard/customers", "customers", "customers", lists.customers),
    View("/dashboard/customers/{code}", "customer", "customers", details.customer),
    View("/dashboard/webhooks", "webhooks", "webhooks", lists.webhooks),
    View("/dashboard/webhooks/{id}", "webhook", "webhooks", details.webhook, actions.send_again),
    View("/dashboard/requests", "requests", "requests", lists.requests),
    View("/dashboard/requests/{id}", "request", "requests", details.request),
    View("/dashboard/faults", "faults", "faults", switches.faults, actions.set_faults),
    View("/dashboard/clock", "clock", "clock", actions.clock, actions.act_on_clock),
)


def _served(view: View) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        refusal = guard.refusal(request)
        if refusal is not None:
            return page("checkout/problem.html", 403, message=refusal)
        visit = begin(request.app.state.sandbox, request.path_params, request.query_params)
        try:
            return unframed(await _answer(view, visit, request))
        except NotThere:
            return unframed(page("dashboard/missing.html", 404, **common_values(visit, view.tab)))

    return serve


async def _answer(view: View, visit: Visit, request: Request) -> Response:
    if request.method != "POST" or view.act is None:
        return _shown(view, visit)
    try:
        return RedirectResponse(visit.address(view.act(visit, await read_body(request))), 303)
    except PaystackError as error:
        return _shown(view, visit, error.message)
    except (actions.Refused, InvalidFaults) as error:
        return _shown(view, visit, str(error))


def _shown(view: View, visit: Visit, problem: str | None = None) -> Response:
    values = common_values(visit, view.tab) | {"problem": problem}
    return page(f"dashboard/{view.name}.html", 422 if problem else 200, **values, **view.read(visit))


def routes() -> list[Route]:
    return [
        Route(view.path, _served(view), methods=["GET", "POST"] if view.act is not None else ["GET"]) for view in VIEWS
    ]
