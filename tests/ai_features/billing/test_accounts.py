"""The accountant's books: worked examples in round numbers, and that everything always adds up."""

from datetime import date, datetime, timedelta
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import Sum
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_features.billing import AIBillingService
from ai_features.billing.accounts import close_days, rebuild, statements
from ai_features.billing.accounts.closing import work_out
from ai_features.billing.accounts.replay import Book, values_of_lots
from ai_features.billing.ledger import open_account
from ai_features.billing.settlement import settle
from ai_features.exceptions import AICreditsError
from ai_features.models import AccountDay, LedgerEntry, LotMark, Payout, Purchase, Refund, SettledBy, Wallet
from tests.paystack_facts import facts

pytestmark = pytest.mark.django_db
ACCRA = ZoneInfo("Africa/Accra")
START = datetime(2026, 11, 2, 9, tzinfo=ACCRA)


@pytest.fixture
def clock(time_machine):
    time_machine.move_to(START, tick=False)
    return time_machine


def buy(wallet: Wallet, number: int = 0, **sold: Any) -> Purchase:
    """The Value pack, settled: GHS 80 for 80 credits and 20 bonus, unless it is sold otherwise."""
    terms = {"price_minor": 8000, "amount_minor": 8000, "credits": 80_000_000, "bonus_credits": 20_000_000}
    terms |= {"mode": "live"} | sold
    purchase = Purchase.objects.create(
        reference=f"AI-CREDIT-{number}", wallet=wallet, buyer=wallet.user, email="ama@example.com",
        package_code="value", currency="GHS", **terms,
    )  # fmt: skip
    return settle(purchase.reference, facts(purchase, domain=purchase.mode), settled_by=SettledBy.WEBHOOK)


def of(day: int | str, currency: str = "GHS") -> dict[str, Any]:
    """A day of November, or all of it, in major units and credits; only what is not zero."""
    first, last = (date(2026, 11, 1), date(2026, 11, 30)) if day == "all" else (date(2026, 11, int(day)),) * 2
    found = [told for told in statements(first, last) if told.currency == currency]
    return {name: float(value) for name, value in found[0].columns().items() if not isinstance(value, str) and value}


def test_sale_use_and_expiry_by_day(wallet: Wallet, clock) -> None:
    buy(wallet)
    clock.shift(timedelta(days=1))
    AIBillingService.spend(wallet, 25)
    clock.move_to(START + timedelta(days=180, hours=1))
    AIBillingService.balance(wallet)
    clock.shift(timedelta(days=2))
    close_days()
    sale = of(2)
    assert (sale["received"], sale["fees"], sale["closing_at_paystack"]) == (80.0, 1.56, 78.44)
    assert (sale["sold"], sale["closing_deferred"], sale["credits_sold"], sale["credits_bonus"]) == (
        80.0,
        80.0,
        80.0,
        20.0,
    )
    use = of(3)
    assert (use["opening_deferred"], use["used"], use["closing_deferred"]) == (80.0, 20.0, 60.0)
    assert (use["credits_spent"], use["closing_credits"]) == (25.0, 75.0)
    expiry = {told.currency: told for told in statements(date(2027, 5, 1), date(2027, 5, 1))}["GHS"].columns()
    assert (float(expiry["breakage"]), float(expiry["closing_deferred"]), float(expiry["credits_expired"])) == (
        60.0,
        0.0,
        75.0,
    )


def test_tax_is_received_and_never_revenue(wallet: Wallet, clock) -> None:
    buy(wallet, amount_minor=9200)
    AIBillingService.spend(wallet, 100)
    clock.shift(timedelta(days=2))
    close_days()
    day = of(2)
    assert (day["received"], day["tax"], day["sold"], day["used"]) == (92.0, 12.0, 80.0, 80.0)
    assert "closing_deferred" not in day


def test_granted_credits_are_worth_nothing_and_stand_apart(wallet: Wallet, clock) -> None:
    AIBillingService.grant(wallet, 10, reason="trial", expires_at=START + timedelta(days=30))
    buy(wallet)
    AIBillingService.spend(wallet, 4)
    clock.shift(timedelta(days=2))
    close_days()
    assert of(2, "") == {"credits_granted": 10.0, "credits_spent": 4.0, "closing_credits": 6.0}
    assert of(2)["closing_deferred"] == 80.0


def test_money_of_test_mode_is_in_no_statement_of_money(wallet: Wallet, clock) -> None:
    buy(wallet, 1, mode="live", bonus_credits=0)
    buy(wallet, 2, mode="test", bonus_credits=0, amount_minor=9200)
    AIBillingService.spend(wallet, 100)
    clock.shift(timedelta(days=2))
    close_days()
    live, test = statements(date(2026, 11, 2), date(2026, 11, 2))
    assert [(told.currency, told.mode) for told in (live, test)] == [("GHS", "live"), ("GHS", "test")]
    real, pretended = live.columns(), test.columns()
    figures = ("received", "tax", "payments", "used", "closing_credits")
    assert [real[name] for name in figures] == [80, 0, 1, 80, 0]
    assert [pretended[name] for name in figures] == [92, 12, 1, 20, 60]


def test_refunds_and_payouts_stay_with_their_mode(wallet: Wallet, clock) -> None:
    noon = START + timedelta(hours=3)
    for number, mode in enumerate(("live", "test")):
        bought = buy(wallet, number, mode=mode)
        about = {"purchase": bought, "reference": bought.reference, "asked_at": noon, "currency": "GHS"}
        Refund.objects.create(**about, amount_minor=1000 + number, status="processed", ended_at=noon)
        Refund.objects.create(**about, amount_minor=2000 + number)
        Payout.objects.create(
            paystack_id="1", mode=mode, currency="GHS", status="success", settled_at=noon, processed_minor=8000,
            fees_minor=0, deducted_minor=0, effective_minor=5000 + number, tied_at=noon,
        )  # fmt: skip
    clock.shift(timedelta(days=2))
    close_days()
    for number, told in enumerate(statements(date(2026, 11, 2), date(2026, 11, 2))):
        assert (told.figures["refunded_minor"], told.figures["paid_out_minor"]) == (1000 + number, 5000 + number)
        assert told.stands["refunds_open_minor"] == 2000 + number


@pytest.mark.parametrize("modes", [["test", "test"], ["test", "live"]])
def test_days_closed_before_modes_were_told_apart(wallet: Wallet, clock, modes: list[str]) -> None:
    for number, mode in enumerate(modes):
        buy(wallet, number, mode=mode)
    clock.shift(timedelta(days=2))
    close_days()
    closed = [(one.currency, one.mode, one.figures) for one in statements(date(2026, 11, 2), date(2026, 11, 2))]
    if len(set(modes)) > 1:
        AccountDay.objects.filter(mode="live").delete()
    AccountDay.objects.update(mode="")
    import_module("ai_features.migrations.0013_accounts_by_mode").tell_modes(apps, None)
    close_days()
    told = statements(date(2026, 11, 2), date(2026, 11, 2))
    assert [(one.currency, one.mode, one.figures) for one in told] == closed


def test_page_and_command_say_which_money_is_none(wallet: Wallet, clock, admin_client: Client, capsys) -> None:
    buy(wallet, 1)
    buy(wallet, 2, mode="test")
    clock.shift(timedelta(days=2))
    close_days()
    page = admin_client.get("/admin/ai_features/accountday/?day=2026-11-02").content.decode()
    assert "GHS, test mode" in page
    call_command("accounts", day="2026-11-02")
    assert "GHS, test mode, 2026-11-02 to 2026-11-02" in capsys.readouterr().out
    call_command("accounts", day="2026-11-02", csv=True)
    rows = [line.split(",")[2:4] for line in capsys.readouterr().out.splitlines()]
    assert rows == [["currency", "mode"], ["GHS", "live"], ["GHS", "test"]]


def test_price_is_spread_evenly_over_all_credits() -> None:
    assert values_of_lots(8000, 80, 20) == (6400, 1600)
    assert values_of_lots(1000, 2, 1) == (667, 333)
    assert values_of_lots(8000, 80, 0) == (8000, 0)


def test_debt_and_what_pays_it(wallet: Wallet, clock) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    AIBillingService.capture(wallet, AIBillingService.reserve(wallet, 10).id, 30)
    buy(wallet)
    clock.shift(timedelta(days=2))
    close_days()
    assert of(2, "") == {"credits_granted": 10.0, "credits_spent": 10.0}
    assert (of(2)["credits_spent"], of(2)["used"], of(2)["closing_credits"]) == (20.0, 16.0, 80.0)


def test_month_is_the_sum_of_its_days(wallet: Wallet, clock) -> None:
    for number in range(5):
        buy(wallet, number)
        AIBillingService.spend(wallet, "33.333333")
        clock.shift(timedelta(days=1))
    clock.shift(timedelta(days=1))
    close_days()
    month = of("all")
    assert month["used"] == pytest.approx(sum(of(day)["used"] for day in range(2, 7)))
    assert month["closing_deferred"] == of(6)["closing_deferred"]
    assert "opening_deferred" not in month


def test_closing_again_and_rebuilding_change_nothing(wallet: Wallet, clock) -> None:
    buy(wallet)
    AIBillingService.spend(wallet, 7)
    clock.shift(timedelta(days=3))
    assert (close_days(), close_days()) == (3, 0)
    before = list(
        AccountDay.objects.order_by("day", "currency").values_list("day", "currency", "deferred_closing_minor")
    )
    rebuild()
    assert close_days() == 3
    assert (
        list(AccountDay.objects.order_by("day", "currency").values_list("day", "currency", "deferred_closing_minor"))
        == before
    )


def test_day_that_is_not_over_is_not_closed(wallet: Wallet, clock) -> None:
    buy(wallet)
    clock.move_to(datetime(2026, 11, 3, 0, 30, tzinfo=ACCRA))
    assert close_days() == 0
    clock.move_to(datetime(2026, 11, 3, 1, 1, tzinfo=ACCRA))
    assert close_days() == 1


def test_entry_at_midnight_belongs_to_one_day(wallet: Wallet, clock) -> None:
    AIBillingService.grant(wallet, 100, reason="trial")
    midnight = datetime(2026, 11, 3, tzinfo=ACCRA)
    for offset in (-1, 0, 1):
        clock.move_to(midnight + timedelta(seconds=offset))
        AIBillingService.spend(wallet, 1)
    clock.shift(timedelta(days=2))
    close_days()
    assert [of(day, "")["credits_spent"] for day in (2, 3)] == [1.0, 2.0]


def assert_adds_up() -> None:
    """Opening + movements = closing in each figure, and the closings are what the ledger and the lots say."""
    told = statements(date(2026, 1, 1), date(2028, 1, 1))
    assert all(value == 0 for one in told for value in one.openings.values())
    entries = LedgerEntry.objects.aggregate(amount=Sum("amount"), debt=Sum("debt_change"))
    amount, debt = entries["amount"] or 0, entries["debt"] or 0
    assert sum(one.closings["credits"] for one in told) == amount + debt
    assert sum(one.closings["debt"] for one in told) == debt
    left = {mark.lot_id: mark.remaining for mark in LotMark.objects.all()}
    assert sum(left.values()) == amount + debt
    assert sum(one.closings["deferred_minor"] for one in told if one.currency) == value_of(left)


def value_of(left: dict[int, int]) -> int:
    total = 0
    for mark in LotMark.objects.select_related("lot__purchase"):
        purchase = mark.lot.purchase
        if purchase is not None:
            values = values_of_lots(purchase.price_minor, purchase.credits, purchase.bonus_credits)
            total += values[mark.lot.source != "purchased"] * left[mark.lot_id] // mark.lot.amount
    return total


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["buy", "spend", "grant", "overspend", "reserve", "capture", "release", "wait", "wait long", "close"]
        ),
        st.integers(1, 60_000_000),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_everything_adds_up_whatever_happens(steps: list[tuple[str, int]], buyer: User, clock) -> None:
    with transaction.atomic():
        clock.move_to(START, tick=False)
        wallet = Wallet.objects.create(user=buyer)
        reservations: list[int] = []
        for number, (step, micro) in enumerate(steps):
            try:
                do(step, micro, wallet, number, reservations, clock)
            except AICreditsError:
                continue
        clock.shift(timedelta(days=2))
        close_days()
        assert_adds_up()
        if not {"reserve", "overspend"} & {step for step, _ in steps}:
            assert_lots_agree(wallet, clock)
        transaction.set_rollback(True)


def do(step: str, micro: int, wallet: Wallet, number: int, reservations: list[int], clock) -> None:
    credits_ = f"{micro / 1_000_000:.6f}"
    soon = datetime.now(ACCRA) + timedelta(days=1 + micro % 90)
    operations = {
        "buy": lambda: buy(wallet, number, price_minor=micro // 10_000 + 1, credits=micro, bonus_credits=micro // 3),
        "grant": lambda: AIBillingService.grant(wallet, credits_, reason="x", expires_at=soon),
        "spend": lambda: AIBillingService.spend(wallet, credits_),
        "reserve": lambda: reservations.append(
            AIBillingService.reserve(wallet, credits_, ttl_seconds=60 + micro % 86_000).id
        ),
        "overspend": lambda: AIBillingService.capture(
            wallet, AIBillingService.reserve(wallet, "0.000001").id, credits_
        ),
        "capture": lambda: AIBillingService.capture(wallet, (reservations or [0]).pop(), credits_),
        "release": lambda: AIBillingService.release(wallet, (reservations or [0]).pop()),
        "wait": lambda: clock.shift(timedelta(seconds=micro // 200)),
        "wait long": lambda: clock.shift(timedelta(days=micro // 1_000_000)),
        "close": close_days,
    }
    operations[step]()


def assert_lots_agree(wallet: Wallet, clock) -> None:
    """What the replay says is left in each lot is what the ledger finds when it charges its lots."""
    with transaction.atomic(), open_account(wallet.pk) as account:
        account.allocate()
    clock.shift(timedelta(days=2))
    close_days()
    left = dict(wallet.lots.filter(remaining__gt=0).values_list("pk", "remaining"))
    assert dict(LotMark.objects.values_list("lot_id", "remaining")) == left


# The command and the page


@pytest.fixture
def november(wallet: Wallet, clock) -> None:
    buy(wallet)
    AIBillingService.spend(wallet, 25)
    clock.shift(timedelta(days=3))


def test_command_closes_and_tells(november: None, capsys) -> None:
    call_command("accounts", month="2026-11")
    printed = capsys.readouterr().out
    assert printed.startswith("GHS, 2026-11-02 to 2026-11-04\n")
    assert "  closing deferred                            60.00\n" in printed
    assert "Closed are all days up to 2026-11-04." in printed


def test_csv_has_a_row_for_each_currency(november: None, capsys) -> None:
    call_command("accounts", month="2026-11", csv=True)
    header, ghs = (line.split(",") for line in capsys.readouterr().out.splitlines())
    row = dict(zip(header, ghs, strict=True))
    assert (row["from"], row["currency"], row["received"], row["used"], row["closing_credits"]) == (
        *("2026-11-02", "GHS", "80.00", "20.00", "75.0"),
    )


def test_days_of_a_month_one_by_one(november: None, capsys) -> None:
    call_command("accounts", month="2026-11", csv=True, by_day=True)
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        *("2026-11-02", "2026-11-03", "2026-11-04"),
    ]


@pytest.mark.parametrize("period", [{"month": "2026-13"}, {"month": "x"}, {"day": "2026-02-30"}, {"month": "9999-12"}])
def test_impossible_period_is_refused_in_words(november: None, period: dict[str, str]) -> None:
    with pytest.raises(CommandError, match=r"A month is as 2026-11|No day of this period"):
        call_command("accounts", **period)


def test_books_without_an_entry_say_so(db: None) -> None:
    with pytest.raises(CommandError, match="No day is closed yet"):
        call_command("accounts")


def test_staff_see_the_statement_and_take_it_along(november: None) -> None:
    close_days()
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss"))
    address = "/admin/ai_features/accountday/"
    page = client.get(f"{address}?month=2026-11").content.decode()
    assert "Revenue from use" in page
    assert "<strong>60.00</strong>" in page
    assert "Closed are all days up to 2026-11-04." in page
    csv = client.get(f"{address}?month=2026-11-02&csv=1")
    assert csv["Content-Type"] == "text/csv"
    assert b",60.00," in csv.content
    assert client.get(f"{address}?month=<script>").status_code == 400
    assert client.get(f"{address}?month=1999-01").status_code == 200


def test_accounts_are_for_staff_with_the_permission(november: None) -> None:
    clerk = User.objects.create_user("clerk", "clerk@example.com", "clerk", is_staff=True)
    client = Client()
    client.force_login(clerk)
    assert client.get("/admin/ai_features/accountday/?month=2026-11").status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_accountday"))
    assert client.get("/admin/ai_features/accountday/?month=2026-11").status_code == 200


def test_page_costs_the_same_however_long_the_history(november: None, django_assert_max_num_queries) -> None:
    close_days()
    with django_assert_max_num_queries(1):
        statements(date(2026, 11, 1), date(2026, 11, 30))


def test_open_day_can_be_worked_out_without_closing_it(november: None) -> None:
    assert work_out(date(2026, 11, 5)).moved[Book("GHS", "live")].used_minor == 2000
    assert not AccountDay.objects.exists()
