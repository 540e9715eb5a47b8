"""What Paystack paid out, tied to what it was made of."""

from datetime import timedelta

import httpx2
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ai_features.billing import settlement
from ai_features.billing.reconcile import payouts
from ai_features.billing.reconcile.pace import Pace
from ai_features.models import Payout, Purchase
from ai_features.paystack import PaystackService
from paystack_sandbox import PaystackSandbox
from tests.ai_features.reconcile.conftest import Buy

NET = 8000 - 156
FOUR_DAYS = 4 * 86400


@pytest.fixture(autouse=True)
def morning(sandbox: PaystackSandbox) -> None:
    """Ten o'clock, so that no payout comes in between."""
    now = sandbox.sandbox.clock.now()
    sandbox.advance((now.replace(hour=10, minute=0, second=0) + timedelta(days=1) - now).total_seconds())


def tie() -> list[Payout]:
    return payouts.tie_out(Pace())


def refund(sandbox: PaystackSandbox, reference: str, amount: int) -> None:
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    body = {"transaction": reference, "amount": amount}
    httpx2.post(f"{sandbox.url}/refund", json=body, headers=headers).raise_for_status()


def test_payout_adds_up_and_its_purchases_know_it(buy: Buy, sandbox: PaystackSandbox) -> None:
    for _ in range(2):
        settlement.check(buy())
    sandbox.advance(FOUR_DAYS)
    (payout,) = tie()
    assert (payout.processed_minor, payout.fees_minor, payout.effective_minor) == (16000, 312, 2 * NET)
    assert (payout.status, payout.payments, payout.of_others, payout.differences) == ("success", 2, 0, [])
    assert set(Purchase.objects.values_list("payout", flat=True)) == {payout.pk}


def test_refund_is_found_in_the_payout_that_paid_it(buy: Buy, sandbox: PaystackSandbox) -> None:
    first, _second = (settlement.check(buy()) for _ in range(2))
    refund(sandbox, first.reference, 3000)
    sandbox.advance(FOUR_DAYS)
    (payout,) = tie()
    assert (payout.deducted_minor, payout.effective_minor, payout.differences) == (3000, 2 * NET - 3000, [])


def test_differences_are_named_to_the_pesewa(buy: Buy, sandbox: PaystackSandbox) -> None:
    purchase = settlement.check(buy())
    Purchase.objects.update(paid_amount_minor=7999, fees_minor=155)
    sandbox.advance(FOUR_DAYS)
    assert tie()[0].differences == [
        f"{purchase.reference}: noted was GHS 79.99, paid was GHS 80.00: GHS -0.01 apart",
        f"{purchase.reference}: noted fee GHS 1.55, Paystack's fee GHS 1.56: GHS -0.01 apart",
    ]


def test_payment_that_was_never_settled_is_named(buy: Buy, sandbox: PaystackSandbox) -> None:
    purchase = buy()
    sandbox.advance(FOUR_DAYS)
    assert tie()[0].differences[0] == f"{purchase.reference} is in it, and was never settled here (pending)"


def test_payments_of_others_are_counted(buy: Buy, sandbox: PaystackSandbox) -> None:
    settlement.check(buy())
    PaystackService.initialize_transaction(email="ama@example.com", amount=30, reference="other-shop-1")
    sandbox.pay("other-shop-1", channel="ussd")
    sandbox.advance(FOUR_DAYS)
    (payout,) = tie()
    assert (payout.payments, payout.of_others, payout.differences) == (2, 1, [])


def test_what_adds_up_is_not_read_again(buy: Buy, sandbox: PaystackSandbox) -> None:
    settlement.check(buy())
    sandbox.advance(FOUR_DAYS)
    assert (len(tie()), len(tie()), Payout.objects.count()) == (1, 0, 1)


def test_payout_of_many_pages_is_read_to_its_end(buy: Buy, sandbox: PaystackSandbox, monkeypatch) -> None:
    monkeypatch.setattr("ai_features.paystack.service.MAX_PER_PAGE", 2)
    monkeypatch.setattr(payouts, "PAYMENTS_AT_A_TIME", 2)
    for _ in range(5):
        settlement.check(buy())
    sandbox.advance(FOUR_DAYS)
    (payout,) = tie()
    assert (payout.payments, payout.differences) == (5, [])


def test_command_says_whether_it_all_adds_up(buy: Buy, sandbox: PaystackSandbox, capsys) -> None:
    settlement.check(buy())
    sandbox.advance(FOUR_DAYS)
    call_command("reconcile_payouts")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith("GHS 78.44  success, payments: 1")
    assert printed[1] == "Payouts compared: 1."
    Payout.objects.update(status="pending")
    Purchase.objects.update(fees_minor=1)
    with pytest.raises(CommandError, match="do not add up"):
        call_command("reconcile_payouts", f"--from={timezone.now() - timedelta(days=1):%Y-%m-%d}")


def test_paystack_down_is_told_in_words(sandbox: PaystackSandbox, db: None) -> None:
    sandbox.set_faults({"api": {"error_rate": 1.0, "status": 503}})
    with pytest.raises(CommandError, match="run it again"):
        call_command("reconcile_payouts")
