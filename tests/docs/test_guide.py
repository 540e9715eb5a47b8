"""The guide's flow is run: each curl command is sent, each answer compared with the printed one."""

import hashlib
import hmac
import json
import re
import shlex
import urllib.request
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from ai_features.billing import AIBillingService
from paystack_sandbox import PaystackSandbox
from tests.docs import GUIDE, section

SITE = "http://127.0.0.1:8000"
PAYSTACK = "http://127.0.0.1:8010"
# Different in every run; all else in an answer must be as printed.
CHANGING = {"token", "reference", "authorization_url", "access_code", "id"} | {
    f"{verb}_at" for verb in ("issued", "created", "completed", "expires")
}
STEPS = re.findall(r"^```(console|json)\n(.*?)^```", section(GUIDE, "The flow, request by request"), re.M | re.S)


class Reader:
    """Types what the guide says, with the values of this run in place of the printed ones."""

    def __init__(self, sandbox: PaystackSandbox) -> None:
        self.client = Client()
        self.sandbox = sandbox
        self.variables = {"API": f"{SITE}/ai/api"}
        self.answer: Any = None

    def type(self, command: str) -> None:
        if name := re.match(r"(\w+)=", command):
            assert name[1] in self.variables, f"{name[1]} is used before the answer that has it"
            return
        url, method, headers, body = parse(re.sub(r"\$(\w+)", lambda name: self.variables[name[1]], command))
        if url.startswith(PAYSTACK):
            request = urllib.request.Request(self.sandbox.url + url.removeprefix(PAYSTACK), body.encode())
            self.answer = json.load(urllib.request.urlopen(request, timeout=30))
            return
        content_type = headers.pop("Content-Type", "application/x-www-form-urlencoded")
        response = self.client.generic(method, url.removeprefix(SITE), body, content_type, headers=headers)
        self.answer = json.loads(response.content, parse_float=Decimal)
        if "token" in self.answer:
            self.variables["AUTH"] = f"Authorization: Token {self.answer['token']}"
        if "authorization_url" in self.answer:
            self.variables["REFERENCE"] = self.answer["reference"]


def parse(command: str) -> tuple[str, str, dict[str, str], str]:
    """Address, method, headers and body of a curl command."""
    words = iter(shlex.split(command.replace("\\\n", " ")))
    assert next(words) == "curl"
    url, headers, body = "", {}, ""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        elif word != "-s":
            url = word
    return url, "POST" if body else "GET", headers, body


def settled(answer: Any) -> Any:
    """The answer without what changes from run to run."""
    if isinstance(answer, dict):
        return {key: "…" if key in CHANGING and value else settled(value) for key, value in answer.items()}
    return [settled(value) for value in answer] if isinstance(answer, list) else answer


@pytest.fixture
def demo_user(db: None) -> None:
    demo = get_user_model().objects.create_user("demo", "demo@example.com", "demo")
    AIBillingService.grant(demo, "45.5", reason="Demo")


def test_flow_of_the_guide_answers_as_printed(demo_user: None, sandbox: PaystackSandbox) -> None:
    reader, compared = Reader(sandbox), 0
    for kind, text in STEPS:
        if kind == "console":
            for command in re.findall(r"^\$ (.+(?:\n    .+)*)", text, re.MULTILINE):
                reader.type(command)
        else:
            assert settled(reader.answer) == settled(json.loads(text, parse_float=Decimal)), text
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("amount", [3000, 2999])
def test_webhook_of_the_guide_is_processed(demo_user: None, sandbox: PaystackSandbox, amount: int) -> None:
    demo = get_user_model().objects.get(username="demo")
    purchase = AIBillingService.purchase_credits(demo, "starter")
    printed = re.search(r"BODY='(.+)'$", section(GUIDE, "The webhook address"), re.MULTILINE)
    assert printed is not None
    body = printed[1].replace("3000", str(amount)).replace("'$REFERENCE'", purchase.reference).encode()
    headers = {"x-paystack-signature": hmac.new(sandbox.secret_key.encode(), body, hashlib.sha512).hexdigest()}
    answer = Client().post("/ai/api/webhooks/paystack/", body, content_type="application/json", headers=headers)
    assert answer.json() == {"status": "processed", "outcome": "completed" if amount == 3000 else "review"}
