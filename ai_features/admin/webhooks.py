from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, ngettext

from ai_features.admin.showing import ReadOnlyAdmin
from ai_features.billing import AIBillingService
from ai_features.models import EventStatus, WebhookEvent


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
        failed = 0
        for event in events:
            before = event.status
            failed += AIBillingService.replay_webhook(event).status == EventStatus.FAILED
            self.log_change(request, event, f"Processed again: {before} → {event.status} {event.outcome}".strip())
        done = len(events) - failed
        if done:
            text = ngettext("%(n)d event processed.", "%(n)d events processed.", done) % {"n": done}
            self.message_user(request, text, messages.SUCCESS)
        if failed:
            text = ngettext(
                "%(n)d event failed again; see its error.", "%(n)d events failed again; see their errors.", failed
            )
            self.message_user(request, text % {"n": failed}, messages.ERROR)
