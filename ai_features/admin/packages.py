from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.history import WithReason, why_field
from ai_features.admin.showing import amount_of, credits_of
from ai_features.exceptions import AICreditsError
from ai_features.models import Package
from ai_features.money import to_credits, to_major, to_micro, to_minor


class PackageForm(forms.ModelForm[Package]):
    """Staff types major units and credits; the integers behind them are nobody's to type."""

    price = forms.DecimalField(label=gettext_lazy("Price before tax"), max_digits=12, decimal_places=2)
    credits_sold = forms.DecimalField(label=gettext_lazy("Credits"), max_digits=18, decimal_places=6)
    bonus = forms.DecimalField(label=gettext_lazy("Bonus credits"), max_digits=18, decimal_places=6, min_value=0)

    why = why_field()

    class Meta:
        model = Package
        fields = ["code", "name", "currency", "position", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["price"].initial = to_major(self.instance.price_minor or 0)
        self.fields["credits_sold"].initial = to_credits(self.instance.credits or 0)
        self.fields["bonus"].initial = to_credits(self.instance.bonus_credits)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("code") == "custom":
            self.add_error("code", _("`custom` is the buyer's own amount and cannot be a package."))
        if self.errors:
            return cleaned
        try:
            self.instance.price_minor = to_minor(cleaned["price"], cleaned["currency"])
            self.instance.credits = to_micro(cleaned["credits_sold"])
            self.instance.bonus_credits = to_micro(cleaned["bonus"]) if cleaned["bonus"] else 0
        except AICreditsError as error:
            self.add_error(None, error.message)
        return cleaned


@admin.register(Package)
class PackageAdmin(WithReason, admin.ModelAdmin[Package]):  # type: ignore[misc]  # the history shows a text as it is
    form = PackageForm
    fields = ("code", "name", "currency", "price", "credits_sold", "bonus", "position", "is_active", "why")
    list_display = ("name", "code", "price", "credits_shown", "bonus_shown", "position", "is_active")
    list_filter = ("is_active", "currency")
    search_fields = ("code", "name")
    price = amount_of("price_minor", gettext_lazy("price"))
    credits_shown = credits_of("credits", gettext_lazy("credits"))
    bonus_shown = credits_of("bonus_credits", gettext_lazy("bonus"))
