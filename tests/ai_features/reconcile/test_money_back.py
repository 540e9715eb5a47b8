"""Refunds and disputes that no webhook told of, of payments of any age; and what makes trouble alone."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from ai_features.billing import settlement
from ai_features.billing.reconcile import Report, passes, run_pass
from ai_features.billing.reconcile.listing import Window
from ai_features.billing.reconcile.stumbles import GIVES_UP_AFTER
from ai_features.models import Dispute, Job, LedgerEntry, Payout, Purchase, Refund
from paystack_sandbox import PaystackSandbox
from tests.ai_features.reconcile.conftest import Buy
from tests.money_back import FAILS, STEP, buy, credits_of, raise_dispute, refund_in_dashboard, resolve_dispute


@pytest.fixture(autouse=True)
def _no_webhooks(sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"webhook": {"drop": 1.0}})


def bought_long_ago(buyer: User, sandbox: PaystackSandbox, **card: str) -> Purchase:
    purchase = buy(buyer, sandbox, **card)
    long_ago = timezone.now() - timedelta(days=40)
    Purchase.objects.filter(pk=purchase.pk).update(created_at=long_ago, completed_at=long_ago)
    purchase.refresh_from_db()
    return purchase


def asked_for_hours_ago(purchase: Purchase) -> Refund:
    """A refund that Paystack knows nothing of."""
    earlier = timezone.now() - timedelta(hours=3)
    return Refund.objects.create(
        purchase=purchase, reference=purchase.reference, amount_minor=3000, currency="GHS", asked_at=earlier
    )


def reconcile() -> Report:
    report = run_pass()
    assert report is not None
    assert report.stopped_by is None
    return report


def test_refund_of_an_old_payment_is_found(buyer: User, sandbox: PaystackSandbox) -> None:
    reconcile()
    purchase = bought_long_ago(buyer, sandbox)
    refund_in_dashboard(sandbox, purchase, 8000)
    sandbox.advance(seconds=2 * STEP)
    assert [refund.status for refund in reconcile().money_back] == ["processed"]
    purchase.refresh_from_db()
    assert (purchase.status, credits_of(buyer)) == ("refunded", (0, 0))


def test_two_equal_parts_are_two(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = bought_long_ago(buyer, sandbox)
    for _ in range(2):
        refund_in_dashboard(sandbox, purchase, 2000)
    reconcile()
    assert (Refund.objects.count(), credits_of(buyer)) == (2, (50, 0))
    sandbox.advance(seconds=2 * STEP)
    reconcile()
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("partially_refunded", (50, 0))


def test_refund_that_fails_later_gives_the_credits_back(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = bought_long_ago(buyer, sandbox, card=FAILS)
    refund_in_dashboard(sandbox, purchase, 8000)
    reconcile()
    assert credits_of(buyer) == (0, 0)
    sandbox.advance(seconds=2 * STEP)
    reconcile()
    assert credits_of(buyer) == (100, 0)


def test_dispute_of_an_old_payment_is_found_opened_and_lost(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = bought_long_ago(buyer, sandbox)
    dispute = raise_dispute(sandbox, purchase)
    reconcile()
    assert Dispute.objects.get().credits_frozen == 100_000_000
    resolve_dispute(sandbox, dispute, "merchant-accepted")
    reconcile()
    assert (Dispute.objects.get().status, credits_of(buyer)) == ("lost", (0, 0))
    assert Refund.objects.get().paystack_id is not None


def test_payment_refunded_in_part_before_anybody_told_us(buyer: User, sandbox: PaystackSandbox, make: Buy) -> None:
    purchase = make(age=timedelta(hours=3))
    refund_in_dashboard(sandbox, purchase, 2000)
    sandbox.advance(seconds=2 * STEP)
    Purchase.objects.update(next_check_at=timezone.now() + timedelta(hours=1))
    reconcile()
    assert (Purchase.objects.get().status, credits_of(buyer)) == ("partially_refunded", (75, 0))


@pytest.fixture(name="make")
def _make(request: pytest.FixtureRequest) -> Buy:
    made: Buy = request.getfixturevalue("buy")
    return made


def test_again_changes_nothing(buyer: User, sandbox: PaystackSandbox) -> None:
    refund_in_dashboard(sandbox, bought_long_ago(buyer, sandbox), 2000)
    raise_dispute(sandbox, bought_long_ago(buyer, sandbox))
    reconcile()
    entries = LedgerEntry.objects.count()
    assert reconcile().money_back == []
    assert (LedgerEntry.objects.count(), Refund.objects.count(), Dispute.objects.count()) == (entries, 1, 1)


def test_refund_of_another_shop_is_left_alone(buyer: User, sandbox: PaystackSandbox) -> None:
    refund_in_dashboard(sandbox, bought_long_ago(buyer, sandbox), 2000)
    Purchase.objects.update(reference="AI-CREDIT-1-other", paystack_id="")
    assert (reconcile().money_back, Refund.objects.count()) == ([], 0)


def test_what_stopped_it_is_read_again(buyer: User, sandbox: PaystackSandbox) -> None:
    reconcile()
    refund_in_dashboard(sandbox, bought_long_ago(buyer, sandbox), 8000)
    sandbox.set_faults({"webhook": {"drop": 1.0}, "api": {"error_rate": 1.0, "status": 503}})
    stopped = run_pass()
    assert stopped is not None
    assert stopped.stopped_by is not None
    sandbox.set_faults({"webhook": {"drop": 1.0}})
    reconcile()
    assert credits_of(buyer) == (0, 0)


def test_list_of_some_hours_says_nothing_of_a_refund_that_it_lacks(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = bought_long_ago(buyer, sandbox)
    mine = asked_for_hours_ago(purchase)
    refund_in_dashboard(sandbox, purchase, 2000)
    now = timezone.now()
    run_pass(window=Window(now - timedelta(hours=1), now + timedelta(hours=1)))
    mine.refresh_from_db()
    assert (mine.status, Refund.objects.count()) == ("pending", 2)


def test_dry_run_says_what_it_would_do_and_does_nothing(buyer: User, sandbox: PaystackSandbox) -> None:
    refund_in_dashboard(sandbox, bought_long_ago(buyer, sandbox), 2000)
    raise_dispute(sandbox, bought_long_ago(buyer, sandbox))
    sandbox.advance(seconds=2 * STEP)
    rehearsed = run_pass(dry_run=True)
    assert rehearsed is not None
    assert (Refund.objects.count(), Dispute.objects.count(), credits_of(buyer)) == (0, 0, (200, 0))
    told = [(type(moved), moved.status) for moved in rehearsed.money_back]
    assert told == [(Dispute, "open"), (Refund, "processed")]
    assert [(type(moved), moved.status) for moved in reconcile().money_back] == told
    assert credits_of(buyer) == (75, 0)


def test_dry_run_looks_for_lost_refunds_and_leaves_them(buyer: User, sandbox: PaystackSandbox) -> None:
    purchase = bought_long_ago(buyer, sandbox)
    mine = asked_for_hours_ago(purchase)
    rehearsed = run_pass(dry_run=True)
    assert rehearsed is not None
    assert [moved.status for moved in rehearsed.money_back] == ["failed"]
    mine.refresh_from_db()
    assert mine.status == "pending"


def test_dry_run_settles_no_purchase_for_its_refund(buyer: User, sandbox: PaystackSandbox, make: Buy) -> None:
    refund_in_dashboard(sandbox, make(), 2000)
    run_pass(dry_run=True)
    assert (Purchase.objects.get().status, Refund.objects.count()) == ("pending", 0)


def test_command_names_refunds_and_disputes(buyer: User, sandbox: PaystackSandbox, capsys) -> None:
    refunded, disputed = (bought_long_ago(buyer, sandbox) for _ in range(2))
    refund_in_dashboard(sandbox, refunded, 2000)
    number = raise_dispute(sandbox, disputed)
    call_command("reconcile_paystack", dry_run=True)
    told = capsys.readouterr().out
    assert f"refund  {refunded.reference}: GHS 20.00  would be pending" in told
    assert f"dispute  {disputed.reference}: {number['id']}" in told


def test_dispute_that_stays_open_is_logged_once(
    buyer: User, sandbox: PaystackSandbox, caplog, django_capture_on_commit_callbacks
) -> None:
    caplog.set_level("INFO", "ai_features")
    number = raise_dispute(sandbox, bought_long_ago(buyer, sandbox))
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            reconcile()
    resolve_dispute(sandbox, number, "merchant-accepted")
    with django_capture_on_commit_callbacks(execute=True):
        reconcile()
    lines = [record.message for record in caplog.records if record.message.startswith("dispute")]
    assert [line.rpartition(" ")[2] for line in lines] == ["open", "lost"]


# One that makes trouble


def test_poison_payment_does_not_keep_the_others_waiting(make: Buy, monkeypatch: pytest.MonkeyPatch) -> None:
    poison, good = make(), make()
    settle = settlement.settle

    def broken_for_one(reference: str, *facts: object, **by: object) -> Purchase:
        if reference == poison.reference:
            raise ValueError("poison")
        return settle(reference, *facts, **by)  # type: ignore[arg-type]

    monkeypatch.setattr(settlement, "settle", broken_for_one)
    report = reconcile()
    assert report.stumbles.found == {poison.reference: "ValueError: poison"}
    good.refresh_from_db()
    assert good.status == "completed"
    monkeypatch.undo()
    Purchase.objects.update(next_check_at=timezone.now())
    reconcile()
    assert set(Purchase.objects.values_list("status", flat=True)) == {"completed"}


def test_reference_that_paystack_cannot_answer_is_named(make: Buy, sandbox: PaystackSandbox) -> None:
    purchase = make(paid=False)
    operations = {"GET /transaction/verify/{reference}": {"error_rate": 1.0, "status": 500}}
    sandbox.set_faults({"api": {"operations": operations}})
    assert list(reconcile().stumbles.found) == [purchase.reference]
    assert GIVES_UP_AFTER > 1


# Payouts


def test_task_ties_payouts_out_at_its_own_interval(buyer: User, sandbox: PaystackSandbox) -> None:
    buy(buyer, sandbox)
    sandbox.advance(seconds=5 * 86400)
    passes.tend()
    assert Payout.objects.exists()
    due_in = Job.objects.get(name=passes.PAYOUTS).due_at - timezone.now()
    assert timedelta(hours=5) < due_in <= passes.PAYOUTS_EVERY


def test_payouts_that_cannot_be_read_are_due_again_soon(sandbox: PaystackSandbox, db: None) -> None:
    sandbox.set_faults({"api": {"operations": {"GET /settlement": {"error_rate": 1.0, "status": 500}}}})
    passes.tend()
    job = Job.objects.get(name=passes.PAYOUTS)
    assert job.outcome.startswith("stopped")
    assert job.due_at < timezone.now() + timedelta(minutes=11)
