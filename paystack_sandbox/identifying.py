"""Who a customer is: the check that `POST /customer/:code/identification` begins (facts 7.3, 8.2).

Paystack's test mode knows only the people of its documentation; so does the sandbox, and everybody else fails.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paystack_sandbox.records import Customer

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

IDENTIFIED = "identified"
# (country, BVN, account number, bank code) of the documentation's samples.
KNOWN_PEOPLE = {
    ("NG", "20012345677", "0123456789", "007"),
    ("NG", "222222222221", "0111111111", "007"),
}
_WRONG = "Account number or BVN is incorrect"


def begin(sandbox: "Sandbox", customer: Customer, asked: Mapping[str, Any]) -> None:
    """Write down what is to be checked, and let the clock decide."""
    sandbox.state.update(Customer.table, customer.id, identification=json.dumps({**asked, "status": "pending"}))
    due_at = sandbox.clock.now_ms() + sandbox.settings.identification_seconds * 1000
    sandbox.state.set_timer(IDENTIFIED, customer.id, due_at)


def decide(sandbox: "Sandbox", customer_id: int) -> None:
    customer = sandbox.state.get(Customer, customer_id)
    asked = json.loads(customer.identification or "{}")
    known = any(
        (asked.get("country"), asked.get("bvn")) == (country, bvn)
        and (asked["type"] == "bvn" or (asked.get("account_number"), asked.get("bank_code")) == account)
        for country, bvn, *rest in KNOWN_PEOPLE
        for account in [tuple(rest)]
    )
    ending = "success" if known else "failed"
    with sandbox.state.transaction():
        text = json.dumps({**asked, "status": ending})
        sandbox.state.update(Customer.table, customer.id, identification=text)
        data = {
            # A string in the sample of the success, a number in the other's.
            "customer_id": str(customer.id) if known else customer.id,
            "customer_code": customer.code,
            "email": customer.email,
            "identification": _masked(asked),
            **({} if known else {"reason": _WRONG}),
        }
        integration = sandbox.state.integration(customer.integration_id)
        sandbox.webhooks.enqueue(integration, f"customeridentification.{ending}", None, data, customer.id)


def is_identified(customer: Customer) -> bool:
    return customer.identification is not None and json.loads(customer.identification)["status"] == "success"


def shown(customer: Customer) -> dict[str, Any] | None:
    """`identifications` of a customer: null until it succeeded."""
    return _masked(json.loads(customer.identification or "{}")) if is_identified(customer) else None


def _masked(asked: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"country": asked["country"], "type": asked["type"]}
    if asked["type"] == "bank_account":
        account = str(asked["account_number"])
        return {
            **shown,
            "bvn": _stars(asked["bvn"]),
            "account_number": account[:3] + "*" * max(0, len(account) - 6) + account[-3:],
            "bank_code": asked["bank_code"],
        }
    return {**shown, "value": _stars(asked["bvn"])}


def _stars(bvn: str) -> str:
    return f"{bvn[:3]}*****{bvn[-3:]}"
