"""Telling the owner in time: credits are low, used up, or about to expire. At most one notice of a kind a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Min, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tasks import task

from ai_features.billing import later, usage
from ai_features.billing.ledger import open_account
from ai_features.billing.rehearsal import rehearsal
from ai_features.conf import ai_credits
from ai_features.models import Lot, Notice, NoticeKind, Wallet
from ai_features.money import to_credits, to_micro
from ai_features.signals import credits_depleted, credits_expiring, credits_low

_SIGNALS = {
    NoticeKind.LOW: credits_low,
    NoticeKind.DEPLETED: credits_depleted,
    NoticeKind.EXPIRING: credits_expiring,
}


def watch(wallet_id: int, before: int, after: int, low_balance: int | None) -> None:
    """After credits went out: `before` and `after` are what was available, in micro-credits."""
    if after <= 0 < before:
        refused(wallet_id)
    else:
        watch_reserved(wallet_id, before, after, low_balance)


def watch_reserved(wallet_id: int, before: int, after: int, low_balance: int | None) -> None:
    """The same after credits were set aside: there may be few left, but none has been used up."""
    low = default_low_balance() if low_balance is None else low_balance
    if low is not None and after < low <= before:
        _after_commit(lambda: tell(wallet_id, NoticeKind.LOW, **_low(wallet_id, after)))


def refused(wallet_id: int) -> None:
    """Nothing is left, or a call was refused for lack of credits."""
    _after_commit(lambda: tell(wallet_id, NoticeKind.DEPLETED))


def _after_commit(send: Callable[[], object]) -> None:
    # The credits have gone out: whatever becomes of the notice, the caller must not hear that its call failed.
    transaction.on_commit(send, robust=True)


def default_low_balance() -> int | None:
    """Micro-credits."""
    low = ai_credits().low_balance
    return None if low is None else _micro(low)


_micro = cache(to_micro)


def tell_of_expiring_credits(*, dry_run: bool = False) -> int:
    """Once for each wallet with lots that expire within the notice time; returns how many were told. Safe to repeat."""
    now = timezone.now()
    ahead = timedelta(days=ai_credits().expiry_notice_days)
    soon = Lot.objects.filter(remaining__gt=0, expires_at__gt=now, expires_at__lte=now + ahead)
    told = Notice.objects.filter(kind=NoticeKind.EXPIRING, day__gt=now.date() - ahead).values("wallet")
    wallets = soon.exclude(wallet__in=told).order_by().values_list("wallet_id", flat=True).distinct()
    count = 0
    for wallet_id in wallets:
        with rehearsal(dry_run):
            about = _expiring(soon.filter(wallet_id=wallet_id), wallet_id)
        if about is not None:
            count += dry_run or tell(wallet_id, NoticeKind.EXPIRING, **about)
    return count


def tell(wallet_id: int, kind: NoticeKind, **about: Any) -> bool:
    """Send the signal, and the e-mail where that is wanted, unless it was done today. The constraint decides races."""
    notice, is_new = Notice.objects.get_or_create(wallet_id=wallet_id, kind=kind, day=timezone.now().date())
    if is_new:
        wallet = Wallet.objects.select_related("user").get(pk=wallet_id)
        _SIGNALS[kind].send_robust(Wallet, wallet=wallet, notice=notice, **about)
        address = getattr(wallet.user, "email", "")
        if ai_credits().notice_emails and address:
            later.queue(send_notice, address, *_mail(kind, about), about={"wallet_id": wallet_id})
    return is_new


@task()
def send_notice(address: str, subject: str, text: str) -> None:
    send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [address])


def _expiring(soon: QuerySet[Lot], wallet_id: int) -> dict[str, Any] | None:
    """What of it is still there once the lots have paid for what was spent; None where nothing is."""
    with open_account(wallet_id) as account:
        account.allocate()
    left = soon.aggregate(credits=Sum("remaining"), expires_at=Min("expires_at"))
    return None if left["credits"] is None else {**left, "credits": to_credits(left["credits"])}


def _low(wallet_id: int, available: int) -> dict[str, Any]:
    pace = usage.credits_a_day(wallet_id)
    return {"available": to_credits(available), "days_left": available // pace if pace else None}


def _mail(kind: NoticeKind, about: dict[str, Any]) -> tuple[str, str]:
    """Subject and text."""
    name = ai_credits().merchant_name
    match kind:
        case NoticeKind.LOW:
            text = _("You have %(available)s credits left.") % about
            if about["days_left"] is not None:
                text += " " + _("At the pace of the last week they last %(days_left)s days.") % about
            return _("%(name)s: your credits are running low") % {"name": name}, text
        case NoticeKind.DEPLETED:
            return _("%(name)s: your credits are used up") % {"name": name}, _("Buy more to go on.")
        case NoticeKind.EXPIRING:
            when = {**about, "expires_at": about["expires_at"].date().isoformat()}
            text = _("%(credits)s credits expire from %(expires_at)s on. Use them before that.") % when
            return _("%(name)s: some of your credits expire soon") % {"name": name}, text
