from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class DisputeStatus(models.TextChoices):
    OPEN = "open", _("open")
    WON = "won", _("won: the payment stays")
    LOST = "lost", _("lost: the payer has the money back")


DISPUTE_MOVES: dict[DisputeStatus, frozenset[DisputeStatus]] = {
    DisputeStatus.OPEN: frozenset({DisputeStatus.WON, DisputeStatus.LOST}),
    DisputeStatus.WON: frozenset(),
    DisputeStatus.LOST: frozenset(),
}


class Dispute(models.Model):
    """A payer's complaint at the bank. While it is open, what is left of the purchase's own lots is frozen.

    `status` is ours; `paystack_status` and `resolution` are Paystack's words. `credits_frozen` (micro-credits) is what
    is frozen for it now, and null amounts are what Paystack has not told.
    """

    purchase = models.ForeignKey("Purchase", models.PROTECT, related_name="disputes")
    paystack_id = models.CharField(_("Paystack id"), max_length=20, unique=True)
    status = models.CharField(_("status"), max_length=10, choices=DisputeStatus, default=DisputeStatus.OPEN)
    paystack_status = models.CharField(_("Paystack's status"), max_length=40, blank=True, default="")
    resolution = models.CharField(_("resolution"), max_length=40, blank=True, default="")
    category = models.CharField(_("category"), max_length=40, blank=True, default="")
    amount_minor = models.BigIntegerField(_("amount"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="")
    credits_frozen = models.BigIntegerField(_("credits frozen"), default=0)
    due_at = models.DateTimeField(_("to be answered by"), null=True, blank=True)
    opened_at = models.DateTimeField(_("opened"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status="open"), name="ai_dispute_open"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(paystack_id=""), name="ai_dispute_paystack_id_not_empty"),
            models.CheckConstraint(
                condition=Q(amount_minor__isnull=True) | Q(amount_minor__gte=0), name="ai_dispute_amount_not_negative"
            ),
            models.CheckConstraint(condition=Q(credits_frozen__gte=0), name="ai_dispute_frozen_not_negative"),
            models.CheckConstraint(
                condition=Q(status="open", ended_at__isnull=True)
                | Q(status__in=["won", "lost"], ended_at__isnull=False, credits_frozen=0),
                name="ai_dispute_ended_freezes_nothing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.paystack_id}: {self.category or self.status}"

    @property
    def is_open(self) -> bool:
        return self.status == DisputeStatus.OPEN
