"""Paystack's own list beside our purchases."""

from datetime import timedelta

import httpx2
import pytest
from django.utils import timezone

from ai_features.billing import settlement
from ai_features.billing.reconcile import listing
from ai_features.billing.reconcile.findings import Found
from ai_features.billing.reconcile.listing import Window
from ai_features.billing.reconcile.pace import Pace
from ai_features.exceptions import PaystackUnavailable
from ai_features.models import (
    Finding,
    ListedPayment,
    Purchase,
    PurchaseStatus,
    Reconciliation,
    Refund,
    ReviewItem,
    SettledBy,
    Wallet,
)
from ai_features.paystack import PaystackService
from paystack_sandbox import PaystackSandbox
from tests.ai_features.reconcile.conftest import Buy
from tests.laws import assert_laws
from tests.paystack_facts import facts

DAY = timedelta(days=1)


def compare(window: Window | None = None, **options: bool) -> tuple[Reconciliation, list[Found]]:
    told: list[Found] = []
    reconciliation = listing.compare(window or Window(timezone.now() - DAY), Pace(), tell=told.append, **options)
    return reconciliation, told


def kinds(told: list[Found]) -> list[tuple[str, str]]:
    return [(str(found.kind), found.reference) for found in told]


def small_pages(monkeypatch: pytest.MonkeyPatch, payments: int = 2) -> None:
    monkeypatch.setattr(listing, "PAYMENTS_AT_A_TIME", payments)
    defaults = PaystackService.page_of_transactions.__wrapped__.__kwdefaults__
    monkeypatch.setitem(defaults, "per_page", payments)


def refund_at_paystack(sandbox: PaystackSandbox, reference: str, **part: int) -> None:
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    body = {"transaction": reference, **part}
    httpx2.post(f"{sandbox.url}/refund", json=body, headers=headers).raise_for_status()


def test_every_lost_payment_is_settled_once(buy: Buy, wallet: Wallet) -> None:
    references = {buy().reference for _ in range(3)}
    buy(paid=False)
    row, told = compare()
    assert (row.status, row.listed, row.counts) == ("finished", 3, {"missed": 3})
    assert {found.reference for found in told} == references
    assert {found.outcome for found in told} == {"settled: 100.0 credits"}
    assert compare()[1] == []
    assert_laws(wallet)
    assert wallet.balance == 300_000_000


def test_agreement_finds_nothing(buy: Buy) -> None:
    settlement.check(buy())
    row, told = compare()
    assert (row.listed, row.counts, told, Finding.objects.count(), ListedPayment.objects.count()) == (1, {}, [], 0, 0)


def test_payment_without_a_purchase_is_told_of_once_as_new(buy: Buy, sandbox: PaystackSandbox) -> None:
    PaystackService.initialize_transaction(email="ama@example.com", amount=30, reference="other-shop-1")
    sandbox.pay("other-shop-1", channel="ussd")
    assert [(found.kind, found.is_new) for found in compare()[1]] == [("unknown", True)]
    assert [(found.kind, found.is_new) for found in compare()[1]] == [("unknown", False)]
    assert ReviewItem.objects.get().reference == "other-shop-1"
    finding = Finding.objects.get()
    assert (finding.reference, finding.amount_minor, finding.currency) == ("other-shop-1", 3000, "GHS")


@pytest.mark.parametrize("refund_is", ["pending", "processed"])
def test_reversed_payment_is_found(buy: Buy, sandbox: PaystackSandbox, refund_is: str) -> None:
    purchase = settlement.check(buy())
    refund_at_paystack(sandbox, purchase.reference)
    if refund_is == "processed":
        sandbox.advance(5 * 86400)
    assert kinds(compare()[1]) == [("reversed", purchase.reference)]


def test_refund_that_nobody_told_us_of_takes_its_credits(buy: Buy, sandbox: PaystackSandbox, wallet: Wallet) -> None:
    purchase = settlement.check(buy())
    refund_at_paystack(sandbox, purchase.reference)
    assert compare(dry_run=True)[1][0].outcome == "Paystack says reversal-pending"
    assert not Refund.objects.exists()
    assert compare()[1][0].outcome == "Paystack says reversal-pending; refund of 80.00 pending"
    assert_laws(wallet)
    assert (wallet.balance, Refund.objects.get().credits) == (0, 100_000_000)


def test_part_that_was_refunded_is_told_of_once(buy: Buy, sandbox: PaystackSandbox) -> None:
    purchase = settlement.check(buy())
    refund_at_paystack(sandbox, purchase.reference, amount=2000)
    sandbox.advance(5 * 86400)
    assert [len(compare()[1]) for _ in range(2)] == [1, 0]
    assert Purchase.objects.get().status == "partially_refunded"


def test_settled_purchase_that_paystack_does_not_know_is_found(purchase: Purchase, sandbox: PaystackSandbox) -> None:
    settlement.settle(purchase.reference, facts(purchase), settled_by=SettledBy.WEBHOOK)
    _row, told = compare()
    assert kinds(told) == [("not_paid", purchase.reference)]
    assert told[0].outcome == "Paystack knows no such transaction"


def test_other_amount_than_was_settled_is_found(buy: Buy) -> None:
    purchase = settlement.check(buy())
    Purchase.objects.update(paid_amount_minor=7999)
    assert kinds(compare()[1]) == [("different", purchase.reference)]


def test_payment_other_than_agreed_goes_to_review(buy: Buy, wallet: Wallet) -> None:
    buy()
    Purchase.objects.update(amount_minor=9000)
    _row, told = compare()
    assert told[0].outcome.startswith("in review: Paid 8000, sold for 9000")
    wallet.refresh_from_db()
    assert (wallet.balance, Purchase.objects.get().status) == (0, PurchaseStatus.REVIEW)


def test_fee_that_no_confirmation_told_is_learned(buy: Buy) -> None:
    settlement.check(buy())
    Purchase.objects.update(fees_minor=None)
    compare()
    assert Purchase.objects.get().fees_minor == 156


def test_dry_run_leaves_no_trace(buy: Buy, wallet: Wallet) -> None:
    purchase = buy()
    _row, told = compare(dry_run=True)
    assert [(found.reference, found.outcome) for found in told] == [
        (purchase.reference, "would be settled: 100.0 credits")
    ]
    wallet.refresh_from_db()
    assert (wallet.balance, Purchase.objects.get().status) == (0, "pending")
    assert not Reconciliation.objects.exists()
    assert not ListedPayment.objects.exists()
    assert not Finding.objects.exists()


def test_many_pages_are_read_to_the_end(buy: Buy, wallet: Wallet, monkeypatch) -> None:
    for _ in range(7):
        buy()
    small_pages(monkeypatch)
    row, told = compare()
    assert (row.listed, len(told)) == (7, 7)
    assert_laws(wallet)


def test_stopped_reconciliation_goes_on_where_it_was(buy: Buy, sandbox: PaystackSandbox, wallet: Wallet, monkeypatch):
    for _ in range(6):
        buy()
    small_pages(monkeypatch)
    wait, pages = Pace.wait, []

    def down_after_two_pages(pace: Pace) -> None:
        pages.append(1)
        if len(pages) == 3:
            sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
        wait(pace)

    monkeypatch.setattr(Pace, "wait", down_after_two_pages)
    window = Window(timezone.now() - DAY)
    with pytest.raises(PaystackUnavailable):
        compare(window)
    stopped = Reconciliation.objects.get()
    assert (stopped.status, stopped.listed, stopped.problem[:20]) == ("running", 4, "paystack_unavailable")
    sandbox.set_faults({})
    row, told = compare(window)
    assert (row.pk, row.status, row.listed, len(told)) == (stopped.pk, "finished", 6, 2)
    assert_laws(wallet)
    assert (wallet.balance, len(pages)) == (600_000_000, 4)


def test_power_cut_in_the_middle_leaves_nothing_out(buy: Buy, wallet: Wallet, monkeypatch) -> None:
    for _ in range(4):
        buy()
    small_pages(monkeypatch)

    def cut(_found: Found) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        listing.compare(Window(timezone.now() - DAY), Pace(), tell=cut)
    assert (Reconciliation.objects.get().listed, Reconciliation.objects.get().compared_id) == (2, 0)
    row, _told = compare()
    assert (row.listed, Reconciliation.objects.count(), Finding.objects.count()) == (4, 1, 4)
    assert_laws(wallet)
    assert wallet.balance == 400_000_000


def test_cursor_that_paystack_forgot_starts_over(buy: Buy, wallet: Wallet) -> None:
    buy()
    window = Window(timezone.now() - DAY, timezone.now() + DAY)
    Reconciliation.objects.create(
        mode="test", window_from=window.start, window_to=window.end, cursor="next=gone", listed=5
    )
    with pytest.raises(Exception, match="refused"):
        compare(window)
    row, told = compare(window)
    assert (row.listed, len(told), Reconciliation.objects.count()) == (1, 1, 1)


def test_window_leaves_out_what_is_outside(buy: Buy) -> None:
    buy()
    assert compare(Window(timezone.now() - 2 * DAY, timezone.now() - DAY))[0].listed == 0


def test_next_window_reaches_back_a_little_and_after_an_outage_further(buy: Buy) -> None:
    now = timezone.now()
    compare()
    assert abs(listing.latest_window(now).start - (now - listing.OVERLAP)) < timedelta(minutes=1)
    later = now + timedelta(hours=10)
    assert abs(listing.latest_window(later).start - (now - DAY - listing.OVERLAP)) < timedelta(minutes=1)


def test_agreeing_payments_cost_no_statement_each(buy: Buy, django_assert_max_num_queries) -> None:
    for _ in range(20):
        settlement.check(buy())
    with django_assert_max_num_queries(20):
        assert compare()[0].listed == 20
