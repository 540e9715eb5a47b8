from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.form_page import in_words
from ai_features.admin.showing import ReadOnlyAdmin, amount_of, credits_of
from ai_features.billing import AIBillingService
from ai_features.exceptions import AICreditsError
from ai_features.models import Dispute, Refund


class RefundOfDisputeInline(admin.TabularInline[Refund, Dispute]):
    model = Refund
    fields = ("status", "amount", "taken", "asked_at")
    readonly_fields = fields
    amount = amount_of("amount_minor", gettext_lazy("amount"))
    taken = credits_of("credits", gettext_lazy("credits"))
    extra = 0
    max_num = 0
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    list_display = ("opened_at", "purchase", "category", "amount", "status", "due_at", "time_left", "frozen")
    list_filter = ("status", "category", "opened_at")
    list_select_related = ("purchase",)
    search_fields = ("purchase__reference", "paystack_id")
    actions = ("read_again",)
    inlines = (RefundOfDisputeInline,)
    amount = amount_of("amount_minor", gettext_lazy("amount"))
    frozen = credits_of("credits_frozen", gettext_lazy("credits frozen"))
    fields = (
        "purchase",
        "paystack_id",
        "status",
        ("paystack_status", "resolution"),
        "category",
        "amount",
        "frozen",
        ("due_at", "time_left"),
        ("opened_at", "ended_at"),
    )

    @admin.display(description=gettext_lazy("time left"))
    def time_left(self, dispute: Dispute) -> str:
        """Answers are given in Paystack's dashboard; without one the payer wins."""
        if not dispute.is_open or dispute.due_at is None:
            return "–"
        hours = int((dispute.due_at - timezone.now()).total_seconds() // 3600)
        return _("%(hours)d h") % {"hours": hours} if hours >= 0 else _("passed")

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ai_features.refund_purchase")

    @admin.action(description=gettext_lazy("Read again at Paystack"), permissions=["refund"])
    def read_again(self, request: HttpRequest, disputes: QuerySet[Dispute]) -> None:
        for dispute in disputes.select_related("purchase"):
            try:
                now = AIBillingService.bring_dispute_in_line(dispute)
            except (AICreditsError, ImproperlyConfigured) as error:
                self.message_user(request, f"{dispute}: {in_words(error)}", messages.ERROR)
            else:
                self.log_change(request, dispute, f"Read again at Paystack: {now.get_status_display()}")
                self.message_user(request, f"{dispute}: {now.get_status_display()}", messages.SUCCESS)
