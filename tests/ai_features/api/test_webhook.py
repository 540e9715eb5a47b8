import hashlib
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django_tasks import default_task_backend
from rest_framework.test import APIClient

from ai_features.billing import AIBillingService, webhooks
from ai_features.models import LedgerEntry, Purchase, Wallet, WebhookEvent
from tests.laws import assert_laws
from tests.paystack_facts import charge_success, sign

URL = "/ai/api/webhooks/paystack/"


def deliver(body: bytes, signature: str | None = "valid", **extra: Any) -> Any:
    headers = (
        {} if signature is None else {"HTTP_X_PAYSTACK_SIGNATURE": sign(body) if signature == "valid" else signature}
    )
    return Client(enforce_csrf_checks=True).post(URL, body, content_type="application/json", **headers, **extra)


def test_signed_charge_becomes_credits(purchase: Purchase, wallet: Wallet) -> None:
    answer = deliver(charge_success(purchase))
    assert answer.status_code == 200
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000
    event = WebhookEvent.objects.get()
    assert (event.status, event.outcome, event.reference) == ("processed", "completed", purchase.reference)
    assert bytes(event.body) == charge_success(purchase)


def test_webhook_is_answered_before_a_session_is_set_up(purchase: Purchase) -> None:
    assert not hasattr(deliver(charge_success(purchase)).wsgi_request, "session")
    assert hasattr(deliver(charge_success(purchase), None).wsgi_request, "session")


def test_same_delivery_six_times_is_credited_once(purchase: Purchase, wallet: Wallet) -> None:
    assert {deliver(charge_success(purchase)).status_code for _ in range(6)} == {200}
    wallet.refresh_from_db()
    assert (wallet.balance, WebhookEvent.objects.count(), LedgerEntry.objects.count()) == (100_000_000, 6, 2)


@pytest.mark.parametrize("signature", [None, "", "0" * 128, "é", "x" * 5000, sign(b"other"), sign(b"", "sk_test_evil")])
def test_wrong_signature_is_refused_and_not_recorded(purchase: Purchase, signature: str | None) -> None:
    answer = deliver(charge_success(purchase), signature)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_signature")
    assert not WebhookEvent.objects.exists()


def test_signature_over_other_bytes_is_refused(purchase: Purchase) -> None:
    body = charge_success(purchase)
    assert deliver(body + b"\n", sign(body)).status_code == 400


def test_empty_key_closes_the_door(purchase: Purchase, settings) -> None:
    settings.PAYSTACK_SECRET_KEY = ""
    body = charge_success(purchase)
    assert deliver(body, sign(body, "")).status_code == 400


def test_previous_key_is_still_accepted(purchase: Purchase, settings) -> None:
    settings.PAYSTACK_SECRET_KEY, settings.PAYSTACK_PREVIOUS_SECRET_KEYS = "sk_test_new", ["sk_test_old", ""]
    body = charge_success(purchase)
    assert deliver(body, sign(body, "sk_test_old")).status_code == 200
    assert deliver(body, sign(body, "sk_test_new")).status_code == 200
    assert deliver(body, sign(body, "")).status_code == 400


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "malformed"),
        (b"not json", "malformed"),
        (b"\xff\x00", "malformed"),
        (b"[1]", "malformed"),
        (b"null", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"event": "charge.success"}', "malformed"),
        (b'{"event": "charge.success", "data": []}', "malformed"),
        (b'{"event": "charge.success", "data": {}}', "malformed"),
        (b'{"event": "charge.success", "data": {"reference": "a\\u0000b"}}', "malformed"),
        (b'{"event": {"a": 1}, "data": {}}', "malformed"),
        (b'{"event": "transfer.success", "data": {"reference": "x"}}', "no_handler"),
        (b'{"event": "charge.of.the.light.brigade", "data": null}', "no_handler"),
    ],
)
def test_signed_but_useless_is_kept_and_answered_200(db: None, body: bytes, outcome: str) -> None:
    assert deliver(body).status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.status, event.outcome, bytes(event.body)) == ("ignored", outcome, body)


@pytest.mark.parametrize(
    "amount", [b"true", b"-8000", b'"8000.5"', b"8000.5", b"null", b"{}", b'"NaN"', b"1e30", b"8" * 5000]
)
def test_unusable_amount_credits_nobody(purchase: Purchase, amount: bytes) -> None:
    assert deliver(charge_success(purchase).replace(b'"amount":8000', b'"amount":' + amount)).status_code == 200
    assert WebhookEvent.objects.get().outcome == "malformed"
    purchase.refresh_from_db()
    assert purchase.status == "pending"


def test_unknown_reference_is_kept(db: None) -> None:
    deliver(charge_success())
    assert WebhookEvent.objects.get().outcome == "unknown_reference"


@pytest.mark.parametrize("metadata", ["", 0, None, {}, '{"a": 1}', "not json", [1]])
def test_odd_metadata_does_not_matter(purchase: Purchase, metadata: object) -> None:
    deliver(charge_success(purchase, metadata=metadata))
    assert WebhookEvent.objects.get().outcome == "completed"


def test_half_an_emoji_in_a_name_does_not_cost_the_payment(purchase: Purchase) -> None:
    body = charge_success(purchase).replace(b"ama@example.com", b"\\ud83d")
    deliver(body)
    assert WebhookEvent.objects.get().outcome == "completed"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_body_in_another_encoding_does_not_cost_the_payment(purchase: Purchase, encoding: str) -> None:
    deliver(charge_success(purchase).decode().encode(encoding))
    assert WebhookEvent.objects.get().outcome == "completed"


def test_new_event_is_as_the_model_says() -> None:
    about = {"event": "charge.success", "reference": "r", "source_ip": "127.0.0.1"}
    event = WebhookEvent.of(b"{}", **about)
    said = WebhookEvent(body=b"{}", body_sha256=hashlib.sha256(b"{}").hexdigest(), **about)
    assert [getattr(event, field.attname) for field in event._meta.concrete_fields] == [
        getattr(said, field.attname) for field in said._meta.concrete_fields
    ]


def test_status_in_the_body_counts_not_the_events_name(purchase: Purchase) -> None:
    deliver(charge_success(purchase, status="abandoned"))
    purchase.refresh_from_db()
    assert purchase.status == "pending"


def test_other_mode_goes_to_review(purchase: Purchase, wallet: Wallet) -> None:
    deliver(charge_success(purchase, domain="live"))
    assert WebhookEvent.objects.get().outcome == "review"


def test_failure_in_processing_keeps_the_event_for_replay(purchase: Purchase, wallet: Wallet, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "record_and_settle", broken)
        patch.setattr(webhooks, "settle", broken)
        assert deliver(charge_success(purchase)).status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.status, event.error) == ("failed", "RuntimeError: broken")
    assert AIBillingService.replay_webhook(event).status == "processed"
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000


def test_failed_event_is_tried_again_by_the_task(purchase: Purchase, wallet: Wallet, monkeypatch) -> None:
    default_task_backend.clear()
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "record_and_settle", lambda *_: 1 / 0)
        patch.setattr(webhooks, "settle", lambda *_, **__: 1 / 0)
        deliver(charge_success(purchase))
    (retry,) = default_task_backend.results
    assert retry.task.run_after is not None
    assert webhooks.process_webhook_event.call(*retry.args) == "completed"


def test_failed_event_is_answered_200_whatever_becomes_of_the_queue(
    purchase: Purchase, wallet: Wallet, settings, monkeypatch, caplog
) -> None:
    settings.TASKS = {"default": {"BACKEND": "tests.queues.QueueIsAway"}}
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "record_and_settle", lambda *_: 1 / 0)
        patch.setattr(webhooks, "settle", lambda *_, **__: 1 / 0)
        assert deliver(charge_success(purchase)).status_code == 200
    assert WebhookEvent.objects.get().status == "failed"
    assert f"process_webhook_event could not be queued (reference {purchase.reference}" in caplog.text
    with time_machine.travel(timezone.now() + webhooks.LEFT_AFTER):
        assert webhooks.process_left() == 1
    wallet.refresh_from_db()
    assert wallet.balance == 100_000_000


def test_unrecorded_event_is_not_answered_200(purchase: Purchase, monkeypatch) -> None:
    def down(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(webhooks, "record_and_settle", down)
    monkeypatch.setattr(WebhookEvent, "save", down)
    answer = deliver(charge_success(purchase))
    assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")


def test_long_body_is_refused(db: None, settings) -> None:
    settings.AI_CREDITS = {"WEBHOOK_MAX_BYTES": 100}
    assert deliver(b" " * 101).status_code == 413
    assert deliver(b" " * 100).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_post_is_answered(db: None, method: str) -> None:
    answer = Client().generic(method, URL)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert method == "HEAD" or answer.json()["error"] == "method_not_allowed"


def test_address_without_the_slash_works_too(purchase: Purchase) -> None:
    body = charge_success(purchase)
    answer = Client().post(URL.rstrip("/"), body, content_type="application/json", HTTP_X_PAYSTACK_SIGNATURE=sign(body))
    assert answer.status_code == 200


def test_source_address_can_be_checked_behind_a_proxy(purchase: Purchase, settings) -> None:
    settings.AI_CREDITS = {"WEBHOOK_SOURCE_IPS": ["52.31.139.75"], "PROXY_COUNT": 1}
    assert deliver(charge_success(purchase), HTTP_X_FORWARDED_FOR="52.31.139.75, 10.0.0.1").status_code == 403
    assert deliver(charge_success(purchase), HTTP_X_FORWARDED_FOR="10.0.0.1, 52.31.139.75").status_code == 200
    assert WebhookEvent.objects.get().source_ip == "52.31.139.75"


def test_payment_in_a_wallet_with_spends_and_lots_keeps_the_order_of_use(purchase: Purchase, wallet: Wallet) -> None:
    AIBillingService.grant(wallet, 10, reason="never expires")
    AIBillingService.spend(wallet, 4)
    deliver(charge_success(purchase))
    assert WebhookEvent.objects.get().outcome == "completed"
    assert_laws(wallet)
    assert wallet.lots.get(source="granted").remaining == 6_000_000


def test_payment_of_a_wallet_in_debt_pays_it_first(purchase: Purchase, wallet: Wallet, api: APIClient) -> None:
    AIBillingService.grant(wallet, 1, reason="trial")
    AIBillingService.reserve(wallet, 1).capture(31)
    deliver(charge_success(purchase))
    assert_laws(wallet)
    assert (wallet.balance, wallet.debt) == (70_000_000, 0)
    answer = api.get("/ai/api/credits/verify/", {"reference": purchase.reference}).json()
    assert (answer["credits_added"], answer["new_balance"]) == (100, 70)
