"""One call and more of every operation, as a merchant's first day would make them; keeps every answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from paystack_sandbox import PaystackSandbox, Settings
from tests.paystack_sandbox.api.openapi import addresses

CARD = {"number": "4084084084084081", "cvv": "408", "expiry": "12/60"}
PIN_CARD = {"number": "507850785078507804", "cvv": "884", "expiry": "12/60"}
ADDRESS_CARD = {"number": "4084080000000904", "cvv": "904", "expiry": "12/60"}
AMA = {"email": "ama@example.com", "amount": 8000}


class Tour:
    """A client that notes which operation answered what."""

    def __init__(self, sandbox: PaystackSandbox) -> None:
        self.sandbox = sandbox
        self.answers: list[tuple[str, int, Any]] = []
        headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
        self._client = httpx2.Client(base_url=sandbox.url, headers=headers, trust_env=False)

    def __call__(self, method: str, path: str, *inserted: object, **body: Any) -> Any:
        """`path` has a {} for each inserted value."""
        url = path.format(*inserted)
        response = self._client.request(method, url, json=body or None)
        self.answers.append((f"{method} {addresses(path.partition('?')[0])}", response.status_code, response.json()))
        assert response.is_success, response.text
        return response.json().get("data")

    def paid(self, **body: Any) -> Any:
        started = self("POST", "/transaction/initialize", **AMA, **body)
        return self.sandbox.pay(started["reference"])

    def close(self) -> None:
        self._client.close()


@contextmanager
def tour() -> Iterator[Tour]:
    settings = Settings(partial_debit_currencies=frozenset({"GHS"}))
    with PaystackSandbox(currencies=("GHS", "NGN"), settings=settings) as sandbox:
        visit = Tour(sandbox)
        try:
            yield visit
        finally:
            visit.close()


def everything(visit: Tour) -> None:
    transactions(visit)
    charges(visit)
    customers(visit)
    refunds(visit)
    disputes(visit)
    subscriptions(visit)
    the_rest(visit)


def transactions(visit: Tour) -> None:
    paid = visit.paid(metadata={"custom_fields": [{"value": "a", "display_name": "b", "variable_name": "c"}]})
    visit("POST", "/transaction/initialize", **AMA)
    code = paid["authorization"]["authorization_code"]
    visit("POST", "/transaction/charge_authorization", **AMA, authorization_code=code)
    visit("POST", "/transaction/partial_debit", **AMA, authorization_code=code, currency="GHS")
    for asks in (True, False):
        httpx2.put(f"{visit.sandbox.url}/_sandbox/authorizations/{code}", json={"asks_approval": asks})
        visit("POST", "/transaction/charge_authorization", **AMA, authorization_code=code)
    visit("GET", "/transaction/verify/{}", paid["reference"])
    visit("GET", "/transaction")
    visit("GET", "/transaction?use_cursor=true")
    visit("GET", "/transaction/{}", paid["id"])
    visit("GET", "/transaction/timeline/{}", paid["id"])
    visit("GET", "/transaction/totals")
    visit("GET", "/transaction/export")


def charges(visit: Tour) -> None:
    visit("POST", "/charge", **AMA, card=CARD)
    visit("POST", "/charge", **AMA, card={**CARD, "cvv": "000"})
    visit("POST", "/charge", **AMA, mobile_money={"phone": "0551234987", "provider": "mtn"})
    visit("POST", "/charge", **AMA, mobile_money={"phone": "0241234567", "provider": "mtn"})
    visit("POST", "/charge", **AMA, currency="NGN", bank_transfer={})
    reference = visit("POST", "/charge", **AMA, card=PIN_CARD)["reference"]
    visit("GET", "/charge/{}", reference)
    visit("POST", "/charge/submit_pin", reference=reference, pin="0000")
    visit("POST", "/charge/submit_phone", reference=reference, phone="0551234987")
    visit("POST", "/charge/submit_otp", reference=reference, otp="123456")
    visit("GET", "/charge/{}", reference)
    account = {"code": "057", "account_number": "0000000000"}
    reference = visit("POST", "/charge", **AMA, currency="NGN", bank=account)["reference"]
    visit("POST", "/charge/submit_birthday", reference=reference, birthday="2007-04-15")
    reference = visit("POST", "/charge", **AMA, card=ADDRESS_CARD)["reference"]
    address = {"address": "140 N 2ND ST", "city": "Stroudsburg", "state": "PA", "zip_code": "18360"}
    visit("POST", "/charge/submit_address", reference=reference, **address)


def customers(visit: Tour) -> None:
    kofi = {"email": "kofi@example.com", "first_name": "Kofi", "last_name": "Mensah", "phone": "+233551234987"}
    code = visit("POST", "/customer", **kofi, metadata={"calling_code": "+233"})["customer_code"]
    visit("POST", "/customer", email="nobody@example.com")
    visit("GET", "/customer")
    visit("GET", "/customer?use_cursor=true")
    visit("GET", "/customer/{}", code)
    visit("GET", "/customer/{}", "ama@example.com")
    visit("PUT", "/customer/{}", code, first_name="Kwame")
    visit("POST", "/customer/set_risk_action", customer=code, risk_action="allow")
    person = {"first_name": "Asta", "last_name": "Lavista", "country": "NG", "bvn": "20012345677"}
    bank = {"type": "bank_account", "bank_code": "007", "account_number": "0123456789"}
    visit("POST", "/customer/{}/identification", code, **person, **bank)
    saved = visit.paid()["authorization"]["authorization_code"]
    visit("POST", "/customer/authorization/deactivate", authorization_code=saved)


def refunds(visit: Tour) -> None:
    paid = visit.paid()
    refund = visit("POST", "/refund", transaction=paid["reference"], amount=3000)
    visit("GET", "/refund/{}", refund["id"])
    visit("GET", "/refund")
    started = visit("POST", "/transaction/initialize", **AMA)
    visit.sandbox.pay(started["reference"], channel="card", card={"number": "4084080000671902"})
    refund = visit("POST", "/refund", transaction=started["reference"])
    # Long enough for a payout, whose number the refund then has.
    visit.sandbox.advance(seconds=5 * 86400)
    account = {"currency": "GHS", "account_number": "0123456789", "bank_id": "9"}
    visit("POST", "/refund/retry_with_customer_details/{}", refund["id"], refund_account_details=account)
    visit("GET", "/refund")


def disputes(visit: Tour) -> None:
    first, second = visit.paid(), visit.paid()
    raised = [
        httpx2.post(f"{visit.sandbox.url}/_sandbox/disputes", json={"transaction": row["reference"]}).json()["id"]
        for row in (first, second)
    ]
    visit("GET", "/dispute")
    visit("GET", "/dispute?use_cursor=true")
    visit("GET", "/dispute/{}", raised[0])
    visit("GET", "/dispute/transaction/{}", first["id"])
    visit("GET", "/dispute/export")
    name = visit("GET", "/dispute/{}/upload_url?upload_filename=receipt.pdf", raised[0])["fileName"]
    evidence = {"customer_email": "a@b.co", "customer_name": "Ama", "customer_phone": "1", "service_details": "x"}
    visit("POST", "/dispute/{}/evidence", raised[0], **evidence)
    visit("PUT", "/dispute/{}", raised[0], refund_amount=100, uploaded_filename=name)
    answer = {"message": "Agreed", "refund_amount": 100, "uploaded_filename": name}
    visit("PUT", "/dispute/{}/resolve", raised[0], resolution="merchant-accepted", **answer, evidence=21)
    visit("PUT", "/dispute/{}/resolve", raised[1], resolution="declined", **answer)
    visit("GET", "/dispute")


def subscriptions(visit: Tour) -> None:
    plan = visit("POST", "/plan", name="Monthly", amount=20000, interval="monthly", description="Credits")
    paid = visit.paid(plan=plan["plan_code"])
    visit("GET", "/transaction/verify/{}", paid["reference"])
    row = visit("GET", "/subscription")[0]
    code = row["subscription_code"]
    other = visit("POST", "/plan", name="Weekly", amount=5000, interval="weekly")
    visit("POST", "/subscription", customer="ama@example.com", plan=other["plan_code"], start_date="2090-01-01")
    visit("GET", "/plan")
    visit("GET", "/plan/{}", plan["plan_code"])
    visit("PUT", "/plan/{}", plan["plan_code"], name="Monthly credits")
    visit("GET", "/subscription/{}", code)
    visit("GET", "/subscription/{}/manage/link", code)
    visit("POST", "/subscription/{}/manage/email", code)
    visit("POST", "/subscription/disable", code=code, token=row["email_token"])
    visit("GET", "/subscription")
    visit("POST", "/subscription/enable", code=code, token=row["email_token"])
    visit.sandbox.advance(seconds=32 * 86400)
    visit("GET", "/subscription/{}", code)


def the_rest(visit: Tour) -> None:
    for path in ("/bank", "/country", "/balance", "/balance/ledger", "/integration/payment_session_timeout"):
        visit("GET", path)
    visit("PUT", "/integration/payment_session_timeout", timeout=0)
    visit("GET", "/bank/resolve?account_number=0551234987&bank_code=MTN")
    account = {"account_name": "Ann Bron", "account_number": "0123456789", "account_type": "personal"}
    document = {"document_type": "identityNumber", "document_number": "1234567890123"}
    visit("POST", "/bank/validate", **account, bank_code="632005", country_code="ZA", **document)
    visit("GET", "/decision/bin/{}", "539983")
    visit("GET", "/decision/bin/{}", "411111")
    visit("GET", "/address_verification/states?country=CA")
    settlement = visit("GET", "/settlement")[0]
    visit("GET", "/settlement/{}/transactions", settlement["id"])
