from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ai_features.money import to_major


class RefundStatus(models.TextChoices):
    """Paystack's words, with its hyphen as an underscore."""

    PENDING = "pending", _("asked for")
    PROCESSING = "processing", _("on its way")
    PROCESSED = "processed", _("refunded")
    FAILED = "failed", _("failed")
    NEEDS_ATTENTION = "needs_attention", _("needs the payer's account")


REFUND_MOVES: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.PENDING: frozenset(
        {
            RefundStatus.PROCESSING,
            RefundStatus.PROCESSED,
            RefundStatus.FAILED,
            RefundStatus.NEEDS_ATTENTION,
        }
    ),
    RefundStatus.PROCESSING: frozenset({RefundStatus.PROCESSED, RefundStatus.FAILED, RefundStatus.NEEDS_ATTENTION}),
    # A retry with the payer's account sends it on its way again.
    RefundStatus.NEEDS_ATTENTION: frozenset({RefundStatus.PROCESSING, RefundStatus.PROCESSED, RefundStatus.FAILED}),
    RefundStatus.PROCESSED: frozenset(),
    RefundStatus.FAILED: frozenset(),
}

OPEN_REFUNDS = (RefundStatus.PENDING, RefundStatus.PROCESSING, RefundStatus.NEEDS_ATTENTION)


class Refund(models.Model):
    """Money on its way back to the payer, in the subunit, and the credits taken back for it, in micro-credits.

    `credits` is its share of what the purchase gave, and the five parts say where it came from: the purchase's own
    lots, other lots, debt; or why it was not taken: forgiven, or expired before. `purchase` is null where the payment
    belonged to none. `paystack_id` is null until Paystack has told it.
    """

    purchase = models.ForeignKey("Purchase", models.PROTECT, null=True, blank=True, related_name="refunds")
    reference = models.CharField(_("reference"), max_length=100)
    status = models.CharField(_("status"), max_length=20, choices=RefundStatus, default=RefundStatus.PENDING)
    # Unsigned 64 bits at Paystack, more than any integer column of ours holds.
    paystack_id = models.CharField(_("Paystack id"), max_length=20, null=True, blank=True, unique=True)
    amount_minor = models.BigIntegerField(_("amount"))
    currency = models.CharField(_("currency"), max_length=3)
    refund_reference = models.CharField(_("Paystack's reference"), max_length=100, blank=True, default="")
    dispute = models.ForeignKey(
        "Dispute",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="refunds",
        help_text=_("Where a dispute sent the money back."),
    )

    reason = models.CharField(_("reason"), max_length=300, blank=True, default="")
    problem = models.CharField(_("problem"), max_length=300, blank=True, default="")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("requested by"),
        help_text=_("Empty: made in Paystack's dashboard, or by the host."),
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=100, null=True, blank=True)  # noqa: DJ001

    credits = models.BigIntegerField(_("credits"), default=0)
    credits_taken = models.BigIntegerField(_("from its own lots"), default=0)
    credits_from_others = models.BigIntegerField(_("from other lots"), default=0)
    credits_owed = models.BigIntegerField(_("turned into debt"), default=0)
    credits_forgiven = models.BigIntegerField(_("forgiven"), default=0)
    credits_expired = models.BigIntegerField(_("had expired"), default=0)
    taken_at = models.DateTimeField(
        _("credits taken"), null=True, blank=True, help_text=_("Empty: the purchase had given none.")
    )

    asked_at = models.DateTimeField(_("asked"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["reference"], name="ai_refund_of_reference"),
            models.Index(
                fields=["asked_at"],
                condition=Q(status__in=["pending", "processing", "needs_attention"]),
                name="ai_refund_open",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["reference", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="ai_refund_key_used_once",
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="ai_refund_amount_positive"),
            models.CheckConstraint(condition=~Q(paystack_id=""), name="ai_refund_paystack_id_not_empty"),
            models.CheckConstraint(
                condition=Q(
                    credits_taken__gte=0,
                    credits_from_others__gte=0,
                    credits_owed__gte=0,
                    credits_forgiven__gte=0,
                    credits_expired__gte=0,
                ),
                name="ai_refund_credits_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    credits=F("credits_taken")
                    + F("credits_from_others")
                    + F("credits_owed")
                    + F("credits_forgiven")
                    + F("credits_expired")
                ),
                name="ai_refund_credits_add_up",
            ),
            models.CheckConstraint(
                condition=Q(taken_at__isnull=False) | Q(credits=0), name="ai_refund_taken_has_a_date"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=False, status__in=["processed", "failed"])
                | Q(ended_at__isnull=True, status__in=["pending", "processing", "needs_attention"]),
                name="ai_refund_ended_has_a_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.currency} {to_major(self.amount_minor)}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_REFUNDS

    @property
    def is_waiting_for_id(self) -> bool:
        """Paystack has not said yet which of its refunds it is."""
        return self.paystack_id is None and self.status != RefundStatus.FAILED

    @property
    def is_unconfirmed(self) -> bool:
        """Asked for, and Paystack has not said yet that it knows of it."""
        return self.is_open and self.is_waiting_for_id

    @property
    def credits_gone(self) -> int:
        """What left the wallet or is owed: the parts that were asked for and not spared."""
        return self.credits_taken + self.credits_from_others + self.credits_owed

    def may_become(self, status: RefundStatus) -> bool:
        return status in REFUND_MOVES[RefundStatus(self.status)]
