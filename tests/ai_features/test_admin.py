import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from ai_features.billing import AIBillingService
from ai_features.models import FeaturePrice, LedgerEntry, Package, Purchase, Wallet, WebhookEvent
from tests.paystack_facts import charge_success

MODELS = ["featureprice", "grantrequest", "ledgerseal", "wallet", "package", "purchase", "ledgerentry", "webhookevent"]


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss"))
    return client


@pytest.fixture
def everything(purchase: Purchase, wallet: Wallet) -> Purchase:
    AIBillingService.grant(wallet, 5, reason="trial")
    WebhookEvent.of(charge_success(purchase)).save()
    return purchase


@pytest.mark.parametrize("model", MODELS)
def test_lists_can_be_searched_and_sorted(staff: Client, everything: Purchase, model: str) -> None:
    for query in ("", "?q=ama", "?o=1", "?o=-2", "?q=%00"):
        assert staff.get(f"/admin/ai_features/{model}/{query}").status_code in (200, 302), query


def test_purchase_is_found_by_paystacks_number(staff: Client, purchase: Purchase) -> None:
    Purchase.objects.update(paystack_id="4099260516")
    for number, is_found in (("4099260516", True), ("409926051", False)):
        page = staff.get("/admin/ai_features/purchase/", {"q": number}).content.decode()
        assert (purchase.reference in page) is is_found


@pytest.mark.parametrize(
    ("model", "row"),
    [("wallet", Wallet), ("purchase", Purchase), ("ledgerentry", LedgerEntry), ("webhookevent", WebhookEvent)],
)
def test_money_rows_are_shown_and_not_edited(staff: Client, everything: Purchase, model: str, row) -> None:
    address = f"/admin/ai_features/{model}/{row.objects.get().pk}/"
    assert staff.get(f"{address}change/").status_code == 200
    assert staff.post(f"{address}change/", {"status": "completed", "balance": 1}).status_code == 403
    assert staff.post(f"{address}delete/", {"post": "yes"}).status_code == 403
    assert staff.get(f"/admin/ai_features/{model}/add/").status_code == 403


def test_staff_edits_a_package_in_cedis_and_credits(staff: Client) -> None:
    package = Package.objects.get(code="value")
    form = {
        "code": "value",
        "name": "Value",
        "currency": "GHS",
        "price": "85.50",
        "credits_sold": "90",
        "bonus": "0",
        "position": 1,
        "why": "dearer tokens",
    }
    answer = staff.post(f"/admin/ai_features/package/{package.pk}/change/", form)
    assert answer.status_code == 302
    package.refresh_from_db()
    assert (package.price_minor, package.credits, package.bonus_credits) == (8550, 90_000_000, 0)
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("boss", str(package.pk))
    assert entry.get_change_message().startswith("dearer tokens: name Value pack → Value, ")
    assert "price 80.00 → 85.50" in entry.get_change_message()


@pytest.mark.parametrize(
    "change",
    [{"price": "0.01"}, {"code": "custom"}, {"credits_sold": "-1"}, {"price": "x"}, {"bonus": "-1"}, {"why": ""}],
)
def test_unusable_package_is_sent_back(staff: Client, change: dict[str, str]) -> None:
    form = {
        "code": "new",
        "name": "New",
        "currency": "GHS",
        "price": "10",
        "credits_sold": "10",
        "bonus": "0",
        "position": 1,
        "why": "dearer tokens",
    }
    answer = staff.post("/admin/ai_features/package/add/", form | change)
    assert answer.status_code == 200
    assert Package.objects.count() == 3


def grant(staff: Client, user: User, **change: str) -> object:
    form = {
        "user": user.pk,
        "credits": "12.5",
        "reason": "goodwill",
        "key": "k1",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    return staff.post("/admin/ai_features/wallet/grant/", form | change)


def test_staff_grants_credits_with_a_reason_once(staff: Client, buyer: User) -> None:
    for _ in range(2):
        assert grant(staff, buyer).status_code == 302
    entry = LedgerEntry.objects.get()
    assert (entry.amount, entry.reason, entry.actor.username) == (12_500_000, "goodwill", "boss")
    wallet = Wallet.objects.get(user=buyer)
    assert wallet.balance == 12_500_000
    history = LogEntry.objects.filter(object_id=str(wallet.pk)).first()
    assert history is not None
    assert history.get_change_message() == "12.5 credits granted to ama. goodwill"


@pytest.mark.parametrize(
    "change", [{"reason": ""}, {"credits": "0"}, {"credits": "NaN"}, {"credits": "1e99"}, {"key": ""}]
)
def test_unusable_grant_is_sent_back(staff: Client, buyer: User, change: dict[str, str]) -> None:
    assert grant(staff, buyer, **change).status_code == 200
    assert not LedgerEntry.objects.exists()


def test_grant_page_opens(staff: Client) -> None:
    assert "Reason" in staff.get("/admin/ai_features/wallet/grant/").content.decode()


def test_grant_is_for_those_who_may_change_wallets(buyer: User) -> None:
    User.objects.update(is_staff=True)
    client = Client()
    client.force_login(buyer)
    assert client.get("/admin/ai_features/wallet/grant/").status_code == 403


def test_staff_replays_a_webhook_event(staff: Client, everything: Purchase) -> None:
    event = WebhookEvent.objects.get()
    WebhookEvent.objects.update(event="charge.success", reference=everything.reference)
    form = {"action": "replay", "_selected_action": [event.pk]}
    assert staff.post("/admin/ai_features/webhookevent/", form).status_code == 302
    everything.refresh_from_db()
    assert everything.status == "completed"
    assert LogEntry.objects.get().get_change_message() == "Processed again: received → processed completed"


def test_staff_prices_a_feature_in_credits(staff: Client) -> None:
    prices = {"call": "0.5", "unit": "0", "tokens_in": "0", "tokens_out": "2.25"}
    form = {"code": "chat", "name": "Chat", "is_active": "on", "why": "New model"} | prices
    answer = staff.post("/admin/ai_features/featureprice/add/", form)
    assert answer.status_code == 302
    price = FeaturePrice.objects.get()
    assert (price.per_call, price.per_unit, price.per_1000_tokens_out) == (500_000, 0, 2_250_000)
    change = f"/admin/ai_features/featureprice/{price.pk}/change/"
    assert staff.post(change, form | {"call": "0.75", "why": "Dearer"}).status_code == 302
    assert LogEntry.objects.latest("pk").change_message == "Dearer: call 0.5 → 0.75"


def test_feature_that_costs_nothing_is_refused(staff: Client) -> None:
    form = {"code": "chat", "call": "0", "unit": "0", "tokens_in": "0", "tokens_out": "0", "why": "x"}
    answer = staff.post("/admin/ai_features/featureprice/add/", form)
    assert "must cost something" in answer.content.decode()
    assert not FeaturePrice.objects.exists()


def test_purchase_tells_what_was_bought_from_what_came_as_a_bonus(staff: Client, purchase: Purchase) -> None:
    page = staff.get(f"/admin/ai_features/purchase/{purchase.pk}/change/").content.decode()
    assert re.findall(r'<div class="readonly">([\d.]+)</div>', page)[:2] == ["80.0", "20.0"]


def test_next_check_is_told_of_purchases_that_will_be_checked(staff: Client, purchase: Purchase) -> None:
    Purchase.objects.update(next_check_at=datetime(2031, 5, 6, 7, 8, tzinfo=UTC))
    label = "May 6, 2031, 7:08 a.m."
    address = f"/admin/ai_features/purchase/{purchase.pk}/change/"
    assert label in staff.get(address).content.decode()
    Purchase.objects.update(status="completed", completed_at=purchase.created_at)
    assert label not in staff.get(address).content.decode()


def test_wallet_tells_what_its_lots_have_still_to_pay(staff: Client, wallet: Wallet) -> None:
    AIBillingService.grant(wallet, 100, reason="trial")
    AIBillingService.spend(wallet, 40)
    page = staff.get(f"/admin/ai_features/wallet/{wallet.pk}/change/").content.decode()
    shown = re.sub(r"<[^>]+>|\s+", " ", page)
    assert re.search(r"not yet taken from the lots below: +40\.0 ", shown)
