"""A request to the dashboard, and what stands on every page of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from paystack_sandbox.api.pages import read_id
from paystack_sandbox.clock import iso
from paystack_sandbox.sandbox import Sandbox
from paystack_sandbox.state import Integration

TABS = (
    ("transactions", "/", "Transactions"),
    ("customers", "/dashboard/customers", "Customers"),
    ("webhooks", "/dashboard/webhooks", "Webhooks"),
    ("requests", "/dashboard/requests", "API log"),
    ("faults", "/dashboard/faults", "Faults"),
    ("clock", "/dashboard/clock", "Clock"),
)

Values = dict[str, Any]
Form = Mapping[str, Any]


class NotThere(Exception):
    """The dashboard has nothing at this address."""


@dataclass(frozen=True, slots=True)
class Visit:
    sandbox: Sandbox
    integration: Integration
    path: Mapping[str, str]
    query: Mapping[str, str]

    def row_id(self, name: str = "id") -> int:
        """The id in the address. Raises NotThere."""
        found = read_id(self.path[name])
        if found is None:
            raise NotThere
        return found

    def address(self, path: str) -> str:
        return address(self, path)


def begin(sandbox: Sandbox, path: Mapping[str, str], query: Mapping[str, str]) -> Visit:
    """With the integration the query names; the first one otherwise."""
    wanted = read_id(query.get("integration", ""))
    every = sandbox.integrations
    return Visit(sandbox, next((one for one in every if one.id == wanted), every[0]), path, query)


def address(visit: Visit, path: str, **query: Any) -> str:
    """A link on the dashboard that stays with the integration it stands at."""
    if visit.integration.id != visit.sandbox.first_integration.id:
        query["integration"] = visit.integration.id
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def common_values(visit: Visit, tab: str) -> Values:
    sandbox = visit.sandbox
    return {
        "tab": tab,
        "tabs": TABS,
        "link": partial(address, visit),
        "now": spoken(sandbox.clock.now_ms()),
        "ahead": duration(sandbox.clock.offset_ms // 1000),
        "integration": visit.integration,
        "integrations": sandbox.integrations,
        "merchant": sandbox.settings.merchant_name,
        "faults_are_off": sandbox.dice.faults.are_off,
        "is_open": sandbox.allow_remote_control,
        "problem": None,
    }


def spoken(moment_ms: int | None) -> str:
    """`2026-11-25 09:15:02`, UTC; empty for no moment."""
    return (iso(moment_ms) or "").replace("T", " ").partition(".")[0]


def duration(seconds: int) -> str:
    """`2 d 3 h`: at most two units; empty for nothing."""
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            parts.append(f"{seconds // size} {name}")
            seconds %= size
    return " ".join(parts[:2])


def pretty(body: bytes | str | None) -> str:
    """JSON on lines of its own; anything else as it is."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
