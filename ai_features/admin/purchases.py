from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.crypto import get_random_string
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.form_page import form_page, in_words, row_address, row_or_404
from ai_features.admin.showing import ReadOnlyAdmin, amount_of, credits_of
from ai_features.admin.telling import story_of
from ai_features.billing import AIBillingService
from ai_features.billing.reconcile.checking import OPEN
from ai_features.exceptions import AICreditsError
from ai_features.models import Dispute, Purchase, Refund
from ai_features.money import to_credits, to_major


class RefundForm(forms.Form):
    """The key makes a double click one refund; what was refundable when the page was drawn, two people's clicks."""

    amount = forms.DecimalField(label=gettext_lazy("Amount"), max_digits=12, decimal_places=2)
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=300)
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)
    seen = forms.DecimalField(max_digits=12, decimal_places=2, widget=forms.HiddenInput)


class ShownInline(admin.TabularInline[Any, Purchase]):
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RefundInline(ShownInline):
    model = Refund
    fields = ("status", "amount", "taken", "reason", "problem", "requested_by", "asked_at", "ended_at")
    readonly_fields = fields
    amount = amount_of("amount_minor", gettext_lazy("amount"))
    taken = credits_of("credits", gettext_lazy("credits"))


class DisputeInline(ShownInline):
    model = Dispute
    fields = ("status", "category", "resolution", "frozen", "due_at", "opened_at", "ended_at")
    readonly_fields = fields
    frozen = credits_of("credits_frozen", gettext_lazy("credits frozen"))


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
    search_fields = ("reference", "paystack_id__exact", "email", f"buyer__{get_user_model().USERNAME_FIELD}")
    date_hierarchy = "created_at"
    amount = amount_of("amount_minor", gettext_lazy("amount"))
    credits_shown = credits_of("total_credits", gettext_lazy("credits"), sortable=False)
    credits_bought = credits_of("credits", gettext_lazy("credits"))
    credits_as_bonus = credits_of("bonus_credits", gettext_lazy("bonus credits"))
    paid = amount_of("paid_amount_minor", gettext_lazy("amount paid"))
    fees = amount_of("fees_minor", gettext_lazy("Paystack's fee"))
    refunded = amount_of("refunded_minor", gettext_lazy("refunded"))
    inlines = (RefundInline, DisputeInline)
    fieldsets = (
        (gettext_lazy("Story"), {"fields": ("story",)}),
        (None, {"fields": ("reference", "status", "status_reason", "mode", "settled_by")}),
        (
            gettext_lazy("Sold"),
            {
                "fields": (
                    "buyer",
                    "email",
                    "wallet",
                    "package_code",
                    "amount",
                    "tax_lines",
                    "credits_bought",
                    "credits_as_bonus",
                )
            },
        ),
        (
            gettext_lazy("Paid"),
            {
                "fields": (
                    "paid",
                    "paid_currency",
                    "fees",
                    "channel",
                    "paystack_id",
                    "gateway_response",
                    "paid_at",
                    "refunded",
                )
            },
        ),
        (
            gettext_lazy("Checkout"),
            {
                "fields": (
                    *("payment_method", "authorization_url", "idempotency_key", "created_at", "completed_at"),
                    *("checks", "next_check"),
                )
            },
        ),
    )

    @admin.display(description=gettext_lazy("story"))
    def story(self, purchase: Purchase) -> SafeString:
        return story_of(purchase.reference)

    @admin.display(description=gettext_lazy("next check"))
    def next_check(self, purchase: Purchase) -> str:
        """A purchase that is settled keeps the time of a check that will not happen."""
        at = purchase.next_check_at if purchase.status in OPEN else None
        return str(display_for_value(at, self.get_empty_value_display()))

    def get_urls(self) -> list[URLPattern]:
        refund = path(
            "<path:object_id>/refund/", self.admin_site.admin_view(self.refund_view), name="ai_features_purchase_refund"
        )
        return [refund, *super().get_urls()]

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ai_features.refund_purchase")

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        if not self.has_refund_permission(request) or not AIBillingService.refundable(row):
            return []
        return [(_("Refund"), reverse("admin:ai_features_purchase_refund", args=[row.pk]))]

    # Paystack is asked inside, which no transaction may be open for.
    @method_decorator(transaction.non_atomic_requests)
    def refund_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a payment back, whole or in part, with a reason."""
        if not self.has_refund_permission(request):
            raise PermissionDenied
        purchase = row_or_404(Purchase, object_id)
        rest = AIBillingService.refundable(purchase)
        form = RefundForm(request.POST or None, initial={"amount": rest, "seen": rest, "key": get_random_string(32)})
        if form.is_valid() and self._refund(request, purchase, form):
            return HttpResponseRedirect(row_address(self, purchase))
        return form_page(
            self,
            request,
            form,
            title=_("Refund"),
            row=purchase,
            facts=_facts(purchase, rest),
            explanation=_("Its share of the credits leaves the wallet at once, and comes back if the refund fails."),
            buttons=[("_refund", _("Send the money back"))],
        )

    def _refund(self, request: HttpRequest, purchase: Purchase, form: RefundForm) -> bool:
        given = form.cleaned_data
        try:
            refund = AIBillingService.refund(
                purchase,
                given["amount"],
                reason=given["reason"],
                requested_by=request.user,  # type: ignore[arg-type]
                idempotency_key=f"admin-{given['key']}",
                seen_refundable=given["seen"],
            )
        except (AICreditsError, ImproperlyConfigured) as error:
            form.add_error(None, in_words(error))
            return False
        if refund.is_unconfirmed:
            text = _("Paystack did not answer. The refund is not sent again by itself; it is looked up at Paystack.")
            self.message_user(request, text, messages.WARNING)
        else:
            self.message_user(request, _("The refund was asked for."), messages.SUCCESS)
        return True


def _facts(purchase: Purchase, rest: Decimal) -> list[tuple[str, Any]]:
    money = purchase.payment_currency
    return [
        (_("Paid"), f"{money} {to_major(purchase.payment_minor)}"),
        (_("Can be refunded"), f"{money} {rest}"),
        (_("Credits sold"), to_credits(purchase.total_credits)),
    ]
