"""What the reference project writes into its log, and what it never does."""

import json
import logging
import logging.config
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from rest_framework.test import APIClient

from ai_features.models import Purchase
from app import logs
from paystack_sandbox import PaystackSandbox
from tests.ai_features.api.test_webhook import deliver
from tests.paystack_facts import charge_success

PASSWORD, PHONE = "correct-horse-battery", "0241234567"


def formatter() -> logging.Formatter:
    """The one that `LOG_FORMAT=json` chooses."""
    configurator = logging.config.DictConfigurator(logs.configuration("json", "INFO"))
    made: logging.Formatter = configurator.configure_formatter(configurator.config["formatters"]["json"])
    return made


def as_json(record: logging.LogRecord) -> dict[str, Any]:
    logs.AddRequestId().filter(record)
    line = formatter().format(record)
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def about_purchases(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("ai_features")]


def test_line_about_a_purchase_is_an_object_with_its_reference(
    purchase: Purchase, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    caplog.set_level("INFO")
    with django_capture_on_commit_callbacks(execute=True):
        deliver(charge_success(purchase))
    (line,) = [as_json(record) for record in about_purchases(caplog)]
    assert (line["reference"], line["status"], line["settled_by"]) == (purchase.reference, "completed", "webhook")
    assert (line["level"], line["logger"]) == ("INFO", "ai_features.billing.settlement")
    assert line["time"].endswith("+00:00")


def test_traceback_and_line_breaks_stay_in_one_line() -> None:
    try:
        int("a\nb")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "bad\n%s", ("{}\n",), sys.exc_info())
    assert "ValueError" in as_json(record)["traceback"]


def test_request_itself_is_left_out(caplog: Any, db: None) -> None:
    Client(HTTP_COOKIE="sessionid=secret").get("/ai/api/credits/balance/")
    (line,) = [as_json(record) for record in caplog.records if record.name == "django.request"]
    assert line["status_code"] == 401
    assert "request" not in line


def test_unknown_format_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT"):
        logs.configuration("xml", "INFO")


def test_request_has_one_name_in_log_and_answer(caplog: Any, db: None) -> None:
    caplog.handler.addFilter(logs.AddRequestId())
    answer = Client().get("/ai/api/credits/balance/")
    (record,) = [record for record in caplog.records if record.name == "django.request"]
    assert record.request_id == answer.headers["X-Request-Id"]
    assert logs.request_id.get() == ""


@pytest.mark.parametrize(
    ("sent", "is_kept"), [("proxy-4711_a", True), ("a\r\nb: c1234", False), ("x" * 65, False), ("", False)]
)
def test_name_given_by_a_proxy_is_kept_if_it_is_one(db: None, sent: str, is_kept: bool) -> None:
    assert (Client(HTTP_X_REQUEST_ID=sent).get("/healthz").headers["X-Request-Id"] == sent) is is_kept


def test_no_secret_and_no_person_in_any_line_at_any_level(buyer: User, sandbox: PaystackSandbox, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    buyer.set_password(PASSWORD)
    buyer.save()
    token = buy_in_every_way(sandbox)
    assert len(about_purchases(caplog)) > 4
    secrets = (sandbox.secret_key, token, PASSWORD, buyer.email, PHONE, PHONE[1:], "4084084084084081")
    ours = [record for record in caplog.records if not record.name.startswith(("paystack_sandbox", "uvicorn"))]
    for record in ours:
        line = f"{formatter().format(record)} {record.__dict__}"
        assert [secret for secret in secrets if secret in line] == [], line


def buy_in_every_way(sandbox: PaystackSandbox) -> str:
    """Log in wrongly and rightly, pay by card and mobile money, verify, be told, fail, and break things on the way."""
    api, browser = APIClient(), Client()
    for password in ("wrong", PASSWORD):
        answer = api.post("/ai/api/token/", {"username": "ama", "password": password}, format="json")
        browser.post("/accounts/login/", {"username": "ama", "password": password})
    token: str = answer.json()["token"]
    api.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    for means in ({"channel": "card", "card": CARD}, {"channel": "mobile_money", "phone": PHONE, "provider": "mtn"}):
        bought = api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json").json()
        sandbox.pay(bought["reference"], **means)
        api.get("/ai/api/credits/verify/", {"reference": bought["reference"]})
        browser.get("/payment/callback", {"reference": bought["reference"]})
        deliver(charge_success(Purchase.objects.get(reference=bought["reference"])))
    deliver(charge_success(), "bad signature")
    api.get("/ai/api/credits/verify/", {"reference": "unknown"})
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json")
    return token


CARD = {"number": "4084084084084081", "cvv": "408", "expiry": "12/30"}
