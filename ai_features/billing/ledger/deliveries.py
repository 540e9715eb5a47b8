"""Webhooks that confirm purchases, each recorded and settled in one statement for all that came together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from django.utils import timezone

from ai_features.billing.ledger.arrays import array, quoted
from ai_features.billing.ledger.operations import Reply, in_order
from ai_features.billing.round_trip import ask
from ai_features.money import MAX_MICRO


class Delivery(NamedTuple):
    """One webhook that confirms a purchase, as the arrays of `settle.sql` have it: `told` is what it says, as JSON."""

    told: str
    body: str
    reference: str


class Recorded(NamedTuple):
    """The id of a webhook's event, and whether its purchase was settled too."""

    event_id: int
    is_settled: bool


def delivery(reference: str, told: dict[str, Any], body: bytes) -> Delivery:
    """`told` is in the function's words (`settle.sql`)."""
    return Delivery(orjson.dumps(told).decode(), f'"\\\\x{body.hex()}"', quoted(reference))


_SETTLE = "SELECT * FROM ai_features_settle(%s::json, %s::bytea[], %s::text[], %s::bigint, %s)"


def settle(deliveries: Sequence[Delivery]) -> Reply[Recorded]:
    """Record webhooks and settle the purchases that they confirm, where both are ordinary; on PostgreSQL."""
    told, bodies, references = zip(*deliveries, strict=True)
    columns = f"[{','.join(told)}]", array(bodies), array(references)
    return in_order(deliveries, ask(_SETTLE, [*columns, MAX_MICRO, timezone.now()]), Recorded)
