from __future__ import annotations

from django.contrib import admin

from ai_features.admin.showing import ReadOnlyAdmin
from ai_features.models import LedgerSeal


@admin.register(LedgerSeal)
class LedgerSealAdmin(ReadOnlyAdmin):
    list_display = ("number", "sealed_at", "count", "first_id", "last_id", "hash")
    search_fields = ("hash",)
    date_hierarchy = "sealed_at"
    fields = ("number", "sealed_at", "count", "first_id", "last_id", "entries_hash", "previous_hash", "hash")
