"""Each thing the doctor looks at, well and ill."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from ai_features.billing import AIBillingService
from ai_features.billing.reconcile import passes, run_pass
from ai_features.doctor import Line, examine
from ai_features.models import Finding, Job, Package, Purchase, Reconciliation, Wallet, WebhookEvent, triggers
from paystack_sandbox import PaystackSandbox

pytestmark = pytest.mark.django_db


def look(**options: object) -> dict[str, Line]:
    return {line.about: line for line in examine(**options)}


def level(about: str, **options: object) -> str:
    return str(look(**options)[about].level)


def test_installation_in_use_has_nothing_to_mend(sandbox: PaystackSandbox, buyer: User) -> None:
    AIBillingService.purchase_credits(buyer, "value")
    run_pass()
    WebhookEvent.of(b"{}").save()
    WebhookEvent.objects.update(status="processed")
    found = look()
    assert {line.about for line in found.values() if line.level == "fail"} == set()
    for about in ("settings", "migrations", "packages", "reconciliation", "key", "Paystack", "clock", "currency"):
        assert found[about].level == "ok", found[about]
    assert found["database"].found.startswith(("PostgreSQL 1", "SQLite 3"))


def test_every_line_that_is_not_ok_says_what_to_do(sandbox: PaystackSandbox) -> None:
    assert [line for line in examine() if (line.level == "ok") == bool(line.todo)] == []


@pytest.mark.parametrize(("key", "words"), [("", "is empty"), ("pk_test_x", "is not a secret key")])
def test_unusable_key_fails(settings, key: str, words: str) -> None:
    settings.PAYSTACK_SECRET_KEY = key
    line = look()["key"]
    assert (line.level, words in line.found) == ("fail", True)


def test_refused_key_fails(sandbox: PaystackSandbox, settings) -> None:
    settings.PAYSTACK_SECRET_KEY = "sk_test_other"
    assert look()["Paystack"].found == "refuses the key: Invalid key"


def test_test_key_is_not_ready_for_live(sandbox: PaystackSandbox) -> None:
    assert level("key", for_live=True) == "fail"


def test_paystack_out_of_reach_fails(db: None) -> None:
    assert level("Paystack") == "fail"


def test_wrong_clock_fails(sandbox: PaystackSandbox, monkeypatch) -> None:
    wrong = timezone.now() + timedelta(minutes=10)
    monkeypatch.setattr("ai_features.doctor.gateway.timezone.now", lambda: wrong)
    assert re.match(r"\+(599|60\d) s", look()["clock"].found)


def test_currency_that_the_account_lacks_is_named(sandbox: PaystackSandbox) -> None:
    Package.objects.filter(code="value").update(currency="USD")
    lines = [line for line in examine() if line.about == "currency"]
    assert [(line.level, line.found[:3]) for line in lines] == [("ok", "GHS"), ("warn", "USD")]


def test_missing_trigger_fails(sandbox: PaystackSandbox) -> None:
    with connection.cursor() as cursor:
        cursor.execute(triggers.drop_statements(connection.vendor)[0])
    assert level("triggers and functions") == "fail"


def test_nothing_for_sale_fails(sandbox: PaystackSandbox) -> None:
    Package.objects.update(is_active=False)
    assert level("packages") == "fail"


def test_reconciliation_at_rest_is_named(sandbox: PaystackSandbox) -> None:
    assert look()["reconciliation"].found == "has never run"
    run_pass()
    Job.objects.filter(name=passes.RECONCILE).update(finished_at=timezone.now() - timedelta(hours=5))
    assert look()["reconciliation"].found.startswith("last 5 h ago")


def test_worker_without_a_sign_of_life_is_named(sandbox: PaystackSandbox) -> None:
    Job.objects.create(name=passes.TASK, due_at=timezone.now() - timedelta(hours=5))
    assert look()["task worker"].found == "no sign of it since 5 h ago"


def test_forgotten_purchases_are_counted(purchase: Purchase, sandbox: PaystackSandbox) -> None:
    Purchase.objects.update(next_check_at=timezone.now() - timedelta(hours=1))
    assert look()["open purchases"].found == "1 pending, 1 should have been asked about"


def test_what_waits_for_staff_is_counted(purchase: Purchase, sandbox: PaystackSandbox) -> None:
    Purchase.objects.update(status="review")
    row = Reconciliation.objects.create(mode="test", window_from=timezone.now(), window_to=timezone.now())
    Finding.objects.create(reconciliation=row, kind="unknown", reference="x")
    assert look()["for staff"].found == "1 in review, 1 findings of the last week"


def test_unfinished_webhooks_are_counted(sandbox: PaystackSandbox) -> None:
    assert level("webhooks") == "warn"
    WebhookEvent.of(b"{}").save()
    found = look()
    assert (found["webhooks"].level, found["webhook events"].level) == ("ok", "warn")


def test_credits_past_their_time_are_counted(wallet: Wallet, sandbox: PaystackSandbox) -> None:
    Wallet.objects.update(next_expiry_at=timezone.now() - timedelta(days=2))
    assert level("expiry") == "warn"


def test_webhook_address_is_tested_from_outside(transactional_db: None, live_server, sandbox: PaystackSandbox) -> None:
    assert level("webhook address") == "not checked"
    assert level("webhook address", address=live_server.url) == "ok"
    assert level("webhook address", address=f"{live_server.url}/credits") == "fail"
    assert level("webhook address", address="http://127.0.0.1:9") == "fail"
    assert level("webhook address", address="nonsense") == "fail"


def test_certificate_that_cannot_be_seen_fails(db: None) -> None:
    assert level("certificate", address="https://127.0.0.1:9") == "fail"


def test_command_prints_lines_and_a_checklist_for_live(sandbox: PaystackSandbox, capsys) -> None:
    with pytest.raises(CommandError, match="Not ready to take money: 1 to mend"):
        call_command("paystack_doctor", live=True)
    printed = capsys.readouterr().out
    assert "ok           migrations: all applied" in printed
    assert "fail         key: a test key\n             → Set the sk_live_ key" in printed
    assert "The try-out with real money, GHS 1.00" in printed


def test_json_is_for_programs(sandbox: PaystackSandbox, capsys) -> None:
    call_command("paystack_doctor", json=True)
    assert {line["about"] for line in json.loads(capsys.readouterr().out)} >= {"key", "Paystack", "database"}


def test_no_line_shows_the_key(sandbox: PaystackSandbox, settings) -> None:
    settings.PAYSTACK_PREVIOUS_SECRET_KEYS = ["sk_test_previous"]
    told = repr(list(examine()))
    assert sandbox.secret_key not in told
    assert "sk_test_previous" not in told
