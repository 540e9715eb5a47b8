"""A page of the admin with one form about one row: what staff does beyond looking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from ai_features.exceptions import AICreditsError
from ai_features.models import Wallet

Pairs = Sequence[tuple[str, Any]]
Row = TypeVar("Row", bound=Model)


class _UserSelect(AutocompleteSelect):
    """Django's own looks up whatever the address or the form says, and breaks on what can be no user's key."""

    def optgroups(self, name: str, value: Sequence[str], attrs: dict[str, Any] | None = None) -> Any:
        return super().optgroups(name, [one for one in value if self._is_key(one)], attrs)

    def _is_key(self, value: str) -> bool:
        try:
            self.field.remote_field.model._meta.pk.to_python(value)
        except ValidationError:
            return False
        return True


def search_users(field: forms.Field) -> None:
    """Have a form's choice of a user searched for, as the admin's own forms have."""
    field.widget = _UserSelect(Wallet._meta.get_field("user"), admin.site)
    field.widget.choices = field.choices  # type: ignore[attr-defined]


def form_page(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    form: forms.Form,
    *,
    title: str,
    buttons: Pairs,
    row: Model | None = None,
    facts: Pairs = (),
    explanation: str = "",
) -> HttpResponse:
    """`buttons` are names and labels, `facts` what staff should know before pressing one."""
    context = {
        **model_admin.admin_site.each_context(request),
        "form": form,
        "title": title,
        "opts": model_admin.opts,
        "buttons": buttons,
        "facts": facts,
        "explanation": explanation,
        "list_address": list_address(model_admin),
    }
    if row is not None:
        context |= {"row": row, "row_address": row_address(model_admin, row)}
    return render(request, "admin/ai_features/form_page.html", context)


def row_or_404(model: type[Row], object_id: str) -> Row:
    """A number of thousands of digits is more than Python reads."""
    is_key = object_id.isdecimal() and len(object_id) < len(str(2**64))
    return get_object_or_404(model, pk=object_id if is_key else 0)


def list_address(model_admin: admin.ModelAdmin[Any]) -> str:
    return reverse(f"admin:ai_features_{model_admin.opts.model_name}_changelist")


def row_address(model_admin: admin.ModelAdmin[Any], row: Model) -> str:
    return reverse(f"admin:ai_features_{model_admin.opts.model_name}_change", args=[row.pk])


def in_words(error: Exception) -> str:
    """What a form says of a refusal."""
    if not isinstance(error, AICreditsError):
        return str(error)
    fields = error.details().get("fields", {})
    return " ".join([error.message, *(text for texts in fields.values() for text in texts)])
