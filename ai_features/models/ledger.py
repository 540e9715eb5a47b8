from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ai_features.models.disputes import Dispute
from ai_features.models.lots import Lot
from ai_features.models.purchases import Purchase
from ai_features.models.refunds import Refund
from ai_features.models.wallets import Wallet


class EntryKind(models.TextChoices):
    PURCHASE = "purchase", _("purchase")
    BONUS = "bonus", _("bonus")
    GRANT = "grant", _("grant")
    SPEND = "spend", _("spend")
    CAPTURE = "capture", _("capture")
    EXPIRY = "expiry", _("expiry")
    DEBT_PAYMENT = "debt_payment", _("debt payment")
    REFUND = "refund", _("refund")
    REFUND_FAILED = "refund_failed", _("refund failed, given back")
    DISPUTE = "dispute", _("frozen for a dispute")
    DISPUTE_RELEASE = "dispute_release", _("released from a dispute")


USAGE_KINDS = (EntryKind.SPEND, EntryKind.CAPTURE)
"""What an app charged for a feature; everything else moves credits without anything having been used."""


class LedgerEntry(models.Model):
    """One append-only change of a wallet's balance, in micro-credits.

    `amount` changes `balance − debt`, `debt_change` moves between the two: paying 30 of debt from the balance is
    amount 0, debt_change −30. Triggers refuse update and delete, so nothing here may be set to null later, but for
    `metadata`, which may only be emptied.
    """

    # On PostgreSQL triggers hold the keys that name a class, and the checks (`entry_laws.py`). They look at once: a
    # dump must have first what entries refer to, so this model comes after those.
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="entries", db_index=False)
    kind = models.CharField(_("kind"), max_length=20, choices=EntryKind)
    amount = models.BigIntegerField(_("amount"))
    debt_change = models.BigIntegerField(_("debt change"), default=0, db_default=0)
    balance_after = models.BigIntegerField(_("balance after"))
    purchase = models.ForeignKey(
        Purchase, models.PROTECT, null=True, blank=True, related_name="entries", db_index=False
    )
    lot = models.ForeignKey(Lot, models.PROTECT, null=True, blank=True, related_name="entries", db_index=False)
    reason = models.CharField(_("reason"), max_length=200, blank=True, default="", db_default="")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text=_("The member of staff who did it."),
    )
    feature = models.CharField(_("feature"), max_length=60, blank=True, default="", db_default="")
    pricing = models.JSONField(
        _("price"), null=True, blank=True, help_text=_("What the feature cost when it was charged, and how much of it.")
    )
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text=_("Whose call it was, where a team shares the wallet."),
    )
    reservation = models.ForeignKey(
        "Reservation",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="entries",
        db_index=False,
        db_constraint=False,
    )
    refund = models.ForeignKey(Refund, models.PROTECT, null=True, blank=True, related_name="entries", db_index=False)
    dispute = models.ForeignKey(Dispute, models.PROTECT, null=True, blank=True, related_name="entries", db_index=False)
    metadata = models.JSONField(
        _("metadata"), null=True, blank=True, help_text=_("The app's own note on the call; emptied by redaction.")
    )
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["wallet", "id"], name="ai_entry_statement"),
            models.Index(fields=["created_at"], condition=Q(metadata__isnull=False), name="ai_entry_to_redact"),
            models.Index(
                fields=["reservation"], condition=Q(reservation__isnull=False), name="ai_entry_of_reservation"
            ),
            models.Index(fields=["lot"], condition=Q(kind="expiry"), name="ai_entry_expiry_of_lot"),
            models.Index(fields=["dispute", "lot"], condition=Q(dispute__isnull=False), name="ai_entry_of_dispute"),
            models.Index(fields=["actor"], condition=Q(actor__isnull=False), name="ai_entry_actor"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["purchase"], condition=Q(kind="purchase"), name="ai_entry_purchase_settles_once"
            ),
            models.UniqueConstraint(fields=["purchase"], condition=Q(kind="bonus"), name="ai_entry_bonus_given_once"),
            models.CheckConstraint(
                condition=Q(purchase__isnull=False) | ~Q(kind__in=["purchase", "bonus"]),
                name="ai_entry_purchase_has_a_purchase",
            ),
            # A take-back is an entry for each lot it takes from, and one for what the lots had not.
            models.UniqueConstraint(
                fields=["refund", "kind", "lot"],
                condition=Q(refund__isnull=False, lot__isnull=False),
                name="ai_entry_refund_once_a_lot",
            ),
            models.UniqueConstraint(
                fields=["refund", "kind"],
                condition=Q(refund__isnull=False, lot__isnull=True),
                name="ai_entry_refund_once",
            ),
            models.CheckConstraint(
                condition=Q(kind="refund", refund__isnull=False, amount__lt=0)
                | Q(kind="refund_failed", refund__isnull=False, amount__gt=0)
                | (Q(refund__isnull=True) & ~Q(kind__in=["refund", "refund_failed"])),
                name="ai_entry_refund_has_a_refund",
            ),
            models.CheckConstraint(
                condition=Q(kind="dispute", dispute__isnull=False, lot__isnull=False, amount__lt=0)
                | Q(kind="dispute_release", dispute__isnull=False, lot__isnull=False, amount__gt=0)
                | (Q(dispute__isnull=True) & ~Q(kind__in=["dispute", "dispute_release"])),
                name="ai_entry_dispute_has_a_dispute",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class IdempotencyKey(models.Model):
    """What a key stands for in one wallet: the request that came with it first, and the answer that it got.

    Written in the transaction that did the work, and kept as long as the wallet.
    """

    pk = models.CompositePrimaryKey("wallet_id", "key")
    wallet = models.ForeignKey("Wallet", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    key = models.CharField(_("idempotency key"), max_length=110)
    request = models.JSONField(_("request"))
    answer = models.JSONField(_("answer"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")

    def __str__(self) -> str:
        return self.key
