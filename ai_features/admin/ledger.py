from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy

from ai_features.admin.showing import USER_SEARCH, ReadOnlyAdmin, credits_of
from ai_features.models import LedgerEntry


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "created_at",
        "wallet",
        "kind",
        "amount_shown",
        "balance_shown",
        "purchase",
        "reason",
        "actor",
    )
    list_filter = ("kind", "created_at")
    list_select_related = ("wallet__user", "purchase", "actor")
    search_fields = ("purchase__reference", f"wallet__{USER_SEARCH}", "wallet__user__email", "reason")
    amount_shown = credits_of("amount", gettext_lazy("credits"))
    balance_shown = credits_of("balance_after", gettext_lazy("balance after"))
    fields = (
        "created_at",
        "wallet",
        "kind",
        "amount_shown",
        "balance_shown",
        "purchase",
        "refund",
        "dispute",
        "lot",
        "feature",
        "pricing",
        "member",
        "reservation",
        "metadata",
        "reason",
        "actor",
    )
