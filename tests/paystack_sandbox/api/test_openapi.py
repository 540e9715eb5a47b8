"""Every answer against Paystack's own OpenAPI document, but for the table of places where that is wrong."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from paystack_sandbox.api.deviations import DEVIATIONS, Deviation
from tests.paystack_sandbox.api import openapi
from tests.paystack_sandbox.api.tour import everything, tour

DOCUMENT: dict[str, dict[str, Any]] = json.loads(openapi.DATA.read_text())["answers"]
Difference = tuple[str, str, Any]


@cache
def answers() -> list[tuple[str, int, Any]]:
    with tour() as visit:
        everything(visit)
        return visit.answers


@cache
def differences() -> list[Difference]:
    return [difference for answer in answers() for difference in compare(*answer)]


def compare(operation: str, status: int, body: Any) -> Iterator[Difference]:
    """(operation, place, value) of each thing the document doesn't say."""
    schemas = DOCUMENT[operation]
    if str(status) not in schemas:
        yield operation, f"status {status}", status
    schema = schemas.get(str(status), next(iter(schemas.values())))
    for error in Draft7Validator(schema).iter_errors(body):
        yield operation, place_of(error), error.instance


def place_of(error: ValidationError) -> str:
    steps = ["[]" if isinstance(step, int) else str(step) for step in error.absolute_path]
    if error.validator == "required" and error.instance != {}:
        steps.append(error.message.split("'")[1])
    return ".".join(steps)


def test_every_operation_of_the_document_was_called() -> None:
    assert {operation for operation, _, _ in answers()} == set(DOCUMENT)


def test_every_answer_is_as_documented() -> None:
    unexplained = {
        (operation, place, json.dumps(value)[:80])
        for operation, place, value in differences()
        if not any(row.covers(operation, place, value) for row in DEVIATIONS)
    }
    assert unexplained == set()


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
