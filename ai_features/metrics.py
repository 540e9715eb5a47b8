"""`/metrics` for Prometheus: what the database says of payments now, the same from whichever process answers.

Open to staff who are logged in, to the bearer of `METRICS_TOKEN`, and on this machine itself where no proxy is known
of: behind one, everybody would seem to be here.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from ai_features.billing import tallies
from ai_features.billing.tallies import Key
from ai_features.conf import ai_credits
from ai_features.errors import DATABASE_DOWN, database_unavailable
from ai_features.models import (
    OPEN_REFUNDS,
    Dispute,
    DisputeStatus,
    EventStatus,
    Job,
    Purchase,
    PurchaseStatus,
    Refund,
    ReviewItem,
    ReviewStatus,
    SettledBy,
    WebhookEvent,
)
from ai_features.models.purchases import Mode
from ai_features.rendering import json_response

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    try:
        if not _may_see(request):
            return _refused()
        registry = CollectorRegistry()
        registry.register(Payments())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except DATABASE_DOWN:
        return database_unavailable()


_FOR_STAFF: tuple[tuple[QuerySet[Any], str, str, str], ...] = (
    (ReviewItem.objects.filter(status=ReviewStatus.OPEN), "opened_at", "review_open", "Payments to review"),
    (Refund.objects.filter(status__in=OPEN_REFUNDS), "asked_at", "refunds_open", "Refunds on their way"),
    (Dispute.objects.filter(status=DisputeStatus.OPEN), "opened_at", "disputes_open", "Disputes not resolved"),
)


class Payments(Collector):
    """Asked anew at each scrape; nothing here costs more with a longer history."""

    def collect(self) -> Iterator[Metric]:
        counts = tallies.totals()
        now = timezone.now()
        yield _counter(
            "purchases_started", "Purchases started", "mode", {m: counts[Key(tallies.STARTED, m)] for m in Mode}
        )
        by = {str(how): counts[Key(tallies.SETTLED, how)] for how in SettledBy}
        yield _counter("purchases_settled", "Purchases settled, by whose confirmation came first", "by", by)
        yield _paid_to_credited(counts)
        pending = Purchase.objects.filter(status=PurchaseStatus.PENDING)
        yield from _backlog(pending, "created_at", "purchases_pending", "Purchases not decided yet", now)
        for rows, moment, name, words in _FOR_STAFF:
            yield from _backlog(rows, moment, name, words, now)
        failed = WebhookEvent.objects.filter(status=EventStatus.FAILED)
        yield from _backlog(failed, "received_at", "webhooks_failed", "Webhook events that could not be processed", now)
        waiting = WebhookEvent.objects.filter(status=EventStatus.RECEIVED)
        yield from _backlog(waiting, "received_at", "webhooks_waiting", "Webhook events not processed yet", now)
        yield from _last_runs()


def _paid_to_credited(counts: dict[Key, int]) -> Metric:
    within = [(str(float(s)), float(counts.get(Key(tallies.TOOK_WITHIN, str(s)), 0))) for s in tallies.BUCKETS_SECONDS]
    total = float(counts.get(Key(tallies.TIMED), 0))
    return HistogramMetricFamily(
        "ai_credits_paid_to_credited_seconds",
        "From Paystack's moment of payment to the credits in the wallet",
        buckets=[*within, ("+Inf", total)],
        sum_value=counts.get(Key(tallies.TOOK_MS), 0) / 1000,
    )


def _backlog(rows: QuerySet[Any], moment: str, name: str, words: str, now: datetime) -> Iterator[Metric]:
    """How many, and how long the oldest has been so."""
    found = rows.aggregate(count=Count("pk"), oldest=Min(moment))
    yield _gauge(name, words, found["count"])
    age = (now - found["oldest"]).total_seconds() if found["oldest"] else 0
    yield _gauge(f"{name}_oldest_seconds", f"{words}: age of the oldest", max(0, age))


def _last_runs() -> Iterator[Metric]:
    """Left out where it never ran: no figure is not a figure of 0."""
    audit = tallies.noted(tallies.AUDIT_BREACHES)
    if audit is not None:
        yield _gauge("ledger_breaches", "Places where the ledger broke its laws at the last audit", audit.value)
        yield _gauge("audit_finished_timestamp_seconds", "When the last audit ended", audit.as_of.timestamp())
    finished_at = Job.objects.filter(name="reconcile").values_list("finished_at", flat=True).first()
    if finished_at is not None:
        yield _gauge("reconcile_finished_timestamp_seconds", "When reconciliation last ended", finished_at.timestamp())


def _counter(name: str, words: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"ai_credits_{name}", words, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ai_credits_{name}", words, value=value)


def _may_see(request: HttpRequest) -> bool:
    token = ai_credits().metrics_token
    sent = request.headers.get("Authorization", "")
    if sent:
        return bool(token) and hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())
    return _is_here(request) or (request.user.is_active and getattr(request.user, "is_staff", False))


def _is_here(request: HttpRequest) -> bool:
    knows_a_proxy = ai_credits().proxy_count > 0 or settings.SECURE_PROXY_SSL_HEADER is not None
    if knows_a_proxy or any(header in request.META for header in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _refused() -> HttpResponse:
    message = "Send METRICS_TOKEN as `Authorization: Bearer <token>`, or log in as staff."
    response = json_response({"error": "not_authenticated", "message": message}, status=HTTPStatus.UNAUTHORIZED)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response
