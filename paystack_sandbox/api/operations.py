"""Which operations of Paystack's API the sandbox has. What is not in this table is answered as such."""

from paystack_sandbox.api.banks import list_banks, list_countries
from paystack_sandbox.api.call import Route
from paystack_sandbox.api.initialize import initialize
from paystack_sandbox.api.transactions import fetch, list_transactions, timeline, totals, verify

# `path` where the value may hold a slash that was sent encoded: it is refused by name, not by a 404.
ROUTES: tuple[Route, ...] = (
    Route("POST", "/transaction/initialize", initialize),
    Route("GET", "/transaction/verify/{reference:path}", verify),
    Route("GET", "/transaction", list_transactions),
    Route("GET", "/transaction/totals", totals),
    Route("GET", "/transaction/timeline/{id_or_reference:path}", timeline),
    Route("GET", "/transaction/{id}", fetch),
    Route("GET", "/bank", list_banks, needs_key=False),
    Route("GET", "/country", list_countries, needs_key=False),
)
