"""How rows are shown: credits and money in columns, and pages that nobody edits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

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


def _is_filter(name: str, value: str) -> bool:
    """Whether a database and a calendar know such a value; Django asks them untried."""
    if name.endswith("__year"):
        return value.isdecimal() and len(value) <= len("2026") and int(value) > 0
    return "\0" not in value


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Law 5 and its neighbours: looked at, never edited. `tools` are links on a row's page: what else may be done."""

    list_per_page = 50
    show_full_result_count = False
    change_form_template = "admin/ai_features/change_form.html"

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        """Labels and addresses."""
        return []

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not all(_is_filter(name, str(value)) for name, value in request.GET.items()):
            # As Django answers what it does recognise as unusable.
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        return super().changelist_view(request, extra_context)

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
