"""What belongs to somebody else, asked for in every way there is: it looks as if it did not exist."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService
from ai_features.billing.purchases import new_reference
from ai_features.exceptions import PurchaseNotFound, ReservationNotFound
from ai_features.models import Purchase, Reservation, Wallet

UNKNOWN = "AI-CREDIT-1700000000-ffffffffffffffff"


@pytest.fixture
def reservation(wallet: Wallet) -> int:
    AIBillingService.grant(wallet, 10, reason="trial")
    made = AIBillingService.reserve(wallet, 5).id
    Reservation.objects.filter(pk=made).update(over_http=True)
    return made


def test_python_finds_only_ones_own(purchase: Purchase, reservation: int, other_buyer: User) -> None:
    with pytest.raises(PurchaseNotFound):
        AIBillingService.verify_purchase(other_buyer, purchase.reference)
    with pytest.raises(ReservationNotFound):
        AIBillingService.capture(other_buyer, reservation, 5)
    with pytest.raises(ReservationNotFound):
        AIBillingService.release(other_buyer, reservation)


def words(page: Any) -> str:
    """Without the token against forged forms, which is another in each page."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.content.decode())


@pytest.mark.parametrize("action", ["capture", "release", "renew"])
def test_anothers_reservation_answers_as_none_would(other_api: APIClient, reservation: int, action: str) -> None:
    url = "/ai/api/credits/reservations/{}/" + action + "/"
    body = {"capture": {"credits": 1}, "release": {}, "renew": {"ttl_seconds": 60}}[action]
    theirs, none = (other_api.post(url.format(n), body, format="json") for n in (reservation, 999_999_999))
    assert (theirs.status_code, theirs.content) == (none.status_code, none.content) == (404, none.content)


def test_anothers_reference_answers_as_none_would(other_api: APIClient, purchase: Purchase) -> None:
    url = "/ai/api/credits/verify/?reference="
    theirs, none = (other_api.get(url + reference) for reference in (purchase.reference, UNKNOWN))
    assert (theirs.status_code, theirs.content) == (404, none.content)


@pytest.mark.parametrize("address", ["/payment/callback?reference={}", "/credits/purchases/{}/"])
def test_pages_show_anothers_reference_as_none(others_browser: Client, purchase: Purchase, address: str) -> None:
    Purchase.objects.update(status="review")  # decided, so Paystack is not asked about it
    theirs, none = (others_browser.get(address.format(reference)) for reference in (purchase.reference, UNKNOWN))
    assert (theirs.status_code, none.status_code) == (404, 404)
    assert words(theirs).replace(purchase.reference, UNKNOWN) == words(none)


def test_nobody_names_whose_wallet_it_is(other_api: APIClient, wallet: Wallet, buyer: User) -> None:
    AIBillingService.grant(wallet, 10, reason="trial")
    body = {"credits": 1, "wallet": wallet.pk, "wallet_id": wallet.pk, "user": buyer.pk, "owner": "ama"}
    assert other_api.post("/ai/api/credits/spend/", body, format="json").status_code == 402
    assert other_api.get("/ai/api/credits/balance/", {"wallet": wallet.pk, "user": "ama"}).json()["balance"] == 0


def test_references_cannot_be_guessed_or_counted() -> None:
    references = {new_reference() for _ in range(1000)}
    random = [reference.rsplit("-", 1)[1] for reference in references]
    assert len(set(random)) == 1000
    assert {len(part) for part in random} == {16}
    # Every one of the 16 digits takes every value: no counter, no clock.
    assert {len({part[place] for part in random}) for place in range(16)} == {16}


def test_trying_references_is_slow(other_api: APIClient, settings) -> None:
    settings.AI_CREDITS = {"THROTTLE_RATES": {"verify": "3/min"}}
    url = "/ai/api/credits/verify/"
    codes = [other_api.get(url, {"reference": new_reference()}).status_code for _ in range(4)]
    assert codes == [404, 404, 404, 429]
    assert int(other_api.get(url, {"reference": UNKNOWN}).headers["Retry-After"]) <= 60
