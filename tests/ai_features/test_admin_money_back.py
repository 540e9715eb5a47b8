"""What staff does in the admin about money that goes back, and about payments in review."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from ai_features.billing import AIBillingService
from ai_features.models import Dispute, Purchase, Refund, ReviewItem, WebhookEvent
from paystack_sandbox import PaystackSandbox
from tests.money_back import FAILS, NEEDS_ATTENTION, STEP, buy, credits_of, deliver, raise_dispute, refund_event
from tests.paystack_facts import charge


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss"))
    return client


@pytest.fixture
def bought(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    return buy(buyer, sandbox)


@pytest.fixture
def stray(sandbox: PaystackSandbox, db: None) -> ReviewItem:
    deliver("charge.success", charge(reference="SHOP-7", amount=2500, requested_amount=2500))
    return ReviewItem.objects.get()


def refund(staff: Client, purchase: Purchase, **change: str) -> Any:
    form = {"amount": "80.00", "reason": "Unhappy", "key": "k1", "seen": "80.00"}
    return staff.post(f"/admin/ai_features/purchase/{purchase.pk}/refund/", form | change)


def decide(staff: Client, item: ReviewItem, decision: str, **more: Any) -> Any:
    form = {"note": "Because", decision: "x", **more}
    return staff.post(f"/admin/ai_features/reviewitem/{item.pk}/decide/", form)


def page(client: Client, address: str) -> str:
    answer = client.get(f"/admin/ai_features/{address}")
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_pages_open_and_can_be_searched(
    staff: Client, bought: Purchase, stray: ReviewItem, sandbox: PaystackSandbox
) -> None:
    AIBillingService.refund(bought, 40, reason="half")
    deliver("charge.dispute.create", raise_dispute(sandbox, bought))
    for model, row in (("refund", Refund), ("dispute", Dispute), ("reviewitem", ReviewItem)):
        for query in ("", "?q=ama", "?o=1", "?o=-2"):
            page(staff, f"{model}/{query}")
        page(staff, f"{model}/{row.objects.get().pk}/change/")
    assert "50.0" in page(staff, f"purchase/{bought.pk}/change/")


def test_money_rows_are_not_edited(staff: Client, bought: Purchase, stray: ReviewItem) -> None:
    refund(staff, bought)
    for model, row in (("refund", Refund.objects.get()), ("reviewitem", stray)):
        address = f"/admin/ai_features/{model}/{row.pk}/"
        assert staff.post(f"{address}change/", {"status": "accepted"}).status_code == 403
        assert staff.post(f"{address}delete/", {"post": "yes"}).status_code == 403
        assert staff.get(f"/admin/ai_features/{model}/add/").status_code == 403


def test_staff_refunds_with_a_reason_once(staff: Client, bought: Purchase, buyer: User) -> None:
    assert "Refund" in page(staff, f"purchase/{bought.pk}/change/")
    assert "GHS 80.00" in page(staff, f"purchase/{bought.pk}/refund/")
    for _ in range(2):
        assert refund(staff, bought, amount="40.00").status_code == 302
    asked = Refund.objects.get()
    assert (asked.amount_minor, asked.reason, str(asked.requested_by)) == (4000, "Unhappy", "boss")
    assert credits_of(buyer) == (50, 0)


def test_second_person_is_told_that_somebody_refunded_meanwhile(staff: Client, bought: Purchase) -> None:
    refund(staff, bought, amount="40.00")
    answer = refund(staff, bought, amount="40.00", key="k2")
    assert (answer.status_code, "Somebody has refunded" in answer.content.decode()) == (200, True)
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    "change", [{"amount": "80.01"}, {"amount": "0"}, {"amount": "x"}, {"reason": " "}, {"key": ""}, {"seen": "x"}]
)
def test_unusable_refund_is_sent_back(staff: Client, bought: Purchase, change: dict[str, str]) -> None:
    assert refund(staff, bought, **change).status_code == 200
    assert not Refund.objects.exists()


def test_refusal_of_paystack_is_shown(staff: Client, bought: Purchase, buyer: User) -> None:
    answer = refund(staff, bought, amount="0.50")
    assert "GHS1.00" in answer.content.decode()
    assert credits_of(buyer) == (100, 0)


def test_lost_answer_is_told(staff: Client, bought: Purchase, sandbox: PaystackSandbox) -> None:
    sandbox.set_faults({"api": {"drop_after_commit": 1.0}})
    answer = staff.post(
        f"/admin/ai_features/purchase/{bought.pk}/refund/",
        {"amount": "80.00", "reason": "x", "key": "k", "seen": "80.00"},
        follow=True,
    )
    sandbox.set_faults({})
    assert "Paystack did not answer" in answer.content.decode()
    form = {"action": "read_again", "_selected_action": [Refund.objects.get().pk]}
    staff.post("/admin/ai_features/refund/", form)
    assert Refund.objects.get().paystack_id is not None


def test_site_without_a_key_says_so(staff: Client, bought: Purchase, settings: Any) -> None:
    settings.PAYSTACK_SECRET_KEY = ""
    assert "PAYSTACK_SECRET_KEY is empty" in refund(staff, bought).content.decode()
    assert not Refund.objects.filter(status="pending").exists()


@pytest.mark.parametrize("address", ["purchase/{}/refund/", "refund/{}/retry/", "reviewitem/{}/decide/"])
def test_pages_of_rows_that_are_not_there_are_not_found(staff: Client, address: str) -> None:
    for number in ("0", "999", "x"):
        assert staff.get(f"/admin/ai_features/{address.format(number)}").status_code == 404


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        ("refund_purchase", {"purchase/{}/refund/", "refund/{}/retry/"}),
        ("decide_reviewitem", {"reviewitem/{}/decide/"}),
        ("view_purchase", set()),
    ],
)
def test_each_deed_needs_its_own_permission(
    other_buyer: User, bought: Purchase, stray: ReviewItem, permission: str, allowed: set[str]
) -> None:
    AIBillingService.refund(bought, reason="x")
    User.objects.filter(pk=other_buyer.pk).update(is_staff=True)
    other_buyer.user_permissions.add(Permission.objects.get(codename=permission))
    client = Client()
    client.force_login(User.objects.get(pk=other_buyer.pk))
    rows = {
        "purchase/{}/refund/": bought.pk,
        "refund/{}/retry/": Refund.objects.get().pk,
        "reviewitem/{}/decide/": stray.pk,
    }
    answers = {a: client.get(f"/admin/ai_features/{a.format(pk)}").status_code for a, pk in rows.items()}
    assert answers == {address: 200 if address in allowed else 403 for address in rows}


def test_staff_sends_a_refund_to_the_payers_account(staff: Client, buyer: User, sandbox: PaystackSandbox) -> None:
    bought = buy(buyer, sandbox, NEEDS_ATTENTION)
    refund(staff, bought)
    sandbox.advance(seconds=2 * STEP)
    refund_event("needs-attention", bought.reference)
    asked = Refund.objects.get()
    assert "Send to the payer" in page(staff, f"refund/{asked.pk}/change/")
    address = f"/admin/ai_features/refund/{asked.pk}/retry/"
    bank = staff.get(address).context["form"].fields["bank_id"].choices[0][0]
    assert staff.post(address, {"bank_id": bank, "account_number": "x"}).status_code == 200
    account = {"bank_id": bank, "account_number": "0123456789"}
    assert staff.post(address, account).status_code == 200
    assert staff.post(address, {**account, "reason": "Ama, by phone"}).status_code == 302
    kept = LogEntry.objects.get(object_id=str(asked.pk))
    assert (str(kept.user), kept.change_message) == ("boss", "Sent to the payer's account: Ama, by phone")
    asked.refresh_from_db()
    assert asked.status == "processing"


def test_failed_refund_shows_why_and_offers_another(staff: Client, buyer: User, sandbox: PaystackSandbox) -> None:
    bought = buy(buyer, sandbox, FAILS)
    refund(staff, bought)
    sandbox.advance(seconds=2 * STEP)
    refund_event("failed", bought.reference)
    assert "/refund/" in page(staff, f"purchase/{bought.pk}/change/")
    assert refund(staff, bought, key="k2").status_code == 302


def test_list_of_banks_that_cannot_be_had_is_explained(staff: Client, bought: Purchase, settings: Any) -> None:
    refund(staff, bought)
    settings.PAYSTACK_BASE_URL = "http://127.0.0.1:9"
    assert "Paystack cannot be reached" in page(staff, f"refund/{Refund.objects.get().pk}/retry/")


def test_dispute_is_read_again(staff: Client, bought: Purchase, sandbox: PaystackSandbox) -> None:
    deliver("charge.dispute.create", raise_dispute(sandbox, bought))
    found = Dispute.objects.get()
    assert "h</td>" in page(staff, "dispute/")
    sandbox.advance(seconds=14 * 86400)
    staff.post("/admin/ai_features/dispute/", {"action": "read_again", "_selected_action": [found.pk]})
    found.refresh_from_db()
    assert (found.status, found.resolution) == ("lost", "auto-accepted")


def test_staff_gives_a_stray_payment_to_its_owner(staff: Client, stray: ReviewItem, buyer: User) -> None:
    assert "GHS 25.00" in page(staff, f"reviewitem/{stray.pk}/decide/")
    assert decide(staff, stray, "_accept").status_code == 200
    assert decide(staff, stray, "_accept", user=buyer.pk, credits="25").status_code == 302
    assert credits_of(buyer) == (25, 0)
    stray.refresh_from_db()
    assert (stray.status, stray.note, str(stray.decided_by)) == ("accepted", "Because", "boss")


def test_second_decision_is_told_who_was_first(staff: Client, stray: ReviewItem) -> None:
    assert decide(staff, stray, "_dismiss").status_code == 302
    answer = decide(staff, stray, "_dismiss")
    assert (answer.status_code, "Somebody has decided" in answer.content.decode()) == (200, True)


@pytest.mark.parametrize("form", [{"note": "", "_dismiss": "x"}, {"note": "Because"}])
def test_decision_without_a_note_or_a_choice_is_sent_back(
    staff: Client, stray: ReviewItem, form: dict[str, str]
) -> None:
    assert staff.post(f"/admin/ai_features/reviewitem/{stray.pk}/decide/", form).status_code == 200
    assert ReviewItem.objects.get().status == "open"


def test_refused_refund_of_a_stray_payment_leaves_it_open(staff: Client, stray: ReviewItem) -> None:
    """Paystack knows no transaction SHOP-7."""
    assert decide(staff, stray, "_refund").status_code == 200
    assert ReviewItem.objects.get().status == "open"
    assert WebhookEvent.objects.get().outcome == "unknown_reference"


def test_reading_again_keeps_who_did_it(staff: Client, bought: Purchase, sandbox: PaystackSandbox) -> None:
    deliver("charge.dispute.create", raise_dispute(sandbox, bought))
    dispute = Dispute.objects.get()
    staff.post("/admin/ai_features/dispute/", {"action": "read_again", "_selected_action": [dispute.pk]})
    kept = LogEntry.objects.get(object_id=str(dispute.pk))
    assert (str(kept.user), kept.change_message) == ("boss", "Read again at Paystack: open")


@pytest.mark.parametrize("model", ["package", "featureprice"])
def test_what_is_for_sale_is_made_inactive_and_not_deleted(staff: Client, model: str) -> None:
    assert staff.get(f"/admin/ai_features/{model}/1/delete/").status_code in (302, 403)
    assert "delete_selected" not in page(staff, f"{model}/")
