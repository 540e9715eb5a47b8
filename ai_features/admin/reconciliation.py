from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy

from ai_features.admin.showing import ReadOnlyAdmin, amount_of
from ai_features.models import Finding, FindingKind, Reconciliation


class FindingInline(admin.TabularInline[Finding, Reconciliation]):
    model = Finding
    fields = ("kind", "reference", "amount", "outcome", "found_at")
    readonly_fields = fields
    amount = amount_of("amount_minor", gettext_lazy("amount"))
    extra = 0
    max_num = 0
    can_delete = False


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "window_from", "window_to", "status", "listed", "found", "problem")
    list_filter = ("status", "mode", "started_at")
    fields = (
        "mode",
        ("window_from", "window_to", "is_up_to_now"),
        ("status", "problem"),
        ("listed", "found"),
        ("started_at", "finished_at"),
    )
    inlines = (FindingInline,)

    @admin.display(description=gettext_lazy("found"))
    def found(self, reconciliation: Reconciliation) -> str:
        counts: dict[str, Any] = reconciliation.counts
        return ", ".join(f"{FindingKind(kind).label}: {count}" for kind, count in counts.items()) or "–"


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = ("found_at", "kind", "reference", "amount", "outcome")
    list_filter = ("kind", "found_at")
    search_fields = ("reference",)
    amount = amount_of("amount_minor", gettext_lazy("amount"))
