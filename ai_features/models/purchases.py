from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ai_features.money import CURRENCIES

FIRST_CHECK_AFTER = timedelta(seconds=30)


class Package(models.Model):
    """What is for sale. Prices and credits may be edited at any time: a purchase keeps what it was sold for."""

    code = models.SlugField(_("code"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=80)
    currency = models.CharField(_("currency"), max_length=3, choices=[(code, code) for code in CURRENCIES])
    price_minor = models.BigIntegerField(
        _("price"),
        validators=[MinValueValidator(1)],
        help_text=_("In the subunit, before tax: 8000 is GHS 80."),
    )
    credits = models.BigIntegerField(
        _("credits"), validators=[MinValueValidator(1)], help_text=_("Micro-credits: 80000000 is 80 credits.")
    )
    bonus_credits = models.BigIntegerField(
        _("bonus credits"), default=0, validators=[MinValueValidator(0)], help_text=_("Micro-credits.")
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("for sale"), default=True)

    class Meta:
        verbose_name = _("package")
        verbose_name_plural = _("packages")
        ordering = ["position", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(price_minor__gt=0), name="ai_package_price_positive"),
            models.CheckConstraint(condition=Q(credits__gt=0), name="ai_package_credits_positive"),
            models.CheckConstraint(condition=Q(bonus_credits__gte=0), name="ai_package_bonus_not_negative"),
            models.CheckConstraint(condition=~Q(code="custom"), name="ai_package_custom_is_reserved"),
        ]

    def __str__(self) -> str:
        return self.name


class Mode(models.TextChoices):
    """Paystack's `domain`; test and live share nothing."""

    TEST = "test", _("test")
    LIVE = "live", _("live")


class PurchaseStatus(models.TextChoices):
    PENDING = "pending", _("pending")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    ABANDONED = "abandoned", _("abandoned")
    REVIEW = "review", _("in review")
    PARTIALLY_REFUNDED = "partially_refunded", _("partially refunded")
    REFUNDED = "refunded", _("refunded")


# Success is final and may come late, so failed and abandoned are not the end of a purchase.
MOVES: dict[PurchaseStatus, frozenset[PurchaseStatus]] = {
    PurchaseStatus.PENDING: frozenset(
        {PurchaseStatus.COMPLETED, PurchaseStatus.FAILED, PurchaseStatus.ABANDONED, PurchaseStatus.REVIEW}
    ),
    PurchaseStatus.FAILED: frozenset({PurchaseStatus.COMPLETED, PurchaseStatus.REVIEW}),
    PurchaseStatus.ABANDONED: frozenset({PurchaseStatus.COMPLETED, PurchaseStatus.REVIEW}),
    PurchaseStatus.REVIEW: frozenset({PurchaseStatus.COMPLETED, PurchaseStatus.REFUNDED}),
    PurchaseStatus.COMPLETED: frozenset({PurchaseStatus.PARTIALLY_REFUNDED, PurchaseStatus.REFUNDED}),
    PurchaseStatus.PARTIALLY_REFUNDED: frozenset({PurchaseStatus.REFUNDED}),
    PurchaseStatus.REFUNDED: frozenset(),
}

# Credits were given, or staff must look: what Paystack says next does not settle it.
DECIDED = frozenset(
    {
        PurchaseStatus.COMPLETED,
        PurchaseStatus.REVIEW,
        PurchaseStatus.PARTIALLY_REFUNDED,
        PurchaseStatus.REFUNDED,
    }
)


class SettledBy(models.TextChoices):
    """Which of Paystack's confirmations came first."""

    RETURN = "return", _("the buyer's return")
    WEBHOOK = "webhook", _("webhook")
    RECONCILE = "reconcile", _("reconciliation")
    STAFF = "staff", _("staff")


def first_check_at() -> datetime:
    return timezone.now() + FIRST_CHECK_AFTER


class Purchase(models.Model):
    """One attempt to buy a package, with one Paystack reference. Price and credits are as they were sold."""

    reference = models.CharField(_("reference"), max_length=100, unique=True)
    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="purchases", db_index=False)
    buyer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="ai_purchases", verbose_name=_("buyer")
    )
    email = models.EmailField(_("e-mail"))
    mode = models.CharField(_("mode"), max_length=4, choices=Mode)
    status = models.CharField(_("status"), max_length=20, choices=PurchaseStatus, default=PurchaseStatus.PENDING)
    status_reason = models.CharField(
        _("reason"), max_length=300, blank=True, default="", help_text=_("Why it failed or needs review.")
    )

    package_code = models.CharField(_("package"), max_length=40)
    currency = models.CharField(_("currency"), max_length=3)
    price_minor = models.BigIntegerField(_("price"))
    tax_lines = models.JSONField(_("tax"), default=list, blank=True)
    amount_minor = models.BigIntegerField(_("amount"), help_text=_("What Paystack is asked for, tax included."))
    credits = models.BigIntegerField(_("credits"))
    bonus_credits = models.BigIntegerField(_("bonus credits"), default=0)
    payment_method = models.CharField(_("payment method"), max_length=20, blank=True, default="")

    idempotency_key = models.CharField(_("idempotency key"), max_length=100, null=True, blank=True)  # noqa: DJ001
    fingerprint = models.CharField(max_length=64, blank=True, default="", editable=False)
    authorization_url = models.URLField(_("checkout address"), max_length=500, blank=True, default="")
    access_code = models.CharField(_("access code"), max_length=100, blank=True, default="")

    # Unsigned 64 bits at Paystack, more than any integer column of ours holds.
    paystack_id = models.CharField(_("Paystack id"), max_length=20, blank=True, default="")
    paid_amount_minor = models.BigIntegerField(_("amount paid"), null=True, blank=True)
    paid_currency = models.CharField(_("currency paid"), max_length=10, blank=True, default="")
    fees_minor = models.BigIntegerField(_("Paystack's fee"), null=True, blank=True)
    channel = models.CharField(_("paid by"), max_length=40, blank=True, default="")
    gateway_response = models.CharField(_("gateway response"), max_length=300, blank=True, default="")
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)

    refunded_minor = models.BigIntegerField(
        _("refunded"), default=0, db_default=0, help_text=_("What Paystack has sent back, in the currency paid.")
    )

    settled_by = models.CharField(_("settled by"), max_length=10, choices=SettledBy, blank=True, default="")
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)
    next_check_at = models.DateTimeField(
        _("next check"),
        null=True,
        blank=True,
        default=first_check_at,
        help_text=_("When Paystack is asked about it by itself; empty: not any more."),
    )
    checks = models.PositiveSmallIntegerField(_("checks"), default=0, db_default=0)
    payout = models.ForeignKey(
        "Payout",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="purchases",
        db_index=False,
        verbose_name=_("payout"),
    )

    class Meta:
        verbose_name = _("purchase")
        verbose_name_plural = _("purchases")
        ordering = ["-id"]
        permissions = [("refund_purchase", _("Can refund purchases"))]
        indexes = [
            models.Index(fields=["wallet", "id"], name="ai_purchase_of_wallet"),
            models.Index(fields=["created_at"], condition=Q(status="pending"), name="ai_purchase_open"),
            models.Index(fields=["created_at"], name="ai_purchase_started"),
            models.Index(
                fields=["next_check_at"],
                condition=Q(status__in=["pending", "failed", "abandoned"], next_check_at__isnull=False),
                name="ai_purchase_to_check",
            ),
            models.Index(
                fields=["completed_at"], condition=Q(completed_at__isnull=False), name="ai_purchase_completed"
            ),
            models.Index(fields=["payout"], condition=Q(payout__isnull=False), name="ai_purchase_of_payout"),
            # By which payouts, refunds and disputes name a payment.
            models.Index(fields=["paystack_id"], name="ai_purchase_paystack_id"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="ai_purchase_key_used_once",
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="ai_purchase_amount_positive"),
            models.CheckConstraint(
                condition=Q(credits__gt=0, bonus_credits__gte=0), name="ai_purchase_credits_positive"
            ),
            models.CheckConstraint(
                condition=~Q(status="completed") | Q(completed_at__isnull=False),
                name="ai_purchase_completed_has_a_date",
            ),
            models.CheckConstraint(condition=Q(refunded_minor__gte=0), name="ai_purchase_refunded_not_negative"),
            models.CheckConstraint(
                condition=~Q(status__in=["partially_refunded", "refunded"]) | Q(refunded_minor__gt=0),
                name="ai_purchase_refunded_has_an_amount",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def total_credits(self) -> int:
        """Micro-credits it is worth, bonus included."""
        return self.credits + self.bonus_credits

    @property
    def payment_minor(self) -> int:
        """What was paid, in the subunit of `payment_currency`: all that can be refunded."""
        return self.paid_amount_minor or self.amount_minor

    @property
    def payment_currency(self) -> str:
        return self.paid_currency or self.currency

    @property
    def is_decided(self) -> bool:
        return self.status in DECIDED

    def may_become(self, status: PurchaseStatus) -> bool:
        return status in MOVES[PurchaseStatus(self.status)]

    def move_to(self, status: PurchaseStatus, reason: str = "") -> None:
        """Change the status in memory. Raises ValueError for a move the table does not allow: that is a bug."""
        if not self.may_become(status):
            raise ValueError(f"{self.reference}: {self.status} may not become {status}")
        self.status = status
        self.status_reason = self.cut("status_reason", reason)

    @classmethod
    def cut(cls, field: str, text: str) -> str:
        """So much of it as fits."""
        return text[: cls._meta.get_field(field).max_length]  # type: ignore[union-attr]
