"""Laws 1 to 4 over one wallet, from the rows alone."""

from django.db.models import Sum

from ai_features.models import EntryKind, LedgerEntry, Wallet


def assert_laws(wallet: Wallet) -> None:
    """Read the wallet anew and compare it with the sums of its entries and lots."""
    wallet.refresh_from_db()
    total = wallet.entries.aggregate(amount=Sum("amount"), debt=Sum("debt_change"))
    remaining = wallet.lots.aggregate(Sum("remaining"))["remaining__sum"] or 0
    assert wallet.balance - wallet.debt == (total["amount"] or 0)
    assert wallet.debt == (total["debt"] or 0)
    assert remaining - wallet.unallocated == wallet.balance
    assert 0 <= wallet.held <= wallet.balance
    settled = wallet.purchases.filter(completed_at__isnull=False).values_list("pk", flat=True)
    entries = LedgerEntry.objects.filter(wallet=wallet, kind=EntryKind.PURCHASE)
    assert sorted(settled) == sorted(entries.values_list("purchase", flat=True))
