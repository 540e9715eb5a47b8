from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class FeaturePrice(models.Model):
    """What one use of a feature costs, in micro-credits: the four parts are added. An entry keeps its own price."""

    code = models.SlugField(_("code"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=80, blank=True, default="")
    per_call = models.BigIntegerField(_("per call"), default=0, validators=[MinValueValidator(0)])
    per_unit = models.BigIntegerField(_("per unit"), default=0, validators=[MinValueValidator(0)])
    per_1000_tokens_in = models.BigIntegerField(_("per 1,000 tokens in"), default=0, validators=[MinValueValidator(0)])
    per_1000_tokens_out = models.BigIntegerField(
        _("per 1,000 tokens out"), default=0, validators=[MinValueValidator(0)]
    )
    is_active = models.BooleanField(_("in use"), default=True)

    class Meta:
        verbose_name = _("feature price")
        verbose_name_plural = _("feature prices")
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(per_call__gte=0, per_unit__gte=0, per_1000_tokens_in__gte=0, per_1000_tokens_out__gte=0),
                name="ai_feature_price_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(per_call__gt=0)
                | Q(per_unit__gt=0)
                | Q(per_1000_tokens_in__gt=0)
                | Q(per_1000_tokens_out__gt=0),
                name="ai_feature_price_costs_something",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class CapScope(models.TextChoices):
    TOKEN = "token", _("API token")
    MEMBER = "member", _("member")
    FEATURE = "feature", _("feature")


class CapPeriod(models.TextChoices):
    DAY = "day", _("day")
    MONTH = "month", _("month")


class SpendingCap(models.Model):
    """How many credits one token, member or feature may use in a day or month (UTC) of one wallet's, in micro-credits.

    `used` counts from `period_start`; a row of an earlier period counts as nothing used. Moved under the wallet's
    lock, in the transaction of the spend, so that parallel calls cannot pass it.
    """

    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="caps", db_index=False)
    scope = models.CharField(_("of what"), max_length=10, choices=CapScope)
    subject = models.CharField(
        _("of which"),
        max_length=64,
        help_text=_("The token's key (its first characters), the user's id, the feature's code."),
    )
    period = models.CharField(_("period"), max_length=10, choices=CapPeriod)
    limit = models.BigIntegerField(_("limit"), validators=[MinValueValidator(0)], help_text=_("Micro-credits."))
    used = models.BigIntegerField(_("used"), default=0)
    period_start = models.DateField(_("since"))

    class Meta:
        verbose_name = _("spending cap")
        verbose_name_plural = _("spending caps")
        constraints = [
            models.UniqueConstraint(fields=["wallet", "scope", "subject", "period"], name="ai_cap_once"),
            models.CheckConstraint(condition=Q(limit__gte=0), name="ai_cap_limit_not_negative"),
            models.CheckConstraint(condition=Q(used__gte=0), name="ai_cap_used_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.subject}: {self.limit} a {self.period}"
