from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy

from ai_features.admin.showing import ReadOnlyAdmin, amount_of
from ai_features.models import Finding, FindingKind, Payout, Reconciliation


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


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    list_display = ("settled_at", "paystack_id", "status", "paid_out", "payments", "of_others", "adds_up")
    list_filter = ("status", "mode", "currency", "settled_at")
    search_fields = ("paystack_id", "purchases__reference")
    processed = amount_of("processed_minor", gettext_lazy("payments"))
    fees = amount_of("fees_minor", gettext_lazy("fees"))
    deducted = amount_of("deducted_minor", gettext_lazy("deducted"))
    others = amount_of("others_minor", gettext_lazy("of others"))
    paid_out = amount_of("effective_minor", gettext_lazy("paid out"))
    fields = (
        *("paystack_id", "mode", "status", "settled_at", "processed", "fees", "deducted", "paid_out", "others"),
        *("payments", "of_others", "differences", "tied_at"),
    )

    @admin.display(description=gettext_lazy("adds up"), boolean=True)
    def adds_up(self, payout: Payout) -> bool:
        return not payout.differences
