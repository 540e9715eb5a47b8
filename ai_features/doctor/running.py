"""What should be going on: reconciliation, webhooks, expiry; and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone
from django_tasks import default_task_backend

from ai_features.billing.reconcile import checking, findings, passes
from ai_features.conf import ai_credits
from ai_features.doctor.lines import Line, ok, warn
from ai_features.models import EventStatus, Finding, Job, Purchase, PurchaseStatus, SettledBy, Wallet, WebhookEvent

PASS_EXPECTED_WITHIN = timedelta(minutes=15)
OVERDUE = timedelta(minutes=30)
A_DAY = timedelta(days=1)
A_WEEK = timedelta(days=7)


def examine() -> Iterator[Line]:
    now = timezone.now()
    yield _reconciliation(now)
    yield _worker(now)
    yield _backlog(now)
    yield _last_webhook(now)
    yield _failed_webhooks()
    yield _for_staff(now)
    yield _expiry(now)


def _reconciliation(now: datetime) -> Line:
    job = Job.objects.filter(name=passes.RECONCILE).first()
    todo = "Run manage.py db_worker, or manage.py reconcile_paystack from cron or with --every."
    if job is None or job.finished_at is None:
        return warn("reconciliation", "has never run", todo)
    found = f"last {_ago(now, job.finished_at)}: {job.outcome}"
    if now - job.finished_at > PASS_EXPECTED_WITHIN:
        return warn("reconciliation", found, todo)
    if job.outcome.startswith("stopped"):
        return warn("reconciliation", found, "If it stays so, see the lines about Paystack below.")
    return ok("reconciliation", found)


def _worker(now: datetime) -> Line:
    if not default_task_backend.supports_defer:
        todo = (
            "Use a database or queue backend (docs/SETTINGS.md), or run the commands of docs/OPERATIONS.md from cron."
        )
        return warn("task worker", "the task backend cannot defer work", todo)
    job = Job.objects.filter(name=passes.TASK).first()
    late = timedelta(seconds=3 * ai_credits().reconcile_every_seconds)
    if job is None:
        return warn(
            "task worker", "no sign of it yet; the first purchase gives it something to do", "Run manage.py db_worker."
        )
    if now - job.due_at > late:
        return warn("task worker", f"no sign of it since {_ago(now, job.due_at)}", "Run manage.py db_worker.")
    return ok("task worker", "alive")


def _backlog(now: datetime) -> Line:
    pending = Purchase.objects.filter(status=PurchaseStatus.PENDING).count()
    overdue = checking.due(now - OVERDUE)
    if overdue:
        return warn(
            "open purchases", f"{pending} pending, {overdue} should have been asked about", "See reconciliation."
        )
    return ok("open purchases", f"{pending} pending, none forgotten")


def _last_webhook(now: datetime) -> Line:
    newest = WebhookEvent.objects.order_by("-id").values_list("received_at", flat=True).first()
    todo = "Enter https://<your host>/ai/api/webhooks/paystack/ in the Paystack dashboard, for this mode."
    if newest is None:
        return warn("webhooks", "none was ever received", todo)
    settled = Purchase.objects.filter(completed_at__gte=now - A_WEEK).exclude(settled_by=SettledBy.STAFF)
    last_paid = settled.aggregate(last=Max("completed_at"))["last"]
    if last_paid is not None and last_paid - newest > A_DAY:
        return warn("webhooks", f"the last came {_ago(now, newest)}, the last payment {_ago(now, last_paid)}", todo)
    return ok("webhooks", f"the last came {_ago(now, newest)}")


def _failed_webhooks() -> Line:
    failed = WebhookEvent.objects.filter(status__in=[EventStatus.FAILED, EventStatus.RECEIVED]).count()
    if failed:
        return warn("webhook events", f"{failed} failed or unfinished", "Run manage.py replay_webhooks.")
    return ok("webhook events", "none is unfinished")


def _for_staff(now: datetime) -> Line:
    review = Purchase.objects.filter(status=PurchaseStatus.REVIEW).count()
    found = Finding.objects.filter(kind__in=findings.FOR_STAFF, found_at__gte=now - A_WEEK).count()
    if review or found:
        return warn("for staff", f"{review} in review, {found} findings of the last week", "Look at them in the admin.")
    return ok("for staff", "nothing waits")


def _expiry(now: datetime) -> Line:
    overdue = Wallet.objects.filter(next_expiry_at__lt=now - A_DAY).count()
    if overdue:
        return warn(
            "expiry", f"{overdue} wallets at rest hold expired credits", "Run manage.py expire_credits by the clock."
        )
    return ok("expiry", "no credits are past their time")


def _ago(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
