"""Where the sandbox's answers differ from Paystack's OpenAPI document, because the document does from the service.

A test holds every answer to the document but for these rows, and every row to an answer that needs it.
Brackets name sections of the facts page.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

EMPTY_VALUES: tuple[Any, ...] = (None, "", 0, {})


@dataclass(frozen=True, slots=True)
class Deviation:
    """`place` is the way to the value: `data.[].customer.phone`. In it * is one step, and ** any number of them.

    `only_empty` rows allow nothing but null, "", 0 and {}.
    """

    operation: str
    place: str
    reason: str
    only_empty: bool = False

    def covers(self, operation: str, place: str, value: Any) -> bool:
        named = fnmatchcase(operation, self.operation) and _leads_to(self.place.split("."), place.split("."))
        return named and (not self.only_empty or value in EMPTY_VALUES)


def _leads_to(pattern: list[str], steps: list[str]) -> bool:
    if pattern[:1] == ["**"]:
        return True
    if not pattern or not steps:
        return pattern == steps
    return pattern[0] in ("*", steps[0]) and _leads_to(pattern[1:], steps[1:])


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "*",
        "data.**",
        "strict types for `data`, where the service answers null, an empty string, 0 or {} for what is not set (2)",
        only_empty=True,
    ),
    Deviation(
        "* /charge*",
        "data.*",
        "documents a paid charge only; a charge that waits or failed has `reference`, `status` and a text (4.3)",
    ),
    Deviation(
        "* /charge*",
        "data.authorization.*",
        "a phone's authorization has numbers for its expiry, and no signature, in this answer (3.5)",
    ),
    Deviation(
        "POST /transaction/charge_authorization",
        "data.*",
        "documents a charge only; one that the bank wants approved names a page for the payer (3.9)",
    ),
    Deviation("GET /dispute", "meta.*", "documents pages by number only; by cursor `meta` is another (1.6)"),
    Deviation("GET /transaction", "meta.*", "documents pages by number only; by cursor `meta` is another (1.6)"),
    Deviation("GET /customer", "meta.*", "documents pages by number only; by cursor `meta` is another (1.6)"),
    Deviation("POST /plan", "status 201", "documents 200; plans are created with 201 (1.2)"),
    Deviation(
        "GET /transaction/verify/{}",
        "data.plan_object",
        "offers two forms of which the first takes anything, so that no plan can match exactly one",
    ),
    Deviation("GET /refund", "meta.perPage", "says string; every sample of `meta` has a number (1.6)"),
    Deviation(
        "POST /refund/retry_with_customer_details/{}",
        "data.settlement",
        "says object; in the samples of refunds such a reference is a number (5)",
    ),
    Deviation("GET /settlement*", "data", "says object; the documented sample is a list"),
    Deviation(
        "GET /subscription",
        "data.[].authorization.reusable",
        "says integer here and boolean everywhere else; the samples have a boolean (3.6)",
    ),
    Deviation(
        "GET /country",
        "data.[].relationships.currency.supported_currencies.*",
        "requires Nigeria's currencies of every country",
    ),
)
