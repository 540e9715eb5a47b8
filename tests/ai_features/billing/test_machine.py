"""The credit engine against the model, short and the same each time; CONTRIBUTING.md says how to run it long."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ai_features.billing import audit
from tests.ai_features.billing.machine import CreditEngine

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))


def test_credit_engine_does_what_the_model_says(transactional_db: None) -> None:
    run_state_machine_as_test(
        CreditEngine,
        settings=settings(
            max_examples=EXAMPLES or 20,
            stateful_step_count=60 if EXAMPLES else 40,
            derandomize=not EXAMPLES,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert list(audit.audit()) == []
