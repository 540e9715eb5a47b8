from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class ReviewKind(models.TextChoices):
    WRONG_AMOUNT = "wrong_amount", _("another amount than sold")
    WRONG_CURRENCY = "wrong_currency", _("another currency than sold")
    WRONG_MODE = "wrong_mode", _("another mode than sold")
    WRONG_REFERENCE = "wrong_reference", _("an answer for another reference")
    REVERSED = "reversed", _("the money went back before credits were given")
    UNKNOWN_REFERENCE = "unknown_reference", _("a payment that belongs to no purchase")
    PAID_AFTER_REFUND = "paid_after_refund", _("paid again after a refund")
    PAID_AGAIN = "paid_again", _("paid again under the same reference")
    SECOND_PAYMENT = "second_payment", _("perhaps paid twice for one order")
    REFUND_CONTRADICTS = "refund_contradicts", _("a refund that ended otherwise than Paystack first said")


class ReviewStatus(models.TextChoices):
    OPEN = "open", _("open")
    ACCEPTED = "accepted", _("accepted")
    REFUNDED = "refunded", _("refunded")
    DISMISSED = "dismissed", _("dismissed")


class ReviewItem(models.Model):
    """A payment that people must look at, with what Paystack said of it, and what was decided, by whom and why.

    Nothing becomes credits while it is open. A decision is final.
    """

    kind = models.CharField(_("why"), max_length=20, choices=ReviewKind)
    status = models.CharField(_("status"), max_length=10, choices=ReviewStatus, default=ReviewStatus.OPEN)
    reference = models.CharField(_("reference"), max_length=100)
    purchase = models.ForeignKey("Purchase", models.PROTECT, null=True, blank=True, related_name="review_items")
    explanation = models.CharField(_("explanation"), max_length=300, blank=True, default="")
    amount_minor = models.BigIntegerField(_("amount paid"), null=True, blank=True)
    currency = models.CharField(_("currency paid"), max_length=3, blank=True, default="")
    mode = models.CharField(_("mode"), max_length=10, blank=True, default="")
    paystack_id = models.CharField(_("Paystack id"), max_length=20, blank=True, default="")
    payer_email = models.CharField(_("payer's e-mail"), max_length=254, blank=True, default="")
    source = models.CharField(_("heard from"), max_length=60, blank=True, default="")
    opened_at = models.DateTimeField(_("opened"), auto_now_add=True)

    note = models.CharField(_("note"), max_length=300, blank=True, default="")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment to review")
        verbose_name_plural = _("payments to review")
        ordering = ["-id"]
        permissions = [("decide_reviewitem", _("Can accept, refund and dismiss payments in review"))]
        indexes = [
            models.Index(fields=["reference"], name="ai_review_of_reference"),
            models.Index(fields=["opened_at"], condition=Q(status="open"), name="ai_review_open"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["reference", "kind"], condition=Q(status="open"), name="ai_review_one_open_of_a_kind"
            ),
            models.CheckConstraint(
                condition=Q(status="open", decided_at__isnull=True)
                | (Q(decided_at__isnull=False, decided_by__isnull=False) & ~Q(note="")),
                name="ai_review_decided_says_who_and_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.get_kind_display()}"
