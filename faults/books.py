"""The sandbox's books, read over HTTP: what was paid, sent back and delivered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from faults.system import KEY

PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Payment:
    reference: str
    status: str
    amount_minor: int
    currency: str

    @property
    def is_paid(self) -> bool:
        return self.status == "success"

    @property
    def went_back(self) -> bool:
        return self.status in ("reversed", "reversal-pending")


@dataclass(frozen=True, slots=True)
class MoneyBack:
    id: str
    reference: str
    amount_minor: int
    status: str


@dataclass(frozen=True)
class Books:
    payments: dict[str, Payment]
    refunds: list[MoneyBack]
    disputes: list[str]
    """References."""
    deliveries: list[dict[str, Any]]
    struck: dict[str, int]
    clock_moved_seconds: float


def read(address: str) -> Books:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as sandbox:
        payments = [
            Payment(row["reference"], row["status"], row["amount"], row["currency"])
            for row in _pages(sandbox, "/transaction")
        ]
        references = {row["id"]: row["reference"] for row in _pages(sandbox, "/transaction")}
        refunds = [
            MoneyBack(str(row["id"]), references[row["transaction"]], row["amount"], row["status"])
            for row in _pages(sandbox, "/refund")
        ]
        return Books(
            payments={payment.reference: payment for payment in payments},
            refunds=refunds,
            disputes=[row["transaction"]["reference"] for row in _pages(sandbox, "/dispute")],
            deliveries=list(_deliveries(sandbox)),
            struck=sandbox.get("/_sandbox/faults/struck").json()["api"],
            clock_moved_seconds=sandbox.get("/_sandbox/clock").json()["advanced_seconds"],
        )


def _pages(sandbox: httpx2.Client, path: str) -> Iterator[dict[str, Any]]:
    page = 1
    while rows := _answer(sandbox, path, {"perPage": PER_PAGE, "page": page})["data"]:
        yield from rows
        page += 1


def _deliveries(sandbox: httpx2.Client) -> Iterator[dict[str, Any]]:
    """Newest first, all of them."""
    narrowed: dict[str, Any] = {}
    while rows := _answer(sandbox, "/_sandbox/webhooks", narrowed):
        yield from rows
        narrowed = {"before": rows[-1]["id"]}


def _answer(sandbox: httpx2.Client, path: str, query: dict[str, Any]) -> Any:
    answer = sandbox.get(path, params=query)
    answer.raise_for_status()
    return answer.json()
