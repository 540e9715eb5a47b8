"""What Paystack says of a payment, as verify and webhooks say it, for tests that need no server."""

import hashlib
import hmac
from typing import Any

import orjson

from ai_features.models import Purchase
from ai_features.paystack import Transaction

SECRET_KEY = "sk_test_sandbox"


def charge(purchase: Purchase | None = None, **changes: Any) -> dict[str, Any]:
    """The `data` of a successful charge that matches the purchase, but for the changes."""
    data: dict[str, Any] = {
        "id": 4099260516,
        "domain": "test",
        "status": "success",
        "reference": purchase.reference if purchase else "T1",
        "amount": purchase.amount_minor if purchase else 8000,
        "requested_amount": purchase.amount_minor if purchase else 8000,
        "currency": "GHS",
        "channel": "card",
        "fees": 156,
        "gateway_response": "Successful",
        "message": None,
        "paid_at": "2026-08-22T09:15:02.000Z",
        "metadata": "",
        "customer": {"email": "ama@example.com"},
        "authorization": {},
    }
    return data | changes


def facts(purchase: Purchase | None = None, **changes: Any) -> Transaction:
    return Transaction.from_payload(charge(purchase, **changes))


def charge_success(purchase: Purchase | None = None, **changes: Any) -> bytes:
    return orjson.dumps({"event": "charge.success", "data": charge(purchase, **changes)})


def sign(body: bytes, key: str = SECRET_KEY) -> str:
    return hmac.new(key.encode(), body, hashlib.sha512).hexdigest()
