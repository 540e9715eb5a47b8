from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class GrantStatus(models.TextChoices):
    OPEN = "open", _("waits for a second person")
    APPROVED = "approved", _("approved")
    REFUSED = "refused", _("refused")


class GrantRequest(models.Model):
    """A grant above what one member of staff may make alone: who asked and why, who decided, and the entry it became.

    What was asked never changes, and a decision is final: triggers refuse it.
    """

    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="grant_requests", verbose_name=_("wallet"))
    credits = models.BigIntegerField(_("credits"), help_text=_("Micro-credits."))
    reason = models.CharField(_("reason"), max_length=200)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    key = models.CharField(_("idempotency key"), max_length=100, null=True, blank=True)  # noqa: DJ001
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("requested by")
    )
    requested_at = models.DateTimeField(_("requested"), auto_now_add=True)

    status = models.CharField(_("status"), max_length=10, choices=GrantStatus, default=GrantStatus.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True, default="")
    entry = models.OneToOneField(
        "LedgerEntry", models.PROTECT, null=True, blank=True, related_name="grant_request", verbose_name=_("entry")
    )

    class Meta:
        verbose_name = _("requested grant")
        verbose_name_plural = _("requested grants")
        ordering = ["-id"]
        permissions = [("approve_grantrequest", _("Can approve and refuse grants that others requested"))]
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "key"], condition=Q(key__isnull=False), name="ai_grant_request_key_used_once"
            ),
            models.CheckConstraint(condition=Q(credits__gt=0) & ~Q(reason=""), name="ai_grant_request_says_why"),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("requested_by")),
                name="ai_grant_request_second_person",
            ),
            models.CheckConstraint(
                condition=Q(status="open", decided_by__isnull=True, decided_at__isnull=True, entry__isnull=True)
                | Q(status="approved", decided_by__isnull=False, decided_at__isnull=False, entry__isnull=False)
                | (
                    Q(status="refused", decided_by__isnull=False, decided_at__isnull=False, entry__isnull=True)
                    & ~Q(note="")
                ),
                name="ai_grant_request_decided_says_who",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.wallet}: {self.reason}"
