from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ai_features.money import MAX_MICRO


class Wallet(models.Model):
    """One owner's credits, in micro-credits. The owner is a user, or a team that the host's resolver names.

    Made by `billing.wallets`, moved only by `billing.ledger`. A user with a wallet cannot be deleted, since the
    ledger stays; deactivate the account instead.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="ai_wallet",
        verbose_name=_("user"),
    )
    team = models.CharField(_("team"), max_length=100, unique=True, null=True, blank=True)
    balance = models.BigIntegerField(_("balance"), default=0, help_text=_("Micro-credits, held ones included."))
    held = models.BigIntegerField(_("held"), default=0, help_text=_("Micro-credits in open reservations."))
    overdue = models.BigIntegerField(
        _("overdue"), default=0, help_text=_("Micro-credits past their expiry, kept for an open reservation.")
    )
    debt = models.BigIntegerField(_("debt"), default=0, help_text=_("Micro-credits used that were not there."))
    unallocated = models.BigIntegerField(
        _("unallocated"), default=0, help_text=_("Micro-credits spent but not yet taken from lots.")
    )
    next_expiry_at = models.DateTimeField(
        _("next expiry"),
        null=True,
        blank=True,
        help_text=_("Earliest expiry among lots with something left, overdue ones apart."),
    )
    is_capped = models.BooleanField(_("has spending caps"), default=False)
    low_balance = models.BigIntegerField(
        _("low balance"),
        null=True,
        blank=True,
        help_text=_("Micro-credits below which a notice is sent; empty: the site's setting."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("wallet")
        verbose_name_plural = _("wallets")
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, team__isnull=True) | Q(user__isnull=True, team__isnull=False),
                name="ai_wallet_one_owner",
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="ai_wallet_held_not_negative"),
            models.CheckConstraint(condition=Q(balance__gte=F("held")), name="ai_wallet_balance_covers_held"),
            models.CheckConstraint(
                condition=Q(overdue__gte=0, overdue__lte=F("held")), name="ai_wallet_overdue_is_held"
            ),
            models.CheckConstraint(condition=Q(debt__gte=0), name="ai_wallet_debt_not_negative"),
            models.CheckConstraint(condition=Q(unallocated__gte=0), name="ai_wallet_unallocated_not_negative"),
            # SQLite turns an integer overflow into a float; this stops it before the precision goes.
            models.CheckConstraint(
                condition=Q(balance__lte=MAX_MICRO, debt__lte=MAX_MICRO), name="ai_wallet_balance_in_range"
            ),
        ]

    def __str__(self) -> str:
        return str(self.user) if self.user_id is not None else str(self.team)

    @property
    def available(self) -> int:
        """Micro-credits that can be spent or reserved now."""
        return 0 if self.debt else self.balance - self.held
