from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class EntryKind(models.TextChoices):
    PURCHASE = "purchase", _("purchase")
    BONUS = "bonus", _("bonus")
    GRANT = "grant", _("grant")


class LedgerEntry(models.Model):
    """One append-only change of a wallet's balance, in micro-credits.

    `amount` changes `balance − debt`, `debt_change` moves between the two: paying 30 of debt from the balance is
    amount 0, debt_change −30. Triggers refuse update and delete, so nothing here may be set to null later.
    """

    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="entries", db_index=False)
    kind = models.CharField(_("kind"), max_length=20, choices=EntryKind)
    amount = models.BigIntegerField(_("amount"))
    debt_change = models.BigIntegerField(_("debt change"), default=0, db_default=0)
    balance_after = models.BigIntegerField(_("balance after"))
    purchase = models.ForeignKey(
        "Purchase", models.PROTECT, null=True, blank=True, related_name="entries", db_index=False
    )
    lot = models.ForeignKey("Lot", models.PROTECT, null=True, blank=True, related_name="entries", db_index=False)
    reason = models.CharField(_("reason"), max_length=200, blank=True, default="", db_default="")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text=_("The member of staff who did it."),
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=100, null=True, blank=True)  # noqa: DJ001
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["wallet", "id"], name="ai_entry_statement"),
            models.Index(fields=["actor"], condition=Q(actor__isnull=False), name="ai_entry_actor"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["purchase"], condition=Q(kind="purchase"), name="ai_entry_purchase_settles_once"
            ),
            models.UniqueConstraint(fields=["purchase"], condition=Q(kind="bonus"), name="ai_entry_bonus_given_once"),
            models.CheckConstraint(
                condition=Q(purchase__isnull=False) | ~Q(kind__in=["purchase", "bonus"]),
                name="ai_entry_purchase_has_a_purchase",
            ),
            models.UniqueConstraint(
                fields=["wallet", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="ai_entry_key_used_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"
