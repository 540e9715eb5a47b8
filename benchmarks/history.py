"""A wallet with a long past beside a fresh one: what an operation costs must not depend on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ai_features.models import Wallet
from benchmarks import data, http, python_api
from benchmarks.compare import Measure, Row, Yardstick
from benchmarks.postgres import CLIENTS

COST_MAX = {1: 1.2, CLIENTS: 1.4}
"""By clients: how many times the cost on a fresh wallet."""

Operation = Callable[[Sequence[Wallet], int], Measure]


def rows(entries: int) -> Iterator[Row]:
    data.add_history(old := data.make_wallets(1, "history")[0], entries)
    yield from _beside_fresh_ones(old, _OPERATIONS)
    if http.can_be_measured():
        with http.product() as port:
            yield from _beside_fresh_ones(old, _over_http(port))


def _beside_fresh_ones(old: Wallet, operations: Mapping[str, Operation]) -> Iterator[Row]:
    for clients, cost_max in COST_MAX.items():
        for name, operation in operations.items():
            # One for each row, or it would have a past of its own by the second.
            (fresh,) = data.make_wallets(1, f"fresh for {name}, {clients}")
            yardstick = Yardstick("fresh wallet", operation([fresh], clients), goal=1 / cost_max)
            yield Row(f"history: {name}, {clients} clients", operation([old], clients), [yardstick])


_OPERATIONS: dict[str, Operation] = {
    "spend": lambda wallets, clients: python_api.threads(python_api.spend(wallets), clients),
    "leased": lambda wallets, clients: python_api.threads(python_api.spend_leased(wallets), clients),
    "spend_many": lambda wallets, clients: python_api.threads(python_api.spend_many(wallets), clients),
    "reserve + capture": lambda wallets, clients: python_api.threads(python_api.reserve_and_capture(wallets), clients),
    "settle a webhook": python_api.settle,
    "balance": lambda wallets, clients: python_api.threads(python_api.balance(wallets), clients),
}


def _over_http(port: int) -> dict[str, Operation]:
    def replayed(request: Callable[[str], bytes]) -> Operation:
        return lambda wallets, clients: http.replayed(port, [*map(request, data.make_tokens(list(wallets)))], clients)

    return {
        "http: spend": replayed(http.spend_request),
        "http: balance": replayed(http.balance_request),
        "http: webhook": lambda wallets, clients: http.settled(port, wallets, clients),
    }
