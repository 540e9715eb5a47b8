from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ReservationStatus(models.TextChoices):
    OPEN = "open", _("open")
    CAPTURED = "captured", _("captured")
    RELEASED = "released", _("released")
    EXPIRED = "expired", _("expired")


# An expired reservation may still be captured: the call was made, and is charged.
RESERVATION_MOVES: dict[ReservationStatus, frozenset[ReservationStatus]] = {
    ReservationStatus.OPEN: frozenset(
        {ReservationStatus.CAPTURED, ReservationStatus.RELEASED, ReservationStatus.EXPIRED}
    ),
    ReservationStatus.EXPIRED: frozenset({ReservationStatus.CAPTURED}),
    ReservationStatus.CAPTURED: frozenset(),
    ReservationStatus.RELEASED: frozenset(),
}


class Reservation(models.Model):
    """Credits set aside before an AI call whose price is not known yet, in micro-credits.

    While it is open `credits` is part of the wallet's `held`, and `overdue` is the part of it whose lots have passed
    their expiry and are kept for it. `captured` is what was charged in the end.
    """

    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="reservations", db_index=False)
    status = models.CharField(
        _("status"), max_length=10, choices=ReservationStatus, default=ReservationStatus.OPEN, db_default="open"
    )
    credits = models.BigIntegerField(_("credits"))
    captured = models.BigIntegerField(_("captured"), default=0, db_default=0)
    overdue = models.BigIntegerField(_("overdue"), default=0, db_default=0)
    feature = models.CharField(_("feature"), max_length=60, blank=True, default="", db_default="")
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    token = models.CharField(_("token"), max_length=64, blank=True, default="", db_default="")
    # The buyer made it, and may end it over HTTP. What the app made is the app's to end.
    over_http = models.BooleanField(_("over HTTP"), default=False, db_default=False)
    expires_at = models.DateTimeField(_("expires"))
    created_at = models.DateTimeField(_("created"), db_default=Now())
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["wallet", "expires_at"], condition=Q(status="open"), name="ai_reservation_open_of_wallet"
            ),
            models.Index(fields=["expires_at"], condition=Q(status="open"), name="ai_reservation_open"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(credits__gte=0), name="ai_reservation_credits_not_negative"),
            models.CheckConstraint(condition=Q(captured__gte=0), name="ai_reservation_captured_not_negative"),
            models.CheckConstraint(
                condition=Q(overdue__gte=0, overdue__lte=F("credits")), name="ai_reservation_overdue_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.credits}"
