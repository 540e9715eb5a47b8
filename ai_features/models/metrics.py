from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Tally(models.Model):
    """A figure for `/metrics` that would be dear to count afresh each time: what it says of all up to `as_of`."""

    metric = models.CharField(_("metric"), max_length=40)
    label = models.CharField(_("label"), max_length=40, blank=True, default="")
    value = models.BigIntegerField(_("value"), default=0)
    as_of = models.DateTimeField(_("as of"))

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        constraints = [
            models.UniqueConstraint(fields=["metric", "label"], name="ai_tally_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.label}".strip()
