"""Passes: by hand, by the clock, as a task, and the day on which everything was lost."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_tasks import default_task_backend

from ai_features.billing import AIBillingService
from ai_features.billing.reconcile import ensure_scheduled, jobs, passes, run_pass
from ai_features.models import Finding, Job, Purchase, Reconciliation, Wallet
from ai_features.paystack import PaystackService
from paystack_sandbox import PaystackSandbox
from tests.ai_features.reconcile.conftest import CARD, Buy
from tests.laws import assert_laws


@pytest.fixture
def run(capsys):
    """What the command prints, line by line."""

    def run(*arguments: str, **options: object) -> list[str]:
        capsys.readouterr()
        call_command("reconcile_paystack", *arguments, **options)
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def queued() -> list:
    """What is in the queue of the tests, which nobody works off."""
    default_task_backend.clear()
    return default_task_backend.results


def test_command_settles_and_says_so(buy: Buy, run, wallet: Wallet) -> None:
    purchase = buy()
    lines = run()
    assert lines[0] == f"missed  {purchase.reference}  GHS 80.00  settled: 100.0 credits"
    assert "in Paystack's list" in lines[1]
    assert lines[2] == "Open purchases asked about: 0, changed: 0, without an answer: 0."
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000


def list_was_read() -> None:
    """So that nothing is in the window of the next one."""
    Reconciliation.objects.create(
        mode="test",
        window_from=timezone.now(),
        window_to=timezone.now() + timedelta(hours=3),
        status="finished",
        is_up_to_now=True,
    )


def test_command_asks_about_what_started_before_the_list(buy: Buy, run, wallet: Wallet) -> None:
    purchase = buy()
    list_was_read()
    assert run()[0] == f"completed  {purchase.reference}"


def test_dry_run_says_the_same_and_changes_nothing(buy: Buy, run, wallet: Wallet) -> None:
    purchase = buy()
    assert run(dry_run=True)[0] == f"missed  {purchase.reference}  GHS 80.00  would be settled: 100.0 credits"
    wallet.refresh_from_db()
    assert (wallet.balance, Reconciliation.objects.count()) == (0, 0)


def test_new_finding_for_staff_is_exit_status_1_once(sandbox: PaystackSandbox, run, db: None) -> None:
    PaystackService.initialize_transaction(email="ama@example.com", amount=30, reference="other-shop-1")
    sandbox.pay("other-shop-1", channel="ussd")
    with pytest.raises(CommandError, match="Staff must look"):
        run()
    assert run()[0].endswith("(known)")


def test_window_by_hand(buy: Buy, run) -> None:
    buy()
    assert run("--from=2026-01-01", "--to=2026-01-02")[0].startswith("Payments in Paystack's list since 2026-01-01")
    assert Reconciliation.objects.get().status == "finished"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from=2026-01-02", "--to=2026-01-01"], "--from is a date before"),
        (["--to=2026-01-01"], "--from is a date before"),
        (["--from=yesterday"], "yesterday is no date"),
        (["--from=2026-02-30"], "is no date"),
        (["--every=-1"], "positive number"),
        (["--every=5", "--dry-run"], "no other option"),
    ],
)
def test_unusable_options_are_refused_in_words(db: None, run, options: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(*options)


def test_without_a_key_it_says_what_to_do(db: None, run, settings) -> None:
    settings.PAYSTACK_SECRET_KEY = ""
    with pytest.raises(CommandError, match="PAYSTACK_SECRET_KEY is empty"):
        run()


def test_rate_limit_is_waited_for_and_then_it_goes_on(buy: Buy, run, sandbox: PaystackSandbox, monkeypatch) -> None:
    buy()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        sandbox.set_faults({})

    monkeypatch.setattr("ai_features.management.commands.reconcile_paystack.time.sleep", sleep)
    sandbox.set_faults({"api": {"rate_limit_rate": 1.0}})
    assert run()[0].startswith("missed")
    assert slept == [60]


def test_counted_limit_slows_the_command_and_all_is_found(
    buy: Buy, run, sandbox: PaystackSandbox, wallet: Wallet, monkeypatch
) -> None:
    for _ in range(24):
        buy()
    list_was_read()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        sandbox.advance(seconds=int(seconds) + 1)

    monkeypatch.setattr("ai_features.management.commands.reconcile_paystack.time.sleep", sleep)
    sandbox.set_faults({"api": {"requests_per_minute": 15}})
    run()
    assert slept
    assert_laws(wallet)
    assert wallet.balance == 24 * 100_000_000


def test_paystack_down_is_exit_status_1_and_due_again(buy: Buy, run, sandbox: PaystackSandbox, monkeypatch) -> None:
    buy()
    monkeypatch.setattr("ai_features.management.commands.reconcile_paystack.time.sleep", lambda _seconds: None)
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    with pytest.raises(CommandError, match="goes on where it was"):
        run()
    assert Job.objects.get(name="reconcile").outcome == "stopped: paystack_unavailable"
    sandbox.set_faults({})
    assert run()[0].startswith("missed")


def test_one_pass_at_a_time(buy: Buy) -> None:
    with jobs.hold(passes.RECONCILE):
        assert run_pass() is None
    assert run_pass() is not None


def test_dead_holder_is_followed_by_another(db: None, sandbox: PaystackSandbox) -> None:
    Job.objects.create(name=passes.RECONCILE, due_at=timezone.now(), held_until=timezone.now() - timedelta(seconds=1))
    assert run_pass() is not None


def test_list_is_read_every_tenth_time(buy: Buy, time_machine) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    lists = []
    for _ in range(11):
        report = run_pass(by_the_clock=True)
        assert report is not None
        lists.append(report.reconciliation is not None)
        time_machine.shift(60)
    assert lists == [True, *[False] * 9, True]


# The task


def test_purchase_starts_the_chain_once(buy: Buy, queued: list) -> None:
    buy(paid=False)
    buy(paid=False)
    assert [result.task.name for result in queued] == ["reconcile_task"]


def test_task_queues_the_next_before_it_begins(buy: Buy, queued: list, wallet: Wallet) -> None:
    buy()
    queued.clear()
    assert passes.reconcile_task.call() == "asked 0, changed 0, found 1"
    (following,) = queued
    assert timedelta(seconds=50) < following.task.run_after - timezone.now() <= timedelta(seconds=60)


def test_queue_that_is_away_costs_no_pass(buy: Buy, wallet: Wallet, settings: Any, caplog: Any) -> None:
    buy()
    settings.TASKS = {"default": {"BACKEND": "tests.queues.QueueIsAway"}}
    assert passes.reconcile_task.call() == "asked 0, changed 0, found 1"
    assert "reconcile_task could not be queued" in caplog.text


def test_two_chains_become_one(db: None, queued: list, sandbox: PaystackSandbox) -> None:
    assert [passes.reconcile_task.call() for _ in range(3)][1:] == ["not due", "not due"]
    assert len(queued) == 1


def test_lost_chain_begins_anew(db: None, queued: list, time_machine) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    ensure_scheduled()
    ensure_scheduled()
    assert len(queued) == 1
    time_machine.shift(181)
    ensure_scheduled()
    assert len(queued) == 2


# The promise


def test_day_of_lost_webhooks_and_closed_tabs(
    transactional_db: None, live_server, buyer, sandbox: PaystackSandbox, time_machine, run
) -> None:
    """No webhook arrives, nobody comes back, and for hours Paystack cannot be reached; then it can."""
    time_machine.move_to(timezone.now() - timedelta(days=2))
    sandbox.webhook_url = f"{live_server.url}/ai/api/webhooks/paystack/"
    sandbox.set_faults({"webhook": {"drop": 1.0}})
    paid = []
    for hour in range(24):
        purchase = AIBillingService.purchase_credits(buyer, "value")
        if hour % 4:
            paid.append(sandbox.pay(purchase.reference, channel="card", card=CARD)["reference"])
        time_machine.shift(timedelta(hours=1))
    sandbox.set_faults({"webhook": {"drop": 1.0}, "api": {"error_rate": 1.0, "status": 503}})
    for _ in range(2):
        assert run_pass(by_the_clock=True).stopped_by is not None
        time_machine.shift(timedelta(hours=1))
    assert not Purchase.objects.exclude(status="pending").exists()
    sandbox.set_faults({"webhook": {"drop": 1.0}})
    assert run_pass(by_the_clock=True).stopped_by is None
    assert set(Purchase.objects.filter(status="completed").values_list("reference", flat=True)) == set(paid)
    assert len(paid) == 18
    run()
    wallet = Wallet.objects.get()
    assert_laws(wallet)
    assert wallet.balance == 18 * 100_000_000
    assert Finding.objects.filter(kind="missed").count() == 18
