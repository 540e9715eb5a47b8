"""Every answer against Paystack's own OpenAPI document, but for the table of places where that is wrong."""

from functools import cache
from typing import Any

import pytest

from paystack_sandbox.api.deviations import DEVIATIONS, Deviation
from tests.paystack_sandbox.api import openapi
from tests.paystack_sandbox.api.openapi import DOCUMENT, Difference, compare, unexplained
from tests.paystack_sandbox.api.tour import everything, tour


@cache
def answers() -> list[tuple[str, int, Any]]:
    with tour() as visit:
        everything(visit)
        return visit.answers


@cache
def differences() -> list[Difference]:
    return [difference for answer in answers() for difference in compare(*answer)]


def test_every_operation_of_the_document_was_called() -> None:
    assert {operation for operation, _, _ in answers()} == set(DOCUMENT)


def test_every_answer_is_as_documented() -> None:
    assert [difference for answer in answers() for difference in unexplained(*answer)] == []


@pytest.mark.parametrize("row", DEVIATIONS, ids=lambda row: f"{row.operation} {row.place}")
def test_every_deviation_is_needed(row: Deviation) -> None:
    others = [other for other in DEVIATIONS if other is not row]
    assert any(
        row.covers(*difference) and not any(other.covers(*difference) for other in others)
        for difference in differences()
    )


def test_data_file_is_cut_from_the_document() -> None:
    if not openapi.ORIGINAL.exists():
        pytest.skip(
            f"Paystack's OpenAPI document is not at {openapi.ORIGINAL}: the data file can't be compared with it"
        )
    yaml = pytest.importorskip("yaml")
    assert openapi.answers(yaml.safe_load(openapi.ORIGINAL.read_text(encoding="utf-8"))) == DOCUMENT
