from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.history import WithReason, why_field
from ai_features.admin.showing import credits_of
from ai_features.exceptions import AICreditsError, CreditsZero
from ai_features.models import FeaturePrice
from ai_features.money import to_credits, to_micro

_PARTS = ("per_call", "per_unit", "per_1000_tokens_in", "per_1000_tokens_out")


def _credits(label: Any) -> forms.DecimalField:
    return forms.DecimalField(label=label, max_digits=18, decimal_places=6, min_value=0, initial=0)


class FeaturePriceForm(forms.ModelForm[FeaturePrice]):
    """Staff types credits; the micro-credits behind them are nobody's to type."""

    call = _credits(gettext_lazy("Credits per call"))
    unit = _credits(gettext_lazy("Credits per unit"))
    tokens_in = _credits(gettext_lazy("Credits per 1,000 tokens in"))
    tokens_out = _credits(gettext_lazy("Credits per 1,000 tokens out"))
    why = why_field()

    class Meta:
        model = FeaturePrice
        fields = ["code", "name", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field, part in zip(("call", "unit", "tokens_in", "tokens_out"), _PARTS, strict=True):
            self.fields[field].initial = to_credits(getattr(self.instance, part))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        for field, part in zip(("call", "unit", "tokens_in", "tokens_out"), _PARTS, strict=True):
            try:
                setattr(self.instance, part, to_micro(cleaned[field]))
            except CreditsZero:
                setattr(self.instance, part, 0)
            except AICreditsError as error:
                self.add_error(field, error.message)
        if not any(getattr(self.instance, part) for part in _PARTS):
            self.add_error(None, _("At least one of the four parts must cost something."))
        return cleaned


@admin.register(FeaturePrice)
class FeaturePriceAdmin(WithReason, admin.ModelAdmin[FeaturePrice]):  # type: ignore[misc]  # as for packages
    form = FeaturePriceForm
    fields = ("code", "name", "call", "unit", "tokens_in", "tokens_out", "is_active", "why")
    list_display = ("code", "name", "call", "unit", "tokens_in", "tokens_out", "is_active")
    list_filter = ("is_active",)
    search_fields = ("code", "name")
    call = credits_of("per_call", gettext_lazy("per call"))
    unit = credits_of("per_unit", gettext_lazy("per unit"))
    tokens_in = credits_of("per_1000_tokens_in", gettext_lazy("per 1,000 tokens in"))
    tokens_out = credits_of("per_1000_tokens_out", gettext_lazy("per 1,000 tokens out"))
