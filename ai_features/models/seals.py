from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class LedgerSeal(models.Model):
    """The entries after the last seal's, up to `last_id`, as they were at `sealed_at`. Triggers refuse a change.

    `hash` covers all of the row and, through `previous_hash`, every seal before it; what is hashed, and how, stands
    in `evidence/verify_ledger.py`. `entries` is a compressed copy of them, so that what was changed or removed since
    can be named. A number is used once, so of two processes that seal at once one makes the next seal.
    """

    number = models.BigIntegerField(_("number"), primary_key=True)
    first_id = models.BigIntegerField(_("first entry"))
    last_id = models.BigIntegerField(_("last entry"), unique=True)
    count = models.PositiveIntegerField(_("entries"))
    entries = models.BinaryField(_("copy of the entries"))
    entries_hash = models.CharField(_("hash of the entries"), max_length=64)
    previous_hash = models.CharField(_("hash of the seal before"), max_length=64, unique=True)
    hash = models.CharField(_("hash"), max_length=64)
    sealed_at = models.DateTimeField(_("sealed"))

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        ordering = ["-number"]
        constraints = [
            models.CheckConstraint(
                condition=Q(number__gte=1, count__gte=1, first_id__lte=F("last_id")), name="ai_seal_is_of_something"
            ),
        ]

    def __str__(self) -> str:
        return str(self.number)
