"""Paystack's own OpenAPI document, cut down to the answers of the sandbox's operations.

`python -m tests.paystack_sandbox.api.openapi ../shared/paystack/openapi/paystack.yaml` writes the data file anew.
Descriptions and examples are left out, references put in their places, `nullable` turned into JSON Schema's null.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from paystack_sandbox.api.deviations import DEVIATIONS
from paystack_sandbox.api.operations import ROUTES

DATA = Path(__file__).parents[1] / "data" / "openapi-answers.json"
ORIGINAL = Path(__file__).parents[4] / "shared" / "paystack" / "openapi" / "paystack.yaml"
SOURCE = "github.com/PaystackOSS/openapi, dist/paystack.yaml, commit 9678dea (2025-10-24), version 1.0.0, MIT"
_KEPT = ("type", "required", "enum", "format")
_OF = ("allOf", "anyOf", "oneOf")


DOCUMENT: dict[str, dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))["answers"] if DATA.exists() else {}
Difference = tuple[str, str, Any]


def addresses(path: str) -> str:
    """`/transaction/verify/{reference:path}` and `/transaction/verify/{id}` are the same address."""
    return re.sub(r"\{[^}]+\}", "{}", path)


def answers(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`GET /bank` → status → schema of the answer, for every operation of the sandbox that the document has."""
    ours = {(route.method, addresses(route.path)) for route in ROUTES}
    found: dict[str, dict[str, Any]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if (method.upper(), addresses(path)) in ours:
                found[f"{method.upper()} {addresses(path)}"] = _schemas(operation["responses"], document)
    return dict(sorted(found.items()))


def _schemas(responses: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    schemas = {}
    for status, response in responses.items():
        content = _resolve(response, document).get("content", {}).get("application/json")
        if status.startswith("2") and content is not None:
            schemas[status] = _simple(content["schema"], document)
    return schemas


def _resolve(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _simple(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    node = _resolve(node, document)
    schema: dict[str, Any] = {name: node[name] for name in _KEPT if name in node}
    if "properties" in node:
        schema["properties"] = {name: _simple(child, document) for name, child in node["properties"].items()}
    if "items" in node:
        schema["items"] = _simple(node["items"], document)
    for name in _OF:
        if name in node:
            schema[name] = [_simple(child, document) for child in node[name]]
    if node.get("nullable"):
        if "type" in schema:
            schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


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


def unexplained(operation: str, status: int, body: Any) -> list[str]:
    """The differences that no row of the table allows."""
    return [
        f"{operation} {place}: {json.dumps(value)[:80]}"
        for operation, place, value in compare(operation, status, body)
        if not any(row.covers(operation, place, value) for row in DEVIATIONS)
    ]


def operation_of(method: str, path: str) -> str | None:
    """Which operation of the document a request went to; the first that fits, as in the sandbox's own table."""
    for route in ROUTES:
        pattern = re.sub(r"\{[^}]+:path\}", ".+", route.path)
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", pattern)
        if route.method == method and re.fullmatch(pattern, path):
            operation = f"{method} {addresses(route.path)}"
            return operation if operation in DOCUMENT else None
    return None


def main(path: str) -> None:
    import yaml  # noqa: PLC0415  only for writing

    document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    DATA.write_text(json.dumps({"source": SOURCE, "answers": answers(document)}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
