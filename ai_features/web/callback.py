"""Where Paystack sends the buyer back. Whoever opens it, the payment is settled; only the owner is told."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ai_features.billing import settlement
from ai_features.billing.packages import CUSTOM
from ai_features.errors import DATABASE_DOWN
from ai_features.exceptions import PaystackError
from ai_features.models import Purchase, PurchaseStatus
from ai_features.money import to_major
from ai_features.throttling import allow
from ai_features.web.pages import buy_address, own_wallet, page, private

log = logging.getLogger(__name__)

# How often the page looks again by itself: quickly while the buyer stares at it, then less, then not at all.
_REFRESH_SECONDS = ((timedelta(minutes=2), 3), (timedelta(minutes=15), 10))


@private
@require_safe
@transaction.non_atomic_requests
def callback(request: HttpRequest) -> HttpResponse:
    reference = request.GET.get("reference") or request.GET.get("trxref") or ""
    purchase = _find(reference)
    if purchase is not None:
        purchase = _look_again(request, purchase)
    wallet = own_wallet(request)
    if wallet is None:
        return page(request, "callback_stranger", {"own_wallet": None})
    if purchase is None or purchase.wallet_id != wallet.pk:
        return page(request, "callback_unknown", {"own_wallet": wallet}, status=404)
    return page(request, "callback", {"own_wallet": wallet, **_told_to_the_owner(purchase)})


def _told_to_the_owner(purchase: Purchase) -> dict[str, object]:
    is_completed = purchase.status == PurchaseStatus.COMPLETED
    return {
        "purchase": purchase,
        "new_balance": settlement.balance_after(purchase) if is_completed else None,
        "refresh_seconds": _refresh_seconds(purchase),
        "try_again_address": buy_address(_choice_of(purchase)),
    }


def _choice_of(purchase: Purchase) -> dict[str, str]:
    amount = {"custom_amount": str(to_major(purchase.price_minor))} if purchase.package_code == CUSTOM else {}
    return {"package": purchase.package_code, **amount}


def _find(reference: str) -> Purchase | None:
    # Neither text column of PostgreSQL nor reference of ours holds such characters.
    if not reference.isascii() or not reference.isprintable() or len(reference) > 50:
        return None
    return Purchase.objects.filter(reference=reference).first()


def _look_again(request: HttpRequest, purchase: Purchase) -> Purchase:
    if purchase.is_decided or not allow(request, "callback"):
        return purchase
    try:
        return settlement.check_for_buyer(purchase)
    except (PaystackError, ImproperlyConfigured, *DATABASE_DOWN) as error:
        # The page says "not confirmed yet", which is the truth, and looks again.
        about = {"reference": purchase.reference}
        log.warning("purchase %s could not be checked: %s", purchase.reference, error, extra=about)
        return purchase


def _refresh_seconds(purchase: Purchase) -> int | None:
    if purchase.status != PurchaseStatus.PENDING:
        return None
    age = timezone.now() - purchase.created_at
    return next((seconds for limit, seconds in _REFRESH_SECONDS if age < limit), None)
