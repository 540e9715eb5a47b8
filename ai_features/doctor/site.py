"""This site as Paystack meets it: the webhook address refuses a bad signature, and the certificate will last."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from ai_features.doctor.lines import Line, fail, not_checked, ok, warn

TIMEOUT_SECONDS = 10
CERTIFICATE_DAYS_MIN = 14


def examine(address: str) -> Iterator[Line]:
    try:
        path = reverse("ai_features:webhook")
    except NoReverseMatch:
        yield fail(
            "webhook address",
            "ai_features.urls is not in your urls.py",
            'Add path("ai/", include("ai_features.urls")).',
        )
        return
    if not address:
        todo = "Give --site https://<your host>, as buyers see it."
        yield not_checked("webhook address", f"{path} exists; whether it can be reached is not known", todo)
        return
    yield _webhook(address.rstrip("/") + path)
    if address.startswith("https://"):
        yield _certificate(address)


def _webhook(url: str) -> Line:
    """A delivery that nobody signed must be refused, by this app and not by something in front of it."""
    try:
        answer = httpx2.post(
            url, content=b"{}", headers={"x-paystack-signature": "0" * 128}, timeout=TIMEOUT_SECONDS, trust_env=False
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return fail(
            "webhook address", f"{url}: {type(error).__name__}", "See that it can be reached from the internet."
        )
    if answer.status_code == 400 and b"invalid_signature" in answer.content:
        return ok("webhook address", f"{url} refuses what Paystack has not signed")
    if answer.is_redirect:
        return fail("webhook address", f"{url} redirects", "Paystack may not follow: enter the address it leads to.")
    found = f"{url} answered {answer.status_code} where 400 was expected"
    return fail("webhook address", found, "Look for a proxy, a firewall or a log-in page in front of it.")


def _certificate(address: str) -> Line:
    parts = urlsplit(address)
    try:
        raw = socket.create_connection((parts.hostname or "", parts.port or 443), TIMEOUT_SECONDS)
        with raw, ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname) as session:
            until = str((session.getpeercert() or {}).get("notAfter", ""))
        expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
    except (OSError, ValueError) as error:
        return fail(
            "certificate", f"{parts.hostname}: {error}", "Mend it: Paystack sends webhooks to trusted sites only."
        )
    days = (expires - timezone.now()).days
    if days < CERTIFICATE_DAYS_MIN:
        return warn("certificate", f"expires in {days} days", "Renew it.")
    return ok("certificate", f"good for {days} days")
