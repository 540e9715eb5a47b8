from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class AccountDay(models.Model):
    """What one day did to the books in one currency, closed after its end. Money in the subunit, credits in micro.

    The day ends with the ledger entry `last_entry_id`, so each entry belongs to exactly one day. Movements are of the
    day, `…_closing` are what stood at its end: closing of the day before, plus the movements, is the closing. The
    currency is empty for credits that nobody paid for, which have no money.
    """

    day = models.DateField(_("day"))
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    last_entry_id = models.BigIntegerField()

    received_minor = models.BigIntegerField(_("received"), default=0)
    tax_minor = models.BigIntegerField(_("of it tax"), default=0)
    fees_minor = models.BigIntegerField(_("Paystack's fees"), default=0)
    refunded_minor = models.BigIntegerField(_("refunded"), default=0)
    paid_out_minor = models.BigIntegerField(_("paid out by Paystack"), default=0)
    at_paystack_closing_minor = models.BigIntegerField(_("held by Paystack"), default=0)

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
    fees_unknown = models.PositiveIntegerField(_("payments whose fee is not known"), default=0)

    class Meta:
        verbose_name = _("day of the accounts")
        verbose_name_plural = _("accounts")
        ordering = ["-day", "currency"]
        constraints = [
            models.UniqueConstraint(fields=["day", "currency"], name="ai_account_day_once"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.currency}".strip()


class LotMark(models.Model):
    """What was left in a lot at the end of the last closed day. Used-up lots have none."""

    lot = models.OneToOneField("Lot", models.PROTECT, primary_key=True, related_name="mark")
    remaining = models.BigIntegerField()

    class Meta:
        verbose_name = _("mark of a lot")
        verbose_name_plural = _("marks of lots")

    def __str__(self) -> str:
        return f"{self.lot_id}: {self.remaining}"
