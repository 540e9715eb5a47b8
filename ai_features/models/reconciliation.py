"""What is known of Paystack's books: its answers, its list, where it disagrees with ours, and what it paid out."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ai_features.models.purchases import Mode, SettledBy


class PaystackAnswer(models.Model):
    """What Paystack answered when it was asked about a purchase: one row for each asker and answer, with a count.

    `answer` is Paystack's own word for the transaction's status, or the code of the error.
    """

    purchase = models.ForeignKey("Purchase", models.PROTECT, related_name="answers", db_index=False)
    asked_by = models.CharField(_("asked by"), max_length=10, choices=SettledBy)
    answer = models.CharField(_("answer"), max_length=60)
    times = models.PositiveIntegerField(_("times"), default=1)
    first_at = models.DateTimeField(_("first"))
    last_at = models.DateTimeField(_("last"))

    class Meta:
        verbose_name = _("answer of Paystack")
        verbose_name_plural = _("answers of Paystack")
        constraints = [
            models.UniqueConstraint(fields=["purchase", "asked_by", "answer"], name="ai_answer_once_per_asker"),
        ]

    def __str__(self) -> str:
        return f"{self.answer} × {self.times}"


class ReconciliationStatus(models.TextChoices):
    RUNNING = "running", _("not finished")
    FINISHED = "finished", _("finished")


class Reconciliation(models.Model):
    """One comparison of Paystack's list of payments in a window with our purchases: the stored report.

    While it is not finished, `cursor` says where Paystack's list goes on and `compared_id` up to which listed payment
    was compared: whoever runs next goes on from there.
    """

    mode = models.CharField(_("mode"), max_length=4, choices=Mode)
    window_from = models.DateTimeField(_("from"))
    window_to = models.DateTimeField(_("to"))
    is_up_to_now = models.BooleanField(
        _("up to now"), default=False, help_text=_("The list was read from its newest payment on, by whichever clock.")
    )
    status = models.CharField(
        _("status"), max_length=10, choices=ReconciliationStatus, default=ReconciliationStatus.RUNNING
    )
    is_listed = models.BooleanField(_("list was read to its end"), default=False)
    cursor = models.CharField(_("cursor"), max_length=300, blank=True, default="")
    compared_id = models.BigIntegerField(default=0, editable=False)
    listed = models.PositiveIntegerField(_("payments listed"), default=0)
    counts = models.JSONField(_("found"), default=dict, blank=True)
    problem = models.CharField(_("stopped because"), max_length=300, blank=True, default="")
    started_at = models.DateTimeField(_("started"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.window_from:%Y-%m-%d %H:%M} – {self.window_to:%Y-%m-%d %H:%M}"


class ListedPayment(models.Model):
    """A payment as Paystack listed it, kept while its reconciliation runs. Copied in by the thousand."""

    reconciliation = models.ForeignKey(
        Reconciliation, models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    reference = models.CharField(max_length=100)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    mode = models.CharField(max_length=10)
    fees_minor = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = _("listed payment")
        verbose_name_plural = _("listed payments")

    def __str__(self) -> str:
        return self.reference


class FindingKind(models.TextChoices):
    MISSED = "missed", _("paid at Paystack, and nobody had told us")
    UNKNOWN = "unknown", _("paid at Paystack, and no purchase of ours")
    REVERSED = "reversed", _("settled here, and reversed at Paystack since")
    NOT_PAID = "not_paid", _("settled here, and not paid according to Paystack")
    DIFFERENT = "different", _("settled here for another payment than Paystack lists")


class Finding(models.Model):
    """One reference on which Paystack's books and ours disagreed, and what was done about it."""

    reconciliation = models.ForeignKey(Reconciliation, models.PROTECT, related_name="findings")
    kind = models.CharField(_("kind"), max_length=10, choices=FindingKind)
    reference = models.CharField(_("reference"), max_length=100)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="")
    amount_minor = models.BigIntegerField(_("amount"), null=True, blank=True)
    outcome = models.CharField(_("what was done"), max_length=300, blank=True, default="")
    found_at = models.DateTimeField(_("found"), auto_now_add=True)

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["reference", "kind"], name="ai_finding_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


class Payout(models.Model):
    """What Paystack paid out once, in the subunit, tied to the payments, fees and refunds that it was made of.

    `differences` names what does not add up; empty: everything does. Paystack calls it a settlement.
    """

    # Unsigned 64 bits at Paystack, more than any integer column of ours holds.
    paystack_id = models.CharField(_("Paystack id"), max_length=20)
    mode = models.CharField(_("mode"), max_length=4, choices=Mode)
    currency = models.CharField(_("currency"), max_length=3)
    status = models.CharField(_("status"), max_length=40)
    settled_at = models.DateTimeField(_("date"), null=True, blank=True)
    processed_minor = models.BigIntegerField(_("payments"))
    fees_minor = models.BigIntegerField(_("fees"))
    deducted_minor = models.BigIntegerField(_("deducted"), help_text=_("Refunds and disputes."))
    effective_minor = models.BigIntegerField(_("paid out"))
    others_minor = models.BigIntegerField(
        _("of others"), default=0, help_text=_("Payments of no settled purchase here, less their fees and refunds.")
    )
    payments = models.PositiveIntegerField(_("number of payments"), default=0)
    of_others = models.PositiveIntegerField(_("of them of no purchase here"), default=0)
    differences = models.JSONField(_("differences"), default=list, blank=True)
    tied_at = models.DateTimeField(_("compared"))

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        ordering = ["-settled_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["mode", "paystack_id"], name="ai_payout_once"),
        ]

    def __str__(self) -> str:
        return f"{self.paystack_id} ({self.currency})"


class Job(models.Model):
    """Something done by the clock: when it is due, who is at it, and how it went last."""

    name = models.CharField(_("name"), max_length=40, primary_key=True)
    due_at = models.DateTimeField(_("due"))
    held_until = models.DateTimeField(_("at work until"), null=True, blank=True)
    finished_at = models.DateTimeField(_("last finished"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=300, blank=True, default="")

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")

    def __str__(self) -> str:
        return self.name
