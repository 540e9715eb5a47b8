from __future__ import annotations

from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, F, Q
from django.utils.translation import gettext_lazy as _


class LotSource(models.TextChoices):
    PURCHASED = "purchased", _("purchased")
    BONUS = "bonus", _("bonus")
    GRANTED = "granted", _("granted")


IS_PURCHASED = ExpressionWrapper(Q(source="purchased"), output_field=BooleanField())
ORDER_OF_USE = (F("expires_at").asc(nulls_last=True), IS_PURCHASED.asc(), F("id").asc())


class Lot(models.Model):
    """Credits that came together, in micro-credits, with one source and one expiry (null: never).

    `ORDER_OF_USE`: soonest expiry, then what was given before what was paid for, then oldest.
    """

    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="lots", db_index=False)
    source = models.CharField(_("source"), max_length=10, choices=LotSource)
    amount = models.BigIntegerField(_("amount"))
    remaining = models.BigIntegerField(_("remaining"))
    frozen = models.BigIntegerField(
        _("frozen"), default=0, db_default=0, help_text=_("Taken out while a dispute about its purchase is open.")
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    purchase = models.ForeignKey("Purchase", models.PROTECT, null=True, blank=True, related_name="lots", db_index=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("lot")
        verbose_name_plural = _("lots")
        indexes = [
            # Used-up lots stay for the record and must not weigh on the ones that can still pay.
            models.Index(
                F("wallet"),
                F("expires_at"),
                IS_PURCHASED,
                F("id"),
                condition=Q(remaining__gt=0),
                name="ai_lot_in_order_of_use",
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="ai_lot_amount_positive"),
            models.CheckConstraint(
                condition=Q(remaining__gte=0, remaining__lte=F("amount")), name="ai_lot_remaining_in_range"
            ),
            models.CheckConstraint(
                condition=Q(frozen__gte=0, frozen__lte=F("amount") - F("remaining")), name="ai_lot_frozen_in_range"
            ),
            models.UniqueConstraint(
                fields=["purchase", "source"],
                condition=Q(purchase__isnull=False),
                name="ai_lot_once_per_purchase",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.remaining}/{self.amount}"
