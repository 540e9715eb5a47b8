from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.form_page import form_page, in_words, list_address, row_or_404, search_users
from ai_features.admin.showing import ReadOnlyAdmin, amount_of
from ai_features.admin.telling import story_of
from ai_features.billing import AIBillingService
from ai_features.exceptions import AICreditsError
from ai_features.models import ReviewItem, ReviewKind, ReviewStatus
from ai_features.money import to_credits

ACCEPT, REFUND, DISMISS = "_accept", "_refund", "_dismiss"


class DecisionForm(forms.Form):
    note = forms.CharField(
        label=gettext_lazy("Note"), max_length=300, help_text=gettext_lazy("Why; it stays with the payment.")
    )


class StrayForm(DecisionForm):
    """Whose it is, where no purchase says so; needed to accept it alone."""

    user = forms.ModelChoiceField(get_user_model().objects.all(), label=gettext_lazy("User"), required=False)
    credits = forms.DecimalField(
        label=gettext_lazy("Credits"),
        max_digits=18,
        decimal_places=6,
        min_value=Decimal("0.000001"),
        required=False,
        help_text=gettext_lazy("To accept it: whose wallet, and how many credits."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        search_users(self.fields["user"])


@admin.register(ReviewItem)
class ReviewItemAdmin(ReadOnlyAdmin):
    list_display = ("opened_at", "reference", "kind", "amount", "status", "decided_by", "note")
    list_filter = ("status", "kind", "opened_at")
    list_select_related = ("decided_by",)
    search_fields = ("reference", "paystack_id", "payer_email", "note")
    amount = amount_of("amount_minor", gettext_lazy("amount paid"))
    fieldsets = (
        (gettext_lazy("Story"), {"fields": ("story",)}),
        (None, {"fields": ("reference", "purchase", "kind", "explanation", "source", "opened_at")}),
        (gettext_lazy("Paystack says"), {"fields": ("amount", "mode", "paystack_id", "payer_email")}),
        (gettext_lazy("Decision"), {"fields": ("status", "note", "decided_by", "decided_at")}),
    )

    @admin.display(description=gettext_lazy("story"))
    def story(self, item: ReviewItem) -> SafeString:
        return story_of(item.reference)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide_view)
        return [path("<path:object_id>/decide/", view, name="ai_features_reviewitem_decide"), *super().get_urls()]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ai_features.decide_reviewitem")

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        if not self.has_decide_permission(request) or row.status != ReviewStatus.OPEN:
            return []
        return [(_("Decide"), reverse("admin:ai_features_reviewitem_decide", args=[row.pk]))]

    # A refund asks Paystack, which no transaction may be open for.
    @method_decorator(transaction.non_atomic_requests)
    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Accept, refund or dismiss, with a note."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        item = row_or_404(ReviewItem, object_id)
        form = (DecisionForm if item.purchase_id else StrayForm)(request.POST or None)
        if form.is_valid() and self._decide(request, item, form):
            return HttpResponseRedirect(list_address(self))
        return form_page(
            self,
            request,
            form,
            title=_("Decide"),
            row=item,
            facts=_facts(item),
            explanation=_what_accepting_does(item),
            buttons=[(ACCEPT, _("Accept")), (REFUND, _("Refund")), (DISMISS, _("Dismiss"))],
        )

    def _decide(self, request: HttpRequest, item: ReviewItem, form: forms.Form) -> bool:
        given = form.cleaned_data
        by: Any = request.user
        try:
            if ACCEPT in request.POST:
                whose = {"owner": given.get("user"), "credits": given.get("credits")}
                AIBillingService.accept_review(item, by, given["note"], **whose)
            elif REFUND in request.POST:
                AIBillingService.refund_review(item, by, given["note"])
            elif DISMISS in request.POST:
                AIBillingService.dismiss_review(item, by, given["note"])
            else:
                form.add_error(None, _("Choose what to do."))
                return False
        except (AICreditsError, ImproperlyConfigured) as error:
            form.add_error(None, in_words(error))
            return False
        item.refresh_from_db()
        self.message_user(request, f"{item.reference}: {item.get_status_display()}", messages.SUCCESS)
        return True


def _facts(item: ReviewItem) -> list[tuple[str, Any]]:
    paid = ReviewItemAdmin.amount(None, item)
    facts = [(_("Why"), item.get_kind_display()), (_("Explanation"), item.explanation), (_("Paid"), paid)]
    if item.purchase is not None:
        sold = f"{item.purchase.package_code}, {to_credits(item.purchase.total_credits)} credits"
        facts += [(_("Sold"), sold), (_("Buyer"), item.purchase.email)]
    return facts + ([(_("Payer"), item.payer_email)] if item.payer_email else [])


def _what_accepting_does(item: ReviewItem) -> str:
    if item.purchase is None:
        return _("Accepting gives the credits you enter to the user you choose.")
    if item.kind in (ReviewKind.SECOND_PAYMENT, ReviewKind.REFUND_CONTRADICTS):
        return _("Both payments are credited. Accepting changes nothing; refunding takes these credits back.")
    return _("Accepting gives the credits as they were sold.")
