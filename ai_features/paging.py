"""Lists by cursor: a page costs the same however long the list is."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from ai_features import serializers
from ai_features.exceptions import InvalidRequest
from ai_features.inputs import read


class NewestFirst(CursorPagination):
    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int:
        """REST framework takes the usual size for one that is none, and leaves whoever asked to find out."""
        asked: int = read(serializers.PageRequest, request.query_params).get("page_size", self.page_size)
        return min(asked, self.max_page_size)

    def decode_cursor(self, request: Request) -> Any:
        """REST framework looks at the wrapping only; inside is an id of ours, or somebody made it up."""
        refusal = InvalidRequest(fields={"cursor": ["Follow `next` and `previous` as they were given."]})
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise refusal from error
        position = "0" if cursor is None or cursor.position is None else str(cursor.position)
        if not position.isdecimal() or len(position) >= len(str(2**63)):
            raise refusal
        return cursor
