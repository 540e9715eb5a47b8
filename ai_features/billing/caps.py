"""How many credits a token, a member or a feature may use in a day or month. Counted where credits go out: ledger."""

from __future__ import annotations

from ai_features.billing.ledger import open_account
from ai_features.billing.ledger.accounts import period_start
from ai_features.billing.pricing import Credits
from ai_features.billing.requests import is_plain_text
from ai_features.exceptions import InvalidRequest
from ai_features.models import CapPeriod, CapScope, SpendingCap
from ai_features.money import to_micro

SUBJECT_LONGEST = 64


def set_cap(wallet_id: int, scope: str, subject: str, period: str, limit: Credits | None) -> None:
    """See `AIBillingService.set_cap`."""
    _check(scope, subject, period)
    micro = None if limit is None else to_micro(limit)
    which = {"wallet_id": wallet_id, "scope": scope, "subject": subject, "period": period}
    with open_account(wallet_id) as account:
        caps = SpendingCap.objects.filter(**which)
        if micro is None:
            caps.delete()
        elif not caps.update(limit=micro):
            cap = SpendingCap(**which, limit=micro, period_start=period_start(period, account.now.date()))
            cap.used = account.set_aside_under(cap)
            cap.save()
        account.wallet.is_capped = SpendingCap.objects.filter(wallet_id=wallet_id).exists()


def _check(scope: str, subject: str, period: str) -> None:
    problems = {}
    if scope not in CapScope.values:
        problems["scope"] = [f"One of: {', '.join(CapScope.values)}."]
    if period not in CapPeriod.values:
        problems["period"] = [f"One of: {', '.join(CapPeriod.values)}."]
    if not subject or not is_plain_text(subject, SUBJECT_LONGEST):
        problems["subject"] = [f"1 to {SUBJECT_LONGEST} printable characters."]
    if problems:
        raise InvalidRequest(fields=problems)
