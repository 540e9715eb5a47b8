from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from ai_features.billing import settlement, tallies
from ai_features.models import Purchase, SettledBy, Wallet, WebhookEvent
from tests.paystack_facts import facts


def scrape(client: Client | None = None, **headers: Any) -> dict[str, float]:
    """Each figure by its name and labels."""
    answer = (client or Client()).get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {
        sample.name.removeprefix("ai_credits_") + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def another(purchase: Purchase, **changes: Any) -> Purchase:
    purchase.pk = None
    number = Purchase.objects.count()
    for name, value in ({"reference": f"AI-CREDIT-1700000001-{number:016}"} | changes).items():
        setattr(purchase, name, value)
    purchase.save(force_insert=True)
    return purchase


def settle(purchase: Purchase, by: SettledBy, seconds_after_paying: float) -> None:
    paid_at = timezone.now() - timedelta(seconds=seconds_after_paying)
    settlement.settle(purchase.reference, facts(purchase, paid_at=paid_at.isoformat()), settled_by=by)


def test_purchase_is_counted_when_it_starts_and_when_it_is_settled(purchase: Purchase) -> None:
    assert scrape()["purchases_started_total test"] == 1
    assert scrape()["purchases_settled_total webhook"] == 0
    settle(purchase, SettledBy.WEBHOOK, 3)
    settle(purchase, SettledBy.RETURN, 3)
    figures = scrape()
    assert (figures["purchases_settled_total webhook"], figures["purchases_settled_total return"]) == (1, 0)


def test_time_from_paid_to_credited_falls_into_its_buckets(purchase: Purchase) -> None:
    settle(purchase, SettledBy.RETURN, 3)
    settle(another(purchase, status="pending", completed_at=None), SettledBy.RECONCILE, 7200)
    figures = scrape()
    name = "paid_to_credited_seconds"
    limits = ("1.0", "2.0", "5.0", "3600.0", "86400.0", "+Inf")
    assert [figures[f"{name}_bucket {limit}"] for limit in limits] == [0, 0, 1, 1, 2, 2]
    assert figures[f"{name}_count"] == 2
    assert 7203 <= figures[f"{name}_sum"] < 7233


def test_paystacks_clock_ahead_of_ours_is_no_negative_time(purchase: Purchase) -> None:
    settle(purchase, SettledBy.WEBHOOK, -5)
    figures = scrape()
    assert (figures["paid_to_credited_seconds_sum"], figures["paid_to_credited_seconds_bucket 1.0"]) == (0, 1)


def test_counts_stay_exact_when_the_sums_move_on(purchase: Purchase, time_machine: Any) -> None:
    started = timezone.now()
    settle(purchase, SettledBy.WEBHOOK, 3)
    for minutes in (5, 15, 25, 40, 90):
        time_machine.move_to(started + timedelta(minutes=minutes))
        settle(another(purchase, status="pending", completed_at=None), SettledBy.WEBHOOK, 3)
        figures, settled = scrape(), Purchase.objects.count()
        assert figures["purchases_started_total test"] == settled
        assert figures["purchases_settled_total webhook"] == settled
        assert figures["paid_to_credited_seconds_count"] == settled
    assert tallies.noted("counted").as_of > started  # type: ignore[union-attr]


def test_two_that_move_the_sums_on_count_once(purchase: Purchase, time_machine: Any) -> None:
    now = timezone.now() + timedelta(hours=1)
    mark = tallies.noted("counted")
    assert mark is None
    time_machine.move_to(now)
    tallies._move_on(now)
    tallies._move_on(now)
    assert scrape()["purchases_started_total test"] == 1


def test_history_costs_nothing_at_the_next_scrape(
    purchase: Purchase, time_machine: Any, django_assert_max_num_queries: Any
) -> None:
    time_machine.move_to(timezone.now() + timedelta(hours=1))
    scrape()
    assert sum(tallies._counts_between(tallies.noted("counted").as_of, None).values()) == 0  # type: ignore[union-attr]
    with django_assert_max_num_queries(14):
        scrape()


def test_backlogs_have_a_size_and_an_age(purchase: Purchase, time_machine: Any) -> None:
    WebhookEvent.objects.create(body=b"{}", body_sha256="0" * 64, status="failed")
    WebhookEvent.objects.create(body=b"{}", body_sha256="0" * 64)
    time_machine.move_to(timezone.now() + timedelta(minutes=2))
    figures = scrape()
    for name in ("purchases_pending", "webhooks_failed", "webhooks_waiting"):
        assert figures[name] == 1
        assert 119 < figures[f"{name}_oldest_seconds"] < 140


def test_review_queue_is_counted(purchase: Purchase) -> None:
    settlement.settle(purchase.reference, facts(purchase, amount=1), settled_by=SettledBy.WEBHOOK)
    assert scrape()["review_open"] == 1
    assert scrape()["refunds_open"] == scrape()["disputes_open"] == 0


def test_last_audit_is_told_and_none_is_no_figure(wallet: Wallet, capsys: Any) -> None:
    assert "ledger_breaches" not in scrape()
    call_command("audit_ledger")
    assert scrape()["ledger_breaches"] == 0
    Wallet.objects.update(balance=5)
    with pytest.raises(Exception, match="breaks its laws"):
        call_command("audit_ledger")
    assert scrape()["ledger_breaches"] > 0


@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "192.0.2.1"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.1"},
        {"HTTP_FORWARDED": "for=192.0.2.1"},
        {"HTTP_AUTHORIZATION": "Bearer "},
        {"HTTP_AUTHORIZATION": "Bearer wrong"},
        {"REMOTE_ADDR": ""},
    ],
)
def test_strangers_see_nothing(db: None, headers: dict[str, str]) -> None:
    answer = Client().get("/metrics", **headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_this_machine_is_nobody_once_a_proxy_is_known(db: None, settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert Client().get("/metrics").status_code == 401
    settings.SECURE_PROXY_SSL_HEADER, settings.AI_CREDITS = None, {"PROXY_COUNT": 1}
    assert Client().get("/metrics").status_code == 401


def test_token_opens_it_from_anywhere(db: None, settings: Any) -> None:
    settings.AI_CREDITS = {"METRICS_TOKEN": "s3cret"}
    scrape(REMOTE_ADDR="192.0.2.1", HTTP_AUTHORIZATION="Bearer s3cret")
    for sent in ("Bearer wrong", "Bearer é", "Token s3cret"):
        assert Client().get("/metrics", HTTP_AUTHORIZATION=sent).status_code == 401


def test_staff_sees_it_and_a_buyer_does_not(admin_client: Client, browser: Client) -> None:
    scrape(admin_client, REMOTE_ADDR="192.0.2.1")
    assert browser.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 401


@pytest.fixture
def browser(buyer: Any) -> Client:
    client = Client()
    client.force_login(buyer)
    return client
