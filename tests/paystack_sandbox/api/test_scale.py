"""Lookups and totals cost the same with many transactions as with few: counted in SQLite's own steps."""

from collections.abc import Iterator

import pytest

from paystack_sandbox.api.call import Call
from paystack_sandbox.api.operations import ROUTES
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import State

OPERATIONS = {(route.method, route.path): route.operation for route in ROUTES}
FEW, MANY = 200, 20_000


def filled(rows: int) -> Sandbox:
    sandbox = Sandbox(State())
    state = sandbox.state
    with state.transaction():
        customers = [state.customer_id(1, f"payer{number}@example.com", 0) for number in range(rows // 100)]
        for number in range(rows):
            row = state.add_transaction(
                integration_id=1,
                customer_id=customers[number % len(customers)],
                reference=f"r{number}",
                reference_key=f"r{number}",
                access_code=f"a{number}",
                status="abandoned",
                currency="GHS",
                amount=100,
                requested_amount=100,
                metadata='""',
                gateway_response="",
                created_at=number,
            )
            state.update_transaction(row.id, status="success", channel="card", paid_at=number)
    return sandbox


@pytest.fixture(scope="module")
def sizes() -> Iterator[tuple[Sandbox, Sandbox]]:
    few, many = filled(FEW), filled(MANY)
    yield few, many
    few.state.close()
    many.state.close()


def steps(sandbox: Sandbox, method: str, path: str, query: dict[str, str], values: dict[str, str]) -> int:
    call = Call(sandbox, sandbox.first_integration, values, query, {"email": "new@example.com", "amount": 100}, "")
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection = sandbox.state._connection
    connection.set_progress_handler(count, 10)
    OPERATIONS[method, path](call)
    connection.set_progress_handler(None, 0)
    return counted * 10


@pytest.mark.parametrize(
    ("method", "path", "query", "values"),
    [
        ("GET", "/transaction/verify/{reference:path}", {}, {"reference": "r77"}),
        ("GET", "/transaction/{id}", {}, {"id": "5000000078"}),
        ("GET", "/transaction", {}, {}),
        ("GET", "/transaction", {"status": "success", "currency": "GHS", "channel": "card"}, {}),
        ("GET", "/transaction", {"use_cursor": "true"}, {}),
        ("GET", "/transaction", {"customer": "5000000001"}, {}),
        ("GET", "/transaction/totals", {}, {}),
        ("GET", "/customer/{email_or_code}", {}, {"email_or_code": "payer1@example.com"}),
        ("POST", "/transaction/initialize", {}, {}),
    ],
)
def test_many_cost_no_more_than_few(
    sizes: tuple[Sandbox, Sandbox], method: str, path: str, query: dict[str, str], values: dict[str, str]
) -> None:
    few, many = (steps(sandbox, method, path, query, values) for sandbox in sizes)
    assert many <= 1.5 * few + 200
