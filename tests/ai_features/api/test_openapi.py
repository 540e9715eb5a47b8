"""Schemathesis over the OpenAPI document: whatever it allows is tried, and every answer is as it says; no 5xx."""

import os
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.db import DEFAULT_DB_ALIAS, connections
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from knox.models import get_token_model
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from ai_features.billing import AIBillingService
from ai_features.models import FeaturePrice, Wallet
from app.wsgi import application
from paystack_sandbox import PaystackSandbox
from tests.laws import assert_laws

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
]
BOUNDS = settings(
    max_examples=10,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests through WSGI would close it, and with it the transaction that the test is rolled back by."""
    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "close_if_unusable_or_obsolete", lambda: None)


@pytest.fixture
def document(_one_connection: None, buyer: User, sandbox: PaystackSandbox, settings: Any) -> Any:
    """The API with a rich buyer, Paystack beside it, and rate limits out of the way."""
    settings.AI_CREDITS = {
        "THROTTLE_RATES": dict.fromkeys(("token", "login", "purchase", "verify", "callback"), "9999/s")
    }
    AIBillingService.grant(buyer, 1000, reason="trial")
    FeaturePrice.objects.create(code="chat", per_call=1_000_000)
    return schemathesis.openapi.from_wsgi("/ai/api/schema/?format=json", application)


@pytest.fixture
def headers(buyer: User, document: Any) -> dict[str, str]:
    return {"Authorization": f"Token {get_token_model().objects.create(buyer)[1]}"}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_every_answer_is_as_documented(document: Any, headers: dict[str, str], mode: GenerationMode) -> None:
    """To what the document allows, and to what it does not."""
    answered: Counter[int] = Counter()
    for operation in (result.ok() for result in document.get_all_operations()):

        @given(case=operation.as_strategy(generation_mode=mode))
        @BOUNDS
        def answers_as_documented(case: Any) -> None:
            answered[case.call_and_validate(headers=headers, checks=CHECKS).status_code] += 1

        with suppress(Unsatisfiable):  # an operation without input has nothing to do wrong
            answers_as_documented()
    assert answered.total() > 50
    assert answered[422] + answered[400] > 10


def test_any_order_of_calls_keeps_the_laws(document: Any, headers: dict[str, str], buyer: User) -> None:
    class Calls(document.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=CHECKS, headers=headers)

        def teardown(self) -> None:
            assert_laws(Wallet.objects.get(user=buyer))

    Calls.run(settings=settings(BOUNDS, max_examples=10, stateful_step_count=6))
