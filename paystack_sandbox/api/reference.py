"""Writes docs/SANDBOX_API.md: `python -m paystack_sandbox.api.reference > docs/SANDBOX_API.md`."""

import inspect
import re
import sys
from itertools import groupby

from paystack_sandbox.api.call import Route
from paystack_sandbox.api.deviations import DEVIATIONS
from paystack_sandbox.api.operations import ROUTES
from paystack_sandbox.errors import ERRORS

_VALUE = re.compile(r"{[a-z]+}")
# Sections of the facts page, which is for those who work on the sandbox.
_SECTIONS = re.compile(r" \([0-9.]+\)")
_TITLES = {
    "transaction": "Transactions",
    "charge": "Charges",
    "capitec-pay": "Charges",
    "customer": "Customers",
    "refund": "Refunds",
    "plan": "Plans",
    "subscription": "Subscriptions",
    "dispute": "Disputes",
    "bank": "Banks and verification",
    "decision": "Banks and verification",
    "country": "Countries and states",
    "address_verification": "Countries and states",
    "settlement": "Payouts and balance",
    "balance": "Payouts and balance",
    "integration": "Integration and webhook events",
}
_HEAD = """# Paystack's API in the sandbox

Written by `python -m paystack_sandbox.api.reference > docs/SANDBOX_API.md`; a test fails where it is out of date.

Whatever is not listed here answers 404 with `"code": "not_in_sandbox"`: splits, subaccounts, virtual accounts, direct
debit, transfers and their recipients, bulk charges, terminals, Apple Pay, products, storefronts, orders, payment pages
and requests, card holds.

How sure we are:

- **seen**: recorded from the real service by independent integrators;
- **documented**: as in Paystack's own samples or its OpenAPI document, which are wrong in places;
- **unconfirmed**: nobody we know of has watched the real service do it. `paystack_sandbox.settings.Settings` can change
  most of these. Don't build on them.
"""
_ERRORS = """## Errors

`{}` stands for a value. A wrong value for which no text of Paystack's is known is a 400 with its `invalid_params`.

| HTTP | message | code | how sure |
|---|---|---|---|
"""
_DEVIATIONS = """## Where the OpenAPI document is not followed

A test holds every answer to Paystack's OpenAPI document (2025-10-24) but for these places, and each row to an answer
that needs it. `[]` is a row of a list, `*` one step, `**` any number of steps.

| operation | place | why |
|---|---|---|
"""


def page() -> str:
    parts = [_HEAD]
    for title, routes in groupby(ROUTES, key=_title):
        parts.append(f"## {title}\n\n| operation | what it does | how sure |\n|---|---|---|\n{_rows(list(routes))}")
    errors = [
        f"| {row.http_status} | {_cell(_VALUE.sub('{}', row.message))} | {_code(row.code)} | {row.source} |\n"
        for row in ERRORS.values()
    ]
    differing = [f"| `{row.operation}` | `{row.place}` | {_cell(row.reason)} |\n" for row in DEVIATIONS]
    return "\n".join([*parts, _ERRORS + "".join(errors), _DEVIATIONS + "".join(differing)])


def _title(route: Route) -> str:
    return _TITLES[route.path.split("/")[1]]


def _rows(routes: list[Route]) -> str:
    return "".join(f"| `{_address(route)}` | {_summary(route)} | {_cell(route.sure)} |\n" for route in routes)


def _address(route: Route) -> str:
    return f"{route.method} {route.path.replace(':path', '')}"


def _summary(route: Route) -> str:
    """The first paragraph of the operation's docstring."""
    text = inspect.getdoc(route.operation) or ""
    return _cell(" ".join(text.partition("\n\n")[0].split()))


def _code(code: str | None) -> str:
    return f"`{code}`" if code else ""


def _cell(text: str) -> str:
    return _SECTIONS.sub("", text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
