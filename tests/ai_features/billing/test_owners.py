"""Whose wallet it is, and who is nobody."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User

from ai_features.billing import AIBillingService
from ai_features.exceptions import (
    CallbackUrlRefused,
    IdempotencyKeyUnusable,
    InvalidRequest,
    PackageUnknown,
    PaymentMethodUnknown,
    PurchaseNotFound,
)
from ai_features.models import Purchase, Wallet

pytestmark = pytest.mark.django_db

NOBODY: dict[str, Callable[[], Any]] = {
    "visitor": AnonymousUser,
    "unsaved user": lambda: User(username="new"),
    "unsaved wallet": Wallet,
    "nothing": lambda: None,
}
CALLS: dict[str, Callable[[Any], object]] = {
    "spend": lambda owner: AIBillingService.spend(owner, 7),
    "reserve": lambda owner: AIBillingService.reserve(owner, 7),
    "balance": AIBillingService.balance,
    "statement": AIBillingService.statement,
    "grant": lambda owner: AIBillingService.grant(owner, 5, reason="trial"),
    "purchase": lambda owner: AIBillingService.purchase_credits(owner, "starter"),
    "wallet": AIBillingService.wallet,
}


def resolver(user: Any) -> str | None:
    return getattr(user, "team", None)


@pytest.fixture(params=["no resolver", "resolver"])
def team(request: pytest.FixtureRequest, db: None, settings: Any) -> Wallet:
    if request.param == "resolver":
        settings.AI_CREDITS = {"WALLET_RESOLVER": f"{__name__}.resolver"}
    AIBillingService.grant("acme", 100, reason="trial")
    return AIBillingService.wallet("acme")


@pytest.mark.parametrize("nobody", NOBODY.values(), ids=NOBODY)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nobody_has_no_wallet_and_above_all_no_teams(team: Wallet, call: Any, nobody: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        call(nobody())
    assert "owner" in refused.value.values["fields"]
    assert AIBillingService.balance(team).balance == 100
    assert Wallet.objects.get() == team


@pytest.mark.parametrize("key", ["", "x" * 101, "a\0", "\ud800", "two\nlines"])
def test_unusable_key_of_a_team_makes_no_wallet(db: None, key: str) -> None:
    with pytest.raises(InvalidRequest):
        AIBillingService.grant(key, 5, reason="trial")
    assert not Wallet.objects.exists()


def test_key_of_a_team_may_be_a_number_to_the_resolver(buyer: User, settings: Any) -> None:
    settings.AI_CREDITS = {"WALLET_RESOLVER": f"{__name__}.resolver"}
    buyer.team = 7  # type: ignore[attr-defined]
    assert AIBillingService.wallet(buyer) == AIBillingService.wallet("7")


@pytest.mark.parametrize("text", ["a\0", "\ud800", b"starter", object()])
@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("package", PackageUnknown),
        ("payment_method", PaymentMethodUnknown),
        ("callback_url", CallbackUrlRefused),
        ("idempotency_key", IdempotencyKeyUnusable),
    ],
)
def test_order_that_is_no_text_is_refused_by_its_name(buyer: User, name: str, refusal: Any, text: Any) -> None:
    with pytest.raises(refusal):
        AIBillingService.purchase_credits(buyer, **{"package": "starter", name: text})
    assert not Purchase.objects.exists()


@pytest.mark.parametrize("reference", ["a\0", "\ud800", "x" * 101, ""])
def test_reference_that_no_purchase_can_have_is_not_found(wallet: Wallet, reference: str) -> None:
    with pytest.raises(PurchaseNotFound):
        AIBillingService.verify_purchase(wallet, reference)


@pytest.mark.django_db(transaction=True)
def test_nor_is_it_refunded(transactional_db: None) -> None:
    with pytest.raises(PurchaseNotFound):
        AIBillingService.refund("a\0", 1, reason="trial")


@pytest.mark.parametrize("before", [[], "", 0.0, False])
def test_page_of_a_statement_begins_at_a_whole_number(wallet: Wallet, before: Any) -> None:
    with pytest.raises(InvalidRequest):
        AIBillingService.statement(wallet, before=before)
