"""The OpenAPI document's common parts: every error has one shape, and an answer leads to what one may do next."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema

from ai_features.serializers import ErrorAnswer


class AISchema(AutoSchema):
    """A view may have `links`: what can be done with its answer."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        responses = super()._get_response_bodies(direction)
        responses["default"] = self._get_response_for_code(ErrorAnswer, "default", direction=direction)  # type: ignore[no-untyped-call]
        responses["default"]["description"] = "Refused or failed; the code says why."
        if links := getattr(self.view, "links", None):
            responses["200"]["links"] = links
        return responses


def link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    """`parameters`: a name in the other operation, and where in this answer its value stands."""
    found = {name: f"$response.body#/{pointer}" for name, pointer in parameters.items()}
    return {"operationId": operation, "parameters": found, "description": description}
