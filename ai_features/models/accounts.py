from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ai_features.models.purchases import Mode


class AccountDay(models.Model):
    """What one day did to the books in one currency of one mode, closed after its end. Subunit and micro-credits.

    The day ends with the ledger entry `last_entry_id`, so each entry belongs to exactly one day. Movements are of the
    day, `…_closing` are what stood at its end: closing of the day before, plus the movements, is the closing. The
    currency and the mode are empty for credits that nobody paid for, which have no money.
    """

    day = models.DateField(_("day"))
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    mode = models.CharField(_("mode"), max_length=4, choices=Mode, blank=True, default="")
    last_entry_id = models.BigIntegerField()

    received_minor = models.BigIntegerField(_("received"), default=0)
    tax_minor = models.BigIntegerField(_("of it tax"), default=0)
    fees_minor = models.BigIntegerField(_("Paystack's fees"), default=0)
    refunded_minor = models.BigIntegerField(_("refunded"), default=0)
    lost_in_disputes_minor = models.BigIntegerField(_("of it lost in disputes"), default=0)
    others_minor = models.BigIntegerField(_("of others in the payouts"), default=0)
    paid_out_minor = models.BigIntegerField(_("paid out by Paystack"), default=0)
    at_paystack_closing_minor = models.BigIntegerField(_("held by Paystack"), default=0)
    refunds_open_minor = models.BigIntegerField(_("of it on its way to payers"), default=0)

    sold_minor = models.BigIntegerField(_("credits sold, without tax"), default=0)
    used_minor = models.BigIntegerField(_("revenue from use"), default=0)
    breakage_minor = models.BigIntegerField(_("revenue from expiry"), default=0)
    returned_minor = models.BigIntegerField(_("taken back"), default=0)
    deferred_closing_minor = models.BigIntegerField(_("deferred revenue"), default=0)

    credits_sold = models.BigIntegerField(_("sold"), default=0)
    credits_bonus = models.BigIntegerField(_("bonus"), default=0)
    credits_granted = models.BigIntegerField(_("granted"), default=0)
    credits_spent = models.BigIntegerField(_("spent"), default=0)
    credits_expired = models.BigIntegerField(_("expired"), default=0)
    credits_taken_back = models.BigIntegerField(_("taken back, less what came again"), default=0)
    credits_closing = models.BigIntegerField(_("still owed"), default=0)
    debt_change = models.BigIntegerField(_("debt made, less debt paid"), default=0)
    debt_closing = models.BigIntegerField(_("debt"), default=0)

    payments = models.PositiveIntegerField(_("payments"), default=0)
    fees_unknown = models.IntegerField(_("payments whose fee is not known, less those told since"), default=0)

    class Meta:
        verbose_name = _("day of the accounts")
        verbose_name_plural = _("accounts")
        ordering = ["-day", "currency", "mode"]
        constraints = [
            models.UniqueConstraint(fields=["day", "currency", "mode"], name="ai_account_day_once"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.currency} {self.mode}".strip()


class ItemKind(models.TextChoices):
    REFUND = "refund", _("refund")
    PAYOUT = "payout", _("payout")
    FEE_UNKNOWN = "fee_unknown", _("payment whose fee is not known")
    FEE = "fee", _("fee told afterwards")


class AccountItem(models.Model):
    """What a closed day booked by itself, in the subunit: a refund, a payout, a fee that was not known at once.

    `day` is the day that booked it and never changes; `of_day` is the day it belongs to. Where that was closed before
    the item became known, `day` is the first that was not: a closed day stays as it is, and nothing is lost. A payout
    that Paystack corrects is booked again with the difference.
    """

    day = models.DateField(_("booked on"))
    of_day = models.DateField(_("of"))
    kind = models.CharField(_("kind"), max_length=11, choices=ItemKind)
    currency = models.CharField(_("currency"), max_length=3)
    amount_minor = models.BigIntegerField(_("amount"), default=0)
    others_minor = models.BigIntegerField(_("of it of others"), default=0)
    refund = models.OneToOneField("Refund", models.PROTECT, null=True, related_name="account_item")
    payout = models.ForeignKey("Payout", models.PROTECT, null=True, related_name="account_items")
    purchase = models.ForeignKey("Purchase", models.PROTECT, null=True, related_name="account_items", db_index=False)

    class Meta:
        verbose_name = _("item of the accounts")
        verbose_name_plural = _("items of the accounts")
        ordering = ["day", "id"]
        indexes = [models.Index(fields=["day"], name="ai_account_item_day")]
        constraints = [
            models.UniqueConstraint(
                fields=["purchase", "kind"], condition=Q(purchase__isnull=False), name="ai_account_item_fee_once"
            ),
            models.CheckConstraint(condition=Q(day__gte=F("of_day")), name="ai_account_item_not_before_its_day"),
            models.CheckConstraint(
                condition=Q(kind="refund", refund__isnull=False, payout__isnull=True, purchase__isnull=True)
                | Q(kind="payout", payout__isnull=False, refund__isnull=True, purchase__isnull=True)
                | Q(kind__in=["fee", "fee_unknown"], purchase__isnull=False, refund__isnull=True, payout__isnull=True),
                name="ai_account_item_has_its_source",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.kind} {self.currency}"

    @property
    def source(self) -> str:
        """The payment's reference; of a payout, Paystack's number."""
        if self.refund is not None:
            return str(self.refund.reference)
        if self.payout is not None:
            return str(self.payout.paystack_id)
        return "" if self.purchase is None else str(self.purchase.reference)

    @property
    def mode(self) -> str:
        """Only what belongs to a settled purchase, or was paid out, is booked."""
        purchase = self.purchase if self.refund is None else self.refund.purchase
        return getattr(self.payout or purchase, "mode", "")

    @property
    def is_late(self) -> bool:
        return self.day > self.of_day


class LotMark(models.Model):
    """What was left in a lot at the end of the last closed day. Used-up lots have none."""

    lot = models.OneToOneField("Lot", models.PROTECT, primary_key=True, related_name="mark")
    remaining = models.BigIntegerField()

    class Meta:
        verbose_name = _("mark of a lot")
        verbose_name_plural = _("marks of lots")

    def __str__(self) -> str:
        return f"{self.lot_id}: {self.remaining}"
