"""The three packages a new installation starts with, as django.contrib.sites starts with one site."""

from __future__ import annotations

from typing import Any

from ai_features.conf import ai_credits
from ai_features.models.purchases import Package
from ai_features.money import MICRO

# code, name, price in GHS, credits, bonus credits
PACKAGES = (
    ("starter", "Starter", 30, 30, 0),
    ("value", "Value pack", 80, 80, 20),
    ("premium", "Premium", 180, 180, 70),
)


def create_packages(*, using: str = "default", **_: Any) -> None:
    """Fill an empty table after `migrate`, once: what staff edits or deletes stays as they left it.

    Only where the currency is GHS, since the prices are; elsewhere staff enters packages in the admin.
    """
    packages = Package.objects.using(using)
    if ai_credits().currency != "GHS" or packages.exists():
        return
    packages.bulk_create(
        Package(
            code=code,
            name=name,
            currency="GHS",
            price_minor=price * 100,
            credits=credits_ * MICRO,
            bonus_credits=bonus * MICRO,
            position=position,
        )
        for position, (code, name, price, credits_, bonus) in enumerate(PACKAGES)
    )
