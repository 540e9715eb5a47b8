"""What every page says to browsers about what it may do."""

import re
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client

from app import csp

PAGES = ("/credits/", "/payment/callback", "/accounts/login/", "/admin/login/", "/ai/api/docs/", "/nowhere/")


def directives(page: Any) -> dict[str, list[str]]:
    policy = page.headers["Content-Security-Policy"]
    return {name: sources for name, *sources in (part.split() for part in policy.split(";"))}


@pytest.mark.parametrize("path", PAGES)
def test_nothing_inline_and_nothing_from_elsewhere_runs(db: None, path: str) -> None:
    allowed = directives(Client().get(path))
    assert allowed["default-src"] == ["'none'"]
    assert allowed["script-src"] == allowed["style-src"] == ["'self'"]
    assert allowed["base-uri"] == allowed["frame-ancestors"] == ["'none'"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_keep_what_the_policy_says(db: None, path: str) -> None:
    page = Client().get(path).content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>|javascript:", page)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


@pytest.mark.parametrize("path", PAGES)
def test_other_headers_close_what_no_page_needs(db: None, path: str) -> None:
    headers = Client().get(path).headers
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=(), " in headers["Permissions-Policy"]


def test_form_may_lead_to_paystack_and_to_the_sandbox_in_use() -> None:
    live, local = (csp.policy(url)["DIRECTIVES"] for url in ("https://api.paystack.co", "http://127.0.0.1:8010"))
    assert live["form-action"] == ["'self'", "https://paystack.com", "https://*.paystack.com"]
    assert local["form-action"] == [*live["form-action"], "http://127.0.0.1:8010"]
    assert csp.policy(project.PAYSTACK_BASE_URL) == project.CONTENT_SECURITY_POLICY
