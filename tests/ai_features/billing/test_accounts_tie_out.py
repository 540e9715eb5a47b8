"""A month with everything in it, and what became known late: the books agree with Paystack's to the last subunit."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models import F, Sum
from django.test import Client

from ai_features.billing import AIBillingService
from ai_features.billing.accounts import close_days, rebuild, reports, statements
from ai_features.billing.accounts.reports import Statement
from ai_features.billing.ledger import open_account
from ai_features.billing.reconcile import payouts
from ai_features.billing.reconcile.pace import Pace, forget
from ai_features.models import AccountDay, AccountItem, Dispute, Package, Payout, Purchase, Refund, ReviewItem, Wallet
from ai_features.paystack import PaystackService
from paystack_sandbox import PaystackSandbox
from tests.money_back import FAILS, GOOD, deliver, raise_dispute, resolve_dispute
from tests.paystack_facts import charge

pytestmark = pytest.mark.django_db
ACCRA = ZoneInfo("Africa/Accra")
GHS, USD = "GHS", "USD"


class At:
    """Ten o'clock of a day of November, at Paystack too, with all days before it closed."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.shop: PaystackSandbox | None = None

    def __call__(self, day: int) -> None:
        self.clock.move_to(datetime(2026, 11, 1, 10, tzinfo=ACCRA) + timedelta(days=day - 1))
        if self.shop is not None:
            self.shop.advance(0)
        close_days()


@pytest.fixture
def at(time_machine: Any) -> At:
    forget()
    at = At(time_machine)
    at(2)
    return at


@pytest.fixture
def shop(at: At, settings: Any) -> Iterator[PaystackSandbox]:
    """A merchant who sells in two currencies."""
    with PaystackSandbox(currencies=(GHS, USD)) as sandbox:
        settings.PAYSTACK_BASE_URL, settings.PAYSTACK_SECRET_KEY = sandbox.url, sandbox.secret_key
        at.shop = sandbox
        yield sandbox
    forget()


@pytest.fixture
def dollars(db: None) -> Package:
    return Package.objects.create(
        code="dollars", name="Dollars", currency=USD, price_minor=1000, credits=100_000_000, position=9
    )


def buy(buyer: User, shop: PaystackSandbox, package: str = "value", card: str = GOOD) -> Purchase:
    purchase = AIBillingService.purchase_credits(buyer, package)
    shop.pay(purchase.reference, channel="card", card={"number": card})
    return AIBillingService.verify_purchase(buyer, purchase.reference)


def follow(shop: PaystackSandbox, *purchases: Purchase) -> None:
    """Their refunds come to an end at Paystack, and we hear of it."""
    shop.advance(360)
    for purchase in purchases:
        AIBillingService.bring_refunds_in_line(purchase)


def read_payouts() -> list[Payout]:
    return payouts.tie_out(Pace())


def lose_dispute(shop: PaystackSandbox, purchase: Purchase) -> None:
    dispute = raise_dispute(shop, purchase)
    deliver("charge.dispute.create", dispute)
    resolve_dispute(shop, dispute, "merchant-accepted", purchase.amount_minor)
    AIBillingService.bring_dispute_in_line(Dispute.objects.get())
    AIBillingService.bring_refunds_in_line(purchase)


def pay_stray(shop: PaystackSandbox, reference: str = "other-shop-1") -> None:
    PaystackService.initialize_transaction(email="ama@example.com", amount=30, reference=reference)
    shop.pay(reference, channel="ussd")


@pytest.fixture
def month(shop: PaystackSandbox, at: At, dollars: Package, buyer: User, other_buyer: User) -> dict[str, int]:
    """What Paystack itself says at its end that it holds."""
    AIBillingService.grant(buyer, 10, reason="trial", expires_at=datetime(2026, 11, 20, tzinfo=ACCRA))
    AIBillingService.grant(other_buyer, 5, reason="trial", expires_at=datetime(2026, 11, 20, tzinfo=ACCRA))
    half, failing = buy(buyer, shop), buy(buyer, shop, card=FAILS)
    in_dollars = buy(other_buyer, shop, "dollars")
    AIBillingService.spend(buyer, 25)
    at(3)
    whole, lost = buy(other_buyer, shop), buy(other_buyer, shop)
    for purchase, amount in ((half, "30.00"), (failing, "50.00"), (whole, None)):
        AIBillingService.refund(purchase, amount, reason="Unhappy")
    follow(shop, half, failing, whole)
    pay_stray(shop)
    at(4)
    lose_dispute(shop, lost)
    AIBillingService.refund(in_dollars, "2.50", reason="Unhappy")
    follow(shop, in_dollars)
    at(10)
    read_payouts()
    AIBillingService.capture(buyer, AIBillingService.reserve(buyer, 1).id, 500)  # into debt
    at(11)
    for _ in range(2):
        buy(buyer, shop)
    at(18)
    read_payouts()
    for day in (21, 30):
        at(day)
        AIBillingService.balance(other_buyer)
    read_payouts()
    open_one = buy(other_buyer, shop)
    AIBillingService.refund(open_one, "20.00", reason="On its way when the month ends")
    balances = PaystackService.list_balances()
    at(31)
    return balances


def november(currency: str) -> Statement:
    (found,) = [one for one in statements(date(2026, 11, 1), date(2026, 11, 30)) if one.currency == currency]
    return found


def test_month_in_the_accountants_words(month: dict[str, int]) -> None:
    told = november(GHS).columns()
    assert {name: told[name] for name in ("received", "refunded", "lost_in_disputes", "refunds_open", "payments")} == {
        "received": Decimal("560.00"),  # seven Value packs
        "refunded": Decimal("190.00"),  # 30, 80, and 80 lost; not the one that failed, nor the one on its way
        "lost_in_disputes": Decimal("80.00"),
        "refunds_open": Decimal("20.00"),
        "payments": 7,
    }
    dollars = november(USD).columns()
    assert (dollars["received"], dollars["refunded"], dollars["closing_credits"]) == (
        *(Decimal("10.00"), Decimal("2.50"), Decimal("75.0")),
    )


@pytest.mark.parametrize("currency", [GHS, USD])
def test_money_ties_to_payouts_and_to_what_paystack_still_holds(month: dict[str, int], currency: str) -> None:
    told = november(currency)
    figures, held = told.figures, told.closings["at_paystack_minor"]
    paid_out = sum(payout.effective_minor for payout in Payout.objects.filter(currency=currency))
    kept = figures["received_minor"] - figures["fees_minor"] - figures["refunded_minor"] + figures["others_minor"]
    assert (figures["paid_out_minor"], kept) == (paid_out, paid_out + held)
    assert paid_out > 0
    assert figures["others_minor"] == (3000 - 59 if currency == GHS else 0)
    assert held - told.stands["refunds_open_minor"] == month[currency]
    assert not any(payout.differences for payout in Payout.objects.all())


def test_credits_tie_to_what_the_wallets_hold(month: dict[str, int]) -> None:
    told = statements(date(2026, 11, 1), date(2026, 11, 30))
    for one in told:
        credits_ = {name: one.figures[f"credits_{name}"] for name in ("sold", "bonus", "granted")}
        gone = sum(one.figures[f"credits_{name}"] for name in ("spent", "expired", "taken_back"))
        assert one.openings["credits"] + sum(credits_.values()) - gone == one.closings["credits"]
    wallets = Wallet.objects.aggregate(credits=Sum("balance"), debt=Sum("debt"))
    assert sum(one.closings["credits"] for one in told) == wallets["credits"]
    assert sum(one.closings["debt"] for one in told) == wallets["debt"]
    granted = {one.currency: one.figures for one in told}[""]
    assert (granted["credits_granted"], granted["credits_expired"]) == (15_000_000, 5_000_000)
    assert wallets["debt"] > 0


def test_deferred_revenue_ties_to_what_is_left_in_the_lots(month: dict[str, int]) -> None:
    told = november(GHS)
    sold = told.figures["received_minor"] - told.figures["tax_minor"]
    gone = sum(told.figures[name] for name in ("used_minor", "breakage_minor", "returned_minor"))
    for wallet in Wallet.objects.all():
        with transaction.atomic(), open_account(wallet.pk) as account:
            account.allocate()  # spends are charged to lots lazily
    left = [
        (lot.purchase.price_minor * lot.remaining) // lot.purchase.total_credits
        for wallet in Wallet.objects.all()
        for lot in wallet.lots.filter(purchase__currency=GHS, remaining__gt=0).select_related("purchase")
        if lot.purchase is not None
    ]
    assert (told.figures["sold_minor"], told.closings["deferred_minor"]) == (sold, sold - gone)
    assert told.closings["deferred_minor"] == sum(left)


def test_rebuilding_makes_the_same_days(month: dict[str, int]) -> None:
    def days() -> list[dict[str, Any]]:
        return list(AccountDay.objects.order_by("day", "currency").values().exclude(pk=0))

    before = [{**day, "id": 0} for day in days()]
    rebuild()
    close_days()
    assert [{**day, "id": 0} for day in days()] == before


def test_refund_made_known_late_counts_once_on_the_next_day(shop: PaystackSandbox, at: At, buyer: User) -> None:
    purchase = buy(buyer, shop)
    AIBillingService.refund(purchase, "30.00", reason="Unhappy")
    follow(shop, purchase)
    at(5)
    closed = list(AccountDay.objects.order_by("pk").values())
    ended_at = datetime(2026, 11, 3, 15, tzinfo=ACCRA)
    refund = Refund.objects.create(
        purchase=purchase, reference=purchase.reference, status="processed", amount_minor=1000, currency=GHS,
        asked_at=ended_at, ended_at=ended_at,
    )  # fmt: skip
    at(7)
    assert list(AccountDay.objects.order_by("pk").values())[: len(closed)] == closed
    item = AccountItem.objects.get(refund=refund)
    assert (item.day, item.of_day, item.is_late) == (date(2026, 11, 5), date(2026, 11, 3), True)
    assert november(GHS).figures["refunded_minor"] == 4000


def test_fee_that_paystack_tells_afterwards_counts_when_it_is_told(shop: PaystackSandbox, at: At, buyer: User) -> None:
    purchase = buy(buyer, shop)
    Purchase.objects.update(fees_minor=None)
    at(4)
    assert (november(GHS).figures["fees_minor"], november(GHS).figures["fees_unknown"]) == (0, 1)
    read_payouts()
    at(6)
    purchase.refresh_from_db()
    (told,) = [one for one in statements(date(2026, 11, 4), date(2026, 11, 5)) if one.currency == GHS]
    assert (told.figures["fees_minor"], told.figures["fees_unknown"]) == (purchase.fees_minor, -1)
    assert november(GHS).figures["fees_unknown"] == 0


def test_payout_read_after_its_day_was_closed_is_not_lost(shop: PaystackSandbox, at: At, buyer: User) -> None:
    buy(buyer, shop)
    at(8)
    (payout,) = read_payouts()
    at(9)
    item = AccountItem.objects.get(payout=payout)
    assert (item.day, item.is_late, item.amount_minor) == (date(2026, 11, 8), True, payout.effective_minor)
    assert november(GHS).closings["at_paystack_minor"] == 0


def test_payout_that_paystack_takes_back_is_booked_back(shop: PaystackSandbox, at: At, buyer: User) -> None:
    buy(buyer, shop)
    at(8)
    read_payouts()
    at(9)
    Payout.objects.update(status="failed")
    at(10)
    assert AccountItem.objects.filter(kind="payout").aggregate(sum=Sum("amount_minor"))["sum"] == 0
    assert november(GHS).closings["at_paystack_minor"] == 8000 - 156


def test_stray_payment_that_is_accepted_leaves_those_of_others(shop: PaystackSandbox, at: At, buyer: User) -> None:
    buy(buyer, shop)
    pay_stray(shop)
    number = PaystackService.verify_transaction("other-shop-1").id
    deliver("charge.success", charge(reference="other-shop-1", amount=3000, requested_amount=3000, id=number))
    at(8)
    (payout,) = read_payouts()
    assert (payout.of_others, payout.others_minor) == (1, 3000 - 59)
    AIBillingService.accept_review(ReviewItem.objects.get(), buyer, "Hers", owner=buyer, credits=30)
    read_payouts()
    at(10)
    figures = november(GHS).figures
    assert (figures["received_minor"], figures["fees_minor"], figures["others_minor"]) == (11000, 156 + 59, 0)
    assert november(GHS).closings["at_paystack_minor"] == 0


def test_refund_of_what_was_never_settled_is_not_counted(shop: PaystackSandbox, at: At, buyer: User) -> None:
    buy(buyer, shop)
    moment = datetime(2026, 11, 2, 12, tzinfo=ACCRA)
    Refund.objects.create(
        reference="other-shop-1", status="processed", amount_minor=3000, currency=GHS, asked_at=moment, ended_at=moment
    )
    at(4)
    assert november(GHS).figures["refunded_minor"] == 0


def test_payment_in_another_currency_counts_in_the_one_it_was_paid_in(
    shop: PaystackSandbox, at: At, buyer: User
) -> None:
    buy(buyer, shop)
    Purchase.objects.update(paid_currency=USD)
    at(4)
    assert (november(USD).figures["received_minor"], november(GHS).figures["received_minor"]) == (8000, 0)
    assert november(GHS).figures["sold_minor"] == 8000


def test_items_are_listed_with_their_day_and_reference(month: dict[str, int], tmp_path: Any) -> None:
    booked = reports.items(date(2026, 11, 1), date(2026, 11, 30))
    with (tmp_path / "items.csv").open("w") as file:
        reports.write_items_csv(booked, file)
    lines = (tmp_path / "items.csv").read_text().splitlines()
    lost = Dispute.objects.get().purchase.reference
    assert lines[0] == "booked_on,of,what,currency,mode,amount,of_it_of_others,reference,paystack_id"
    assert any(
        line.startswith(f"2026-11-04,2026-11-04,lost in a dispute,GHS,test,80.00,0.00,{lost},") for line in lines
    )
    assert len(lines) == 1 + booked.count()


def test_page_shows_what_became_known_late_and_gives_the_items(month: dict[str, int], admin_client: Client) -> None:
    address = "/admin/ai_features/accountday/?month="
    late = AccountItem.objects.filter(kind="payout", currency=GHS, day__gt=F("of_day"))[0]
    page = admin_client.get(f"{address}{late.day}").content.decode()
    assert "which were closed when this became known" in page
    assert f"<td>{late.of_day}</td><td>{late.day}</td><td>payout</td>" in page
    assert "which were closed" not in admin_client.get(f"{address}2026-11").content.decode()
    csv = admin_client.get(f"{address}2026-11&csv=items").content.decode()
    assert csv.count("lost in a dispute") == 1


def test_command_lists_the_items(month: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("accounts", month="2026-11", items=True)
    assert capsys.readouterr().out.count(",payout,USD,") == 1


def test_booked_items_never_change(shop: PaystackSandbox, at: At, buyer: User) -> None:
    buy(buyer, shop)
    Purchase.objects.update(fees_minor=None)
    at(4)
    for change in (lambda: AccountItem.objects.update(amount_minor=1), lambda: AccountItem.objects.all().delete()):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
