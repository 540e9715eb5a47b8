"""What a new installation starts with. Every step is safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet, Sum

from ai_features.billing.grants import grant, require_no_approval
from ai_features.billing.pricing import Credits
from ai_features.billing.wallets import Owner, wallet_id_of
from ai_features.exceptions import InvalidRequest
from ai_features.models import FeaturePrice, LedgerEntry, Package, Wallet, defaults
from ai_features.money import to_credits, to_micro

GRANT_KEY = "setup-ai-credits"


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all wallets, in credits."""

    wallets: int
    balance: Decimal
    held: Decimal
    debt: Decimal


def packages() -> QuerySet[Package]:
    """All of them; where there were none, the three to start with are made first."""
    defaults.create_packages()
    return Package.objects.all()


def features() -> QuerySet[FeaturePrice]:
    return FeaturePrice.objects.all()


def set_price(code: str, per_call: Credits) -> FeaturePrice:
    """One call costs so much; what a unit or a token costs stays as it was.

    Raises a CreditsOutOfRange, and InvalidRequest for an unusable code.
    """
    price = FeaturePrice.objects.filter(code=code).first() or FeaturePrice(code=code)
    price.per_call = to_micro(per_call)
    try:
        price.full_clean()
    except ValidationError as error:
        raise InvalidRequest(fields=error.message_dict) from error
    price.save()
    return price


def grant_once(owner: Owner, credits_: Credits, *, granted_by: AbstractBaseUser | None = None) -> LedgerEntry:
    """Credits to try it out with. Raises as `grant`, and ApprovalRequired where they are more than one may grant alone,
    named or not; IdempotencyConflict where the owner had another number before."""
    require_no_approval(to_micro(credits_))
    return grant(wallet_id_of(owner), credits_, reason="Test", expires_at=None, key=GRANT_KEY, actor=granted_by)


def totals() -> Totals:
    sums = Wallet.objects.aggregate(
        wallets=Count("pk"), balance=Sum("balance", default=0), held=Sum("held", default=0), debt=Sum("debt", default=0)
    )
    return Totals(sums.pop("wallets"), **{name: to_credits(int(micro)) for name, micro in sums.items()})
