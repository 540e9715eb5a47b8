"""Plans and subscriptions: made by checkout or API, charged by the clock."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.subscribing import after, cron
from tests.paystack_sandbox.conftest import Start

Events = Callable[[], list[str]]
DAY = 86400


@pytest.fixture
def plan(client: httpx2.Client) -> dict:
    response = client.post("/plan", json={"name": "Monthly credits", "amount": "20000", "interval": "monthly"})
    assert (response.status_code, response.json()["message"]) == (201, "Plan created")
    return response.json()["data"]


def subscribe(client: httpx2.Client, of: dict, **body: object) -> httpx2.Response:
    return client.post("/subscription", json={"customer": "ama@example.com", "plan": of["plan_code"], **body})


def fetch(client: httpx2.Client, code: str) -> dict:
    return client.get(f"/subscription/{code}").json()["data"]


def test_checkout_with_a_plan_begins_a_subscription(
    client: httpx2.Client, plan: dict, start: Start, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    paid = paystack_sandbox.pay(start(plan=plan["plan_code"], amount=1)["reference"])
    assert (paid["amount"], events()) == (20000, ["charge.success", "subscription.create"])
    row = client.get("/subscription", params={"plan": plan["id"]}).json()["data"][0]
    assert (row["status"], row["payments_count"], row["plan"]["plan_code"]) == ("active", 1, plan["plan_code"])
    verified = client.get(f"/transaction/verify/{paid['reference']}").json()["data"]
    assert (verified["plan"], verified["plan_object"]["id"]) == (plan["plan_code"], plan["id"])
    webhook = paystack_sandbox.webhooks()[-1]["payload"]["data"]
    assert webhook["plan"]["interval"] == "monthly"


def test_months_are_charged_by_the_clock(
    client: httpx2.Client, plan: dict, start: Start, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    paystack_sandbox.pay(start(plan=plan["plan_code"])["reference"])
    paystack_sandbox.advance(seconds=63 * DAY)
    assert events()[2:] == ["invoice.create", "charge.success", "invoice.update"] * 2
    row = client.get("/subscription").json()["data"][0]
    assert (row["payments_count"], row["most_recent_invoice"]["status"]) == (3, "success")
    charged = [row for row in client.get("/transaction").json()["data"] if row["amount"] == 20000]
    assert len({row["paid_at"][:7] for row in charged}) == 3
    assert client.get(f"/plan/{plan['id']}").json()["data"]["total_revenue"] == 60000


def test_by_api_the_saved_card_is_charged_at_once(
    client: httpx2.Client, plan: dict, saved_card: str, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    body = subscribe(client, plan, authorization=saved_card).json()
    assert body["message"] == "Subscription successfully created"
    assert {type(body["data"][field]) for field in ("customer", "plan", "authorization")} == {int}
    paystack_sandbox.advance(seconds=0)
    assert events()[1:] == ["subscription.create", "invoice.create", "charge.success", "invoice.update"]
    assert fetch(client, body["data"]["subscription_code"])["payments_count"] == 1


def test_start_date_is_the_first_charge(
    client: httpx2.Client, plan: dict, saved_card: str, paystack_sandbox: PaystackSandbox
) -> None:
    data = subscribe(client, plan, start_date="2090-03-10").json()["data"]
    assert (data["next_payment_date"], data["cron_expression"]) == ("2090-03-10T00:00:00.000Z", "0 0 10 * *")
    paystack_sandbox.advance(seconds=0)
    assert fetch(client, data["subscription_code"])["payments_count"] == 0


def test_charge_that_fails_needs_attention_until_the_next(
    client: httpx2.Client,
    payer: httpx2.Client,
    plan: dict,
    saved_card: str,
    paystack_sandbox: PaystackSandbox,
    events: Events,
) -> None:
    payer.put(f"/_sandbox/authorizations/{saved_card}", json={"declines": "Insufficient Funds"})
    code = subscribe(client, plan).json()["data"]["subscription_code"]
    paystack_sandbox.advance(seconds=0)
    assert (events()[-1], fetch(client, code)["status"]) == ("invoice.payment_failed", "attention")
    failed = paystack_sandbox.webhooks()[0]["payload"]["data"]
    assert (failed["paid"], failed["transaction"], failed["description"]) == (False, {}, "Insufficient Funds")
    payer.put(f"/_sandbox/authorizations/{saved_card}", json={})
    paystack_sandbox.advance(seconds=32 * DAY)
    assert (events()[-1], fetch(client, code)["status"]) == ("invoice.update", "active")


def test_ends_with_its_last_invoice(
    client: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    daily = client.post("/plan", json={"name": "Daily", "amount": 100, "interval": "daily", "invoice_limit": 3}).json()[
        "data"
    ]
    paystack_sandbox.pay(start(plan=daily["plan_code"])["reference"])
    paystack_sandbox.advance(seconds=10 * DAY)
    assert events().count("charge.success") == 3
    assert events()[-1] == "subscription.disable"
    assert paystack_sandbox.webhooks()[0]["payload"]["data"]["status"] == "complete"
    assert client.get("/subscription").json()["data"][0]["status"] == "completed"


def test_disabled_runs_out_and_enabled_goes_on(
    client: httpx2.Client, plan: dict, start: Start, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    paystack_sandbox.pay(start(plan=plan["plan_code"])["reference"])
    row = client.get("/subscription").json()["data"][0]
    key = {"code": row["subscription_code"], "token": row["email_token"]}
    disabled = client.post("/subscription/disable", json=key).json()
    assert disabled == {"status": True, "message": "Subscription disabled successfully"}
    assert (events()[-1], fetch(client, key["code"])["status"]) == ("subscription.not_renew", "non-renewing")
    assert client.post("/subscription/disable", json=key).status_code == 404
    assert client.post("/subscription/enable", json=key).json() == {
        "status": True,
        "message": "Subscription enabled successfully",
    }
    client.post("/subscription/disable", json=key)
    paystack_sandbox.advance(seconds=32 * DAY)
    assert (events()[-1], fetch(client, key["code"])["status"]) == ("subscription.disable", "cancelled")
    refused = client.post("/subscription/enable", json=key).json()
    assert refused["message"] == "Subscription has been cancelled, and cannot be reactivated"


def test_another_card_by_the_link(
    client: httpx2.Client, plan: dict, saved_card: str, paystack_sandbox: PaystackSandbox
) -> None:
    code = subscribe(client, plan).json()["data"]["subscription_code"]
    link = client.get(f"/subscription/{code}/manage/link").json()["data"]["link"]
    state = paystack_sandbox.sandbox.state
    row = state.find_transaction("t.access_code = ?", link.rpartition("/")[2])
    assert row is not None
    card = {"number": "5192602720584796", "bank_page": "approve"}
    paystack_sandbox.pay(row.reference, channel="card", card=card)
    assert fetch(client, code)["authorization"]["last4"] == "4796"
    assert client.post(f"/subscription/{code}/manage/email").json()["message"] == "Email successfully sent"


def test_expiring_cards_are_told_at_the_start_of_the_month(
    client: httpx2.Client, plan: dict, start: Start, paystack_sandbox: PaystackSandbox, events: Events
) -> None:
    now = paystack_sandbox.sandbox.clock.now()
    month = after(now.replace(day=1), "monthly")
    card = {"number": "4084084084084081", "expiry": f"{month:%m/%y}"}
    paystack_sandbox.pay(start(plan=plan["plan_code"])["reference"], channel="card", card=card)
    paystack_sandbox.advance(seconds=(month - now).total_seconds() + 2 * DAY)
    assert "subscription.expiring_cards" in events()
    told = next(row for row in paystack_sandbox.webhooks() if row["event"] == "subscription.expiring_cards")
    assert told["payload"]["data"][0]["expiry_date"] == f"{month:%m/%Y}"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"plan": "PLN_nope"}, 404, "Plan not found"),
        ({"customer": "CUS_nope"}, 404, "Customer email is invalid for your test domain."),
        ({"authorization": "AUTH_nope"}, 400, "Authorization specified is invalid or does not belong to customer"),
        ({"start_date": "15/01/2027"}, 400, '"start_date" must be a valid date'),
        ({"start_date": "9999-12-31T23:59:59-10:00"}, 400, '"start_date" must be a valid date'),
    ],
)
def test_refusals(client: httpx2.Client, plan: dict, saved_card: str, body: dict, status: int, message: str) -> None:
    response = subscribe(client, plan, **body)
    assert (response.status_code, response.json()["message"]) == (status, message)


def test_one_running_subscription_a_plan(client: httpx2.Client, plan: dict, saved_card: str) -> None:
    subscribe(client, plan)
    again = subscribe(client, plan)
    assert (again.status_code, again.json()["code"]) == (400, "duplicate_subscription")


@pytest.mark.parametrize(
    "change", [{"interval": "yearly"}, {"interval": None}, {"amount": 0}, {"name": ""}, {"send_sms": "x"}]
)
def test_plan_refuses(client: httpx2.Client, change: dict) -> None:
    body = {"name": "x", "amount": 100, "interval": "monthly", **change}
    assert client.post("/plan", json=body).status_code == 400


def test_plans_are_listed_and_updated(client: httpx2.Client, plan: dict, saved_card: str) -> None:
    subscribe(client, plan, start_date="2090-01-01")
    assert client.get("/plan?interval=weekly").json()["data"] == []
    listed = client.get("/plan?interval=monthly&amount=20000").json()
    assert (listed["message"], listed["data"][0]["active_subscriptions"]) == ("Plans retrieved", 1)
    answer = client.put(f"/plan/{plan['plan_code']}", json={"amount": 25000}).json()
    assert answer == {"status": True, "message": "Plan updated. 1 subscription(s) affected"}
    assert client.get("/subscription").json()["data"][0]["amount"] == 25000
    client.put(f"/plan/{plan['plan_code']}", json={"amount": 30000, "update_existing_subscriptions": False})
    assert client.get("/subscription").json()["data"][0]["amount"] == 25000
    assert client.get("/plan/PLN_nope").status_code == 404


@pytest.mark.parametrize(
    ("interval", "following", "expression"),
    [
        ("hourly", "2027-01-31T11:30", "30 * * * *"),
        ("daily", "2027-02-01T10:30", "30 10 * * *"),
        ("weekly", "2027-02-07T10:30", "30 10 * * 0"),
        ("monthly", "2027-02-28T10:30", "30 10 28 * *"),
        ("quarterly", "2027-04-28T10:30", "30 10 28 */3 *"),
        ("biannually", "2027-07-28T10:30", "30 10 28 */6 *"),
        ("annually", "2028-01-28T10:30", "30 10 28 1 *"),
    ],
)
def test_intervals(interval: str, following: str, expression: str) -> None:
    moment = datetime(2027, 1, 31, 10, 30, tzinfo=UTC)
    assert after(moment, interval).isoformat()[:16] == following
    assert cron(moment, interval) == expression
