from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy


def why_field() -> forms.CharField:
    """For a form of something for sale; see `WithReason`."""
    return forms.CharField(
        label=gettext_lazy("Why"),
        max_length=200,
        help_text=gettext_lazy("Kept in the history, with what was changed."),
    )


class WithReason:
    """An admin whose history says why, and each value before and after. Its form has the field `why`.

    Nothing is deleted, which would say no why and take the history's object away: it is made inactive.
    """

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def construct_change_message(
        self, request: HttpRequest, form: forms.BaseForm, formsets: Any, add: bool = False
    ) -> str:
        values = [_change(form, name, is_new=add) for name in form.changed_data if name != "why"]
        return f"{form.cleaned_data['why']}: {', '.join(values)}"


def _change(form: forms.BaseForm, name: str, *, is_new: bool) -> str:
    value = form.cleaned_data[name]
    return f"{name} {value}" if is_new else f"{name} {form[name].initial} → {value}"
