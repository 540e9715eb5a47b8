from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class UsageDay(models.Model):
    """The roll-up: what one wallet used of one feature on one day (UTC), in micro-credits and calls.

    Exact up to the wallet's `UsageMark`; what came later is read from the entries themselves.
    """

    pk = models.CompositePrimaryKey("wallet_id", "day", "feature")
    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="+", db_index=False)
    day = models.DateField(_("day"))
    feature = models.CharField(_("feature"), max_length=60)
    credits = models.BigIntegerField(_("credits"))
    calls = models.BigIntegerField(_("calls"))

    class Meta:
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by day")

    def __str__(self) -> str:
        return f"{self.day} {self.feature} {self.credits}"


class UsageMark(models.Model):
    """How far the roll-up of a wallet has come: its entries up to and including `entry_id` are in it."""

    wallet = models.OneToOneField("Wallet", models.PROTECT, related_name="+", primary_key=True)
    entry_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.wallet_id} up to {self.entry_id}"


class NoticeKind(models.TextChoices):
    LOW = "low", _("low balance")
    DEPLETED = "depleted", _("depleted")
    EXPIRING = "expiring", _("credits about to expire")


class Notice(models.Model):
    """That a wallet's owner was told something; the constraint is what keeps it to one of a kind a day."""

    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="notices", db_index=False)
    kind = models.CharField(_("kind"), max_length=10, choices=NoticeKind)
    day = models.DateField(_("day"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [models.UniqueConstraint(fields=["wallet", "kind", "day"], name="ai_notice_once_a_day")]

    def __str__(self) -> str:
        return f"{self.kind} {self.day}"
