"""What a page of ours may load: its own files, and nothing inline."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

# Browsers hold a form's redirects to form-action too, and the buy form ends on Paystack's checkout.
PAYSTACK = ("https://paystack.com", "https://*.paystack.com")


def policy(paystack_base_url: str) -> dict[str, Any]:
    """For `settings.CONTENT_SECURITY_POLICY`. A sandbox has its checkout where its API is."""
    api = urlsplit(paystack_base_url)
    checkouts = PAYSTACK if f"{api.hostname}".endswith(".paystack.co") else (*PAYSTACK, f"{api.scheme}://{api.netloc}")
    return {
        "DIRECTIVES": {
            "default-src": ["'none'"],
            "script-src": ["'self'"],
            "style-src": ["'self'"],
            "img-src": ["'self'", "data:"],
            "font-src": ["'self'"],
            "connect-src": ["'self'"],
            "form-action": ["'self'", *checkouts],
            "frame-ancestors": ["'none'"],
            "base-uri": ["'none'"],
        }
    }
