from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.form_page import form_page, in_words, row_address, row_or_404
from ai_features.admin.showing import ReadOnlyAdmin, amount_of, credits_of
from ai_features.admin.telling import story_of
from ai_features.billing import AIBillingService
from ai_features.exceptions import AICreditsError
from ai_features.models import Refund, RefundStatus


class AccountForm(forms.Form):
    """The payer's bank account. The list of banks is Paystack's, with Paystack's numbers."""

    bank_id = forms.ChoiceField(label=gettext_lazy("Bank"))
    account_number = forms.RegexField(r"^\d{5,20}\Z", label=gettext_lazy("Account number"))
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=200,
        help_text=gettext_lazy("Who gave this account, and how; kept in the history."),
    )

    def __init__(self, *args: Any, banks: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["bank_id"].choices = banks  # type: ignore[attr-defined]


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("asked_at", "reference", "amount", "status", "credits_shown", "owed", "requested_by", "problem")
    list_filter = ("status", "currency", "asked_at")
    list_select_related = ("requested_by",)
    search_fields = ("reference", "paystack_id", "refund_reference", "reason")
    actions = ("read_again",)
    amount = amount_of("amount_minor", gettext_lazy("amount"))
    credits_shown = credits_of("credits", gettext_lazy("credits"))
    taken = credits_of("credits_taken", gettext_lazy("from its own lots"))
    from_others = credits_of("credits_from_others", gettext_lazy("from other lots"))
    owed = credits_of("credits_owed", gettext_lazy("turned into debt"))
    forgiven = credits_of("credits_forgiven", gettext_lazy("forgiven"))
    expired = credits_of("credits_expired", gettext_lazy("had expired"))
    fieldsets = (
        (gettext_lazy("Story"), {"fields": ("story",)}),
        (None, {"fields": ("reference", "purchase", "status", "amount", "reason", "problem", "requested_by")}),
        (
            gettext_lazy("At Paystack"),
            {"fields": ("paystack_id", "refund_reference", "dispute", "asked_at", "ended_at")},
        ),
        (
            gettext_lazy("Credits"),
            {"fields": ("credits_shown", "taken", "from_others", "owed", "forgiven", "expired", "taken_at")},
        ),
    )

    @admin.display(description=gettext_lazy("story"))
    def story(self, refund: Refund) -> SafeString:
        return story_of(refund.reference)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.retry_view)
        return [path("<path:object_id>/retry/", view, name="ai_features_refund_retry"), *super().get_urls()]

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ai_features.refund_purchase")

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        if not self.has_refund_permission(request) or row.status != RefundStatus.NEEDS_ATTENTION:
            return []
        return [(_("Send to the payer's account"), reverse("admin:ai_features_refund_retry", args=[row.pk]))]

    @admin.action(description=gettext_lazy("Read again at Paystack"), permissions=["refund"])
    def read_again(self, request: HttpRequest, refunds: QuerySet[Refund]) -> None:
        for reference in refunds.order_by().values_list("reference", flat=True).distinct():
            try:
                changed = AIBillingService.bring_refunds_in_line(reference)
            except (AICreditsError, ImproperlyConfigured) as error:
                self.message_user(request, f"{reference}: {in_words(error)}", messages.ERROR)
                continue
            text = ", ".join(str(refund.get_status_display()) for refund in changed) or _("nothing new")
            for refund in changed:
                self.log_change(request, refund, f"Read again at Paystack: {refund.get_status_display()}")
            self.message_user(request, f"{reference}: {text}", messages.SUCCESS)

    @method_decorator(transaction.non_atomic_requests)
    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Paystack could not send the money back the way it came: send it to the payer's account."""
        if not self.has_refund_permission(request):
            raise PermissionDenied
        refund = row_or_404(Refund, object_id)
        banks, problem = _banks(refund.currency)
        form = AccountForm(request.POST or None, banks=banks)
        if form.is_valid() and self._retry(request, refund, form):
            return HttpResponseRedirect(row_address(self, refund))
        return form_page(
            self,
            request,
            form,
            title=_("Send to the payer's account"),
            row=refund,
            explanation=problem or _("Ask the payer for the account. The credits stay taken."),
            buttons=[("_retry", _("Send"))],
        )

    def _retry(self, request: HttpRequest, refund: Refund, form: AccountForm) -> bool:
        try:
            given = {name: form.cleaned_data[name] for name in ("account_number", "bank_id")}
            AIBillingService.retry_refund(refund, **given)
        except (AICreditsError, ImproperlyConfigured) as error:
            form.add_error(None, in_words(error))
            return False
        # Not to which account: that is the payer's, and Paystack keeps it.
        self.log_change(request, refund, f"Sent to the payer's account: {form.cleaned_data['reason']}")
        self.message_user(request, _("The refund is on its way again."), messages.SUCCESS)
        return True


def _banks(currency: str) -> tuple[list[tuple[str, str]], str]:
    """Ids and names, or why there are none."""
    try:
        return AIBillingService.banks_for_refunds(currency), ""
    except (AICreditsError, ImproperlyConfigured) as error:
        return [], in_words(error)
