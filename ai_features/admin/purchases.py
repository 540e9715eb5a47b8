from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext, gettext_lazy

from ai_features.admin.showing import ReadOnlyAdmin, amount_of, credits_of
from ai_features.billing import story
from ai_features.models import Purchase


@admin.register(Purchase)
class PurchaseAdmin(ReadOnlyAdmin):
    list_display = (
        "reference",
        "buyer",
        "status",
        "mode",
        "package_code",
        "amount",
        "credits_shown",
        "channel",
        "created_at",
    )
    list_filter = ("status", "mode", "currency", "package_code", "settled_by", "created_at")
    list_select_related = ("buyer",)
    search_fields = ("reference", "email", f"buyer__{get_user_model().USERNAME_FIELD}")
    date_hierarchy = "created_at"
    amount = amount_of("amount_minor", gettext_lazy("amount"))
    credits_shown = credits_of("total_credits", gettext_lazy("credits"), sortable=False)
    paid = amount_of("paid_amount_minor", gettext_lazy("amount paid"))
    fees = amount_of("fees_minor", gettext_lazy("Paystack's fee"))
    fieldsets = (
        (gettext_lazy("Story"), {"fields": ("story",)}),
        (None, {"fields": ("reference", "status", "status_reason", "mode", "settled_by")}),
        (
            gettext_lazy("Sold"),
            {"fields": ("buyer", "email", "wallet", "package_code", "amount", "tax_lines", "credits_shown")},
        ),
        (
            gettext_lazy("Paid"),
            {"fields": ("paid", "paid_currency", "fees", "channel", "paystack_id", "gateway_response", "paid_at")},
        ),
        (
            gettext_lazy("Checkout"),
            {
                "fields": (
                    *("payment_method", "authorization_url", "idempotency_key", "created_at", "completed_at"),
                    *("checks", "next_check_at"),
                )
            },
        ),
    )

    @admin.display(description=gettext_lazy("story"))
    def story(self, purchase: Purchase) -> SafeString:
        """As `manage.py paystack_status` tells it, without asking Paystack."""
        told = story.tell(purchase.reference)
        steps = format_html_join(
            "", "<tr><td>{}</td><td>{}</td></tr>", [(_moment(step.at), step.what) for step in told.steps]
        )
        advice = format_html_join("", "<li>{}</li>", [(step,) for step in told.next_steps])
        return format_html("<table>{}</table><p>{}</p><ul>{}</ul>", steps, gettext("What to do next:"), advice)


def _moment(at: datetime) -> str:
    return f"{localtime(at):%Y-%m-%d %H:%M:%S}"
