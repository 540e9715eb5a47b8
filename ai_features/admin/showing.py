"""How rows are shown: credits and money in columns, and pages that nobody edits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from ai_features.money import to_credits, to_major

USER_SEARCH = f"user__{get_user_model().USERNAME_FIELD}"


def credits_of(field: str, description: Any, *, sortable: bool = True) -> Any:
    """A read-only column that shows micro-credits as credits."""

    @admin.display(description=description, ordering=field if sortable else None)
    def column(_admin: object, row: Model) -> Decimal:
        return to_credits(getattr(row, field))

    return column


def amount_of(field: str, description: Any) -> Any:
    """A read-only column that shows a subunit amount with its currency."""

    @admin.display(description=description, ordering=field)
    def column(_admin: object, row: Any) -> str:
        minor = getattr(row, field)
        return "–" if minor is None else f"{row.currency} {to_major(minor)}"

    return column


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Law 5 and its neighbours: looked at, never edited. `tools` are links on a row's page: what else may be done."""

    list_per_page = 50
    show_full_result_count = False
    change_form_template = "admin/ai_features/change_form.html"

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        """Labels and addresses."""
        return []

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        tools = [] if row is None else self.tools(request, row)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "tools": tools})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
