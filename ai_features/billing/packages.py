from __future__ import annotations

from django.utils.translation import gettext as _

from ai_features.models import Package

CUSTOM = "custom"


def package_name(code: str) -> str:
    """The name it has today; the code, where staff has deleted it."""
    if code == CUSTOM:
        return _("Your own amount")
    return Package.objects.filter(code=code).values_list("name", flat=True).first() or code
