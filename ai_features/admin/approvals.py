from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ai_features.admin.showing import ReadOnlyAdmin, credits_of
from ai_features.billing import AIBillingService
from ai_features.billing.approvals import NOTE_LONGEST
from ai_features.exceptions import AICreditsError
from ai_features.models import GrantRequest

Decide = Callable[[int, AbstractBaseUser, str], None]


class DecisionForm(ActionForm):
    note = forms.CharField(label=gettext_lazy("Note (why, where you refuse):"), max_length=NOTE_LONGEST, required=False)


@admin.register(GrantRequest)
class GrantRequestAdmin(ReadOnlyAdmin):
    """Grants that wait for a second person. Who asked sees them too, and cannot decide them."""

    list_display = (
        *("wallet", "credits_shown", "reason", "expires_at", "requested_by", "requested_at"),
        *("status", "decided_by", "decided_at", "note"),
    )
    list_filter = ("status", "requested_at")
    list_select_related = ("wallet__user", "requested_by", "decided_by")
    search_fields = ("reason", "note")
    fields = (*list_display, "entry")
    credits_shown = credits_of("credits", gettext_lazy("credits"))
    action_form = DecisionForm
    actions = ("approve", "refuse")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ai_features.approve_grantrequest")

    @admin.action(description=gettext_lazy("Approve: grant the credits"), permissions=["decide"])
    def approve(self, request: HttpRequest, asked: QuerySet[GrantRequest]) -> None:
        def decide(pk: int, staff: AbstractBaseUser, note: str) -> None:
            AIBillingService.approve_grant(pk, approved_by=staff, note=note)

        self._decide(request, asked, _("approved"), decide)

    @admin.action(description=gettext_lazy("Refuse, and say why in the note"), permissions=["decide"])
    def refuse(self, request: HttpRequest, asked: QuerySet[GrantRequest]) -> None:
        def decide(pk: int, staff: AbstractBaseUser, note: str) -> None:
            AIBillingService.refuse_grant(pk, refused_by=staff, note=note)

        self._decide(request, asked, _("refused"), decide)

    def _decide(self, request: HttpRequest, asked: QuerySet[GrantRequest], done: str, decide: Decide) -> None:
        staff, note = cast("AbstractBaseUser", request.user), request.POST.get("note", "")
        for one in asked.select_related("wallet__user"):
            try:
                decide(one.pk, staff, note)
            except AICreditsError as error:
                fields = error.details().get("fields", {})
                why = " ".join(text for texts in fields.values() for text in texts) or error.message
                self.message_user(request, f"{one}: {why}", messages.ERROR)
            else:
                self.log_change(request, one, f"{done}: {note}" if note else done)
                self.message_user(request, f"{one}: {done}.", messages.SUCCESS)
