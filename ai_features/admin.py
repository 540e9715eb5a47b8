"""What staff sees. Money rows are read-only here as everywhere: staff edits packages and grants credits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.crypto import get_random_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ai_features.billing import AIBillingService
from ai_features.exceptions import AICreditsError
from ai_features.models import EventStatus, LedgerEntry, Lot, Package, Purchase, Wallet, WebhookEvent
from ai_features.money import to_credits, to_major, to_micro, to_minor

USER_SEARCH = f"user__{get_user_model().USERNAME_FIELD}"


def credits_of(field: str, description: Any, *, sortable: bool = True) -> Any:
    """A read-only column that shows micro-credits as credits."""

    @admin.display(description=description, ordering=field if sortable else None)
    def column(_admin: object, row: Model) -> Decimal:
        return to_credits(getattr(row, field))

    return column


def amount_of(field: str, description: Any) -> Any:
    """A read-only column that shows a subunit amount with its currency."""

    @admin.display(description=description, ordering=field)
    def column(_admin: object, row: Any) -> str:
        minor = getattr(row, field)
        return "–" if minor is None else f"{row.currency} {to_major(minor)}"

    return column


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Law 5 and its neighbours: looked at, never edited."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PackageForm(forms.ModelForm[Package]):
    """Staff types major units and credits; the integers behind them are nobody's to type."""

    price = forms.DecimalField(label=gettext_lazy("Price before tax"), max_digits=12, decimal_places=2)
    credits_sold = forms.DecimalField(label=gettext_lazy("Credits"), max_digits=18, decimal_places=6)
    bonus = forms.DecimalField(label=gettext_lazy("Bonus credits"), max_digits=18, decimal_places=6, min_value=0)

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
class PackageAdmin(admin.ModelAdmin[Package]):
    form = PackageForm
    fields = ("code", "name", "currency", "price", "credits_sold", "bonus", "position", "is_active")
    list_display = ("name", "code", "price", "credits_shown", "bonus_shown", "position", "is_active")
    list_filter = ("is_active", "currency")
    search_fields = ("code", "name")
    price = amount_of("price_minor", gettext_lazy("price"))
    credits_shown = credits_of("credits", gettext_lazy("credits"))
    bonus_shown = credits_of("bonus_credits", gettext_lazy("bonus"))


class GrantForm(forms.Form):
    """The key makes a double click one grant."""

    user = forms.ModelChoiceField(get_user_model().objects.all(), label=gettext_lazy("User"))
    credits = forms.DecimalField(
        label=gettext_lazy("Credits"), max_digits=18, decimal_places=6, min_value=Decimal("0.000001")
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Expires"),
        required=False,
        widget=admin.widgets.AdminSplitDateTime,
        help_text=gettext_lazy("Empty: never."),
    )
    key = forms.CharField(max_length=100, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user_field = Wallet._meta.get_field("user")
        self.fields["user"].widget = AutocompleteSelect(user_field, admin.site)
        self.fields["user"].widget.choices = self.fields["user"].choices  # type: ignore[attr-defined]


class LotInline(admin.TabularInline[Lot, Wallet]):
    model = Lot
    fields = ("source", "amount_shown", "remaining_shown", "expires_at", "purchase", "created_at")
    readonly_fields = fields
    amount_shown = credits_of("amount", gettext_lazy("amount"))
    remaining_shown = credits_of("remaining", gettext_lazy("remaining"))
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lot]:
        # A wallet collects used-up lots for ever; the page shows those that still matter.
        return super().get_queryset(request).filter(remaining__gt=0).select_related("purchase").order_by("expires_at")


class InDebtFilter(admin.SimpleListFilter):
    title = gettext_lazy("debt")
    parameter_name = "debt"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("in debt"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Wallet]) -> QuerySet[Wallet]:
        return queryset.filter(debt__gt=0) if self.value() == "yes" else queryset


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "balance_shown", "held_shown", "debt_shown", "next_expiry_at", "created_at")
    list_filter = (InDebtFilter, "created_at")
    list_select_related = ("user",)
    search_fields = (USER_SEARCH, "user__email", "team")
    fields = ("user", "team", "balance_shown", "held_shown", "debt_shown", "next_expiry_at", "created_at")
    inlines = (LotInline,)
    change_list_template = "admin/ai_features/wallet/change_list.html"
    balance_shown = credits_of("balance", gettext_lazy("balance"))
    held_shown = credits_of("held", gettext_lazy("held"))
    debt_shown = credits_of("debt", gettext_lazy("debt"))

    def get_urls(self) -> list[URLPattern]:
        grant = path("grant/", self.admin_site.admin_view(self.grant_view), name="ai_features_wallet_grant")
        return [grant, *super().get_urls()]

    def has_grant_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ai_features.change_wallet")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        can_grant = {"can_grant": self.has_grant_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **can_grant})

    def grant_view(self, request: HttpRequest) -> HttpResponse:
        """Grant credits with a reason; the entry keeps who, when and why."""
        if not self.has_grant_permission(request):
            raise PermissionDenied
        form = GrantForm(request.POST or None, initial={"user": request.GET.get("user"), "key": get_random_string(32)})
        if form.is_valid() and self._grant(request, form):
            return HttpResponseRedirect(reverse("admin:ai_features_wallet_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "form": form,
            "title": _("Grant credits"),
            "opts": self.opts,
        }
        return render(request, "admin/ai_features/wallet/grant.html", context)

    def _grant(self, request: HttpRequest, form: GrantForm) -> bool:
        given = form.cleaned_data
        try:
            entry = AIBillingService.grant(
                given["user"],
                given["credits"],
                reason=given["reason"],
                expires_at=given["expires_at"],
                idempotency_key=f"admin-{given['key']}"[:100],
                granted_by=request.user,  # type: ignore[arg-type]
            )
        except AICreditsError as error:
            form.add_error(None, error.message)
            return False
        values = {"credits": to_credits(entry.amount), "user": given["user"]}
        self.message_user(request, _("%(credits)s credits granted to %(user)s.") % values, messages.SUCCESS)
        return True


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
            {"fields": ("payment_method", "authorization_url", "idempotency_key", "created_at", "completed_at")},
        ),
    )


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
        "lot",
        "feature",
        "pricing",
        "member",
        "reservation",
        "metadata",
        "reason",
        "actor",
    )


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "received_at", "event", "reference", "status", "outcome", "attempts")
    list_filter = ("status", "event", "received_at")
    search_fields = ("reference", "event", "body_sha256")
    fields = (
        "received_at",
        "event",
        "reference",
        "status",
        "outcome",
        "error",
        "attempts",
        "processed_at",
        "source_ip",
        "body_sha256",
        "body_shown",
    )
    actions = ("replay",)

    @admin.display(description=gettext_lazy("body"))
    def body_shown(self, event: WebhookEvent) -> SafeString:
        return format_html("<pre>{}</pre>", event.text)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ai_features.change_webhookevent")

    @admin.action(description=gettext_lazy("Process again"), permissions=["replay"])
    def replay(self, request: HttpRequest, events: QuerySet[WebhookEvent]) -> None:
        failed = sum(AIBillingService.replay_webhook(event).status == EventStatus.FAILED for event in events)
        done = len(events) - failed
        if done:
            text = ngettext("%(n)d event processed.", "%(n)d events processed.", done) % {"n": done}
            self.message_user(request, text, messages.SUCCESS)
        if failed:
            text = ngettext(
                "%(n)d event failed again; see its error.", "%(n)d events failed again; see their errors.", failed
            )
            self.message_user(request, text % {"n": failed}, messages.ERROR)
