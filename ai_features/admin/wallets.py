from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.form_page import form_page, in_words, search_users
from ai_features.admin.showing import USER_SEARCH, ReadOnlyAdmin, credits_of
from ai_features.billing import AIBillingService
from ai_features.exceptions import AICreditsError, ApprovalRequired
from ai_features.models import Lot, Wallet
from ai_features.money import to_credits


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
        search_users(self.fields["user"])


class LotInline(admin.TabularInline[Lot, Wallet]):
    model = Lot
    fields = ("source", "amount_shown", "remaining_shown", "frozen_shown", "expires_at", "purchase", "created_at")
    readonly_fields = fields
    amount_shown = credits_of("amount", gettext_lazy("amount"))
    remaining_shown = credits_of("remaining", gettext_lazy("remaining"))
    frozen_shown = credits_of("frozen", gettext_lazy("frozen"))
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lot]:
        # A wallet collects used-up lots for ever; the page shows those that still matter.
        lots = super().get_queryset(request).filter(Q(remaining__gt=0) | Q(frozen__gt=0))
        return lots.select_related("purchase").order_by("expires_at")


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
    fields = (
        "user",
        "team",
        "balance_shown",
        "unallocated_shown",
        "held_shown",
        "debt_shown",
        "next_expiry_at",
        "created_at",
    )
    inlines = (LotInline,)
    change_list_template = "admin/ai_features/wallet/change_list.html"
    balance_shown = credits_of("balance", gettext_lazy("balance"))
    unallocated_shown = credits_of("unallocated", gettext_lazy("spent, not yet taken from the lots below"))
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
        return form_page(self, request, form, title=_("Grant credits"), buttons=[("_grant", _("Grant"))])

    def _grant(self, request: HttpRequest, form: GrantForm) -> bool:
        given = form.cleaned_data
        about = {name: given[name] for name in ("reason", "expires_at")}
        about["idempotency_key"] = f"admin-{given['key']}"[:100]
        user, staff = given["user"], cast("AbstractBaseUser", request.user)
        try:
            try:
                granted = AIBillingService.grant(user, given["credits"], granted_by=staff, **about).amount
                text = _("%(credits)s credits granted to %(user)s.")
            except ApprovalRequired:
                granted = AIBillingService.request_grant(user, given["credits"], requested_by=staff, **about).credits
                text = _("%(credits)s credits for %(user)s wait for another member of staff to approve them.")
        except AICreditsError as error:
            form.add_error(None, in_words(error))
            return False
        text %= {"credits": to_credits(granted), "user": user}
        self.log_change(request, AIBillingService.wallet(user), f"{text} {given['reason']}")
        self.message_user(request, text, messages.SUCCESS)
        return True
