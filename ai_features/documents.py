"""The OpenAPI document and its page."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.views import APIView

from ai_features import errors
from ai_features.rendering import json_response


class ReadOnlyDocument(APIView):
    """Only read, and refused in the one shape; its own renderers know no errors of ours."""

    http_method_names = ("get", "head")

    def handle_exception(self, error: Exception) -> HttpResponse:  # type: ignore[override]  # as a view may answer
        refusal = errors.exception_handler(error, {})
        if refusal is None:
            raise error
        return json_response(refusal.data, status=refusal.status_code)


class SchemaView(ReadOnlyDocument, SpectacularAPIView):
    pass


class DocsView(ReadOnlyDocument, SpectacularSwaggerSplitView):
    # Split, so that nothing in it is inline and a strict Content-Security-Policy holds here too.
    url_name = "ai_features:schema"
    template_name = "ai_features/docs.html"
