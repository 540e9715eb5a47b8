"""Where the payer goes after the checkout."""

import json
from urllib.parse import urlencode, urlsplit, urlunsplit

from paystack_sandbox.settings import Settings
from paystack_sandbox.state import Transaction

# Anything else may be an app's own scheme (`myapp://paid`); these run or open things in the browser itself.
_UNSAFE_SCHEMES = frozenset({"", "javascript", "data", "vbscript", "file", "blob", "about"})


def callback_url(row: Transaction, settings: Settings) -> str | None:
    """The merchant's callback with `trxref` and `reference` appended; None where there is none."""
    return _with_reference(_usable(row.callback_url or settings.callback_url), row.reference)


def cancel_url(row: Transaction, settings: Settings) -> str | None:
    """`metadata.cancel_action`; without it no redirect is documented."""
    metadata = json.loads(row.metadata)
    action = metadata.get("cancel_action") if isinstance(metadata, dict) else None
    url = _usable(action if isinstance(action, str) else None)
    return _with_reference(url, row.reference) if settings.cancel_action_gets_reference else url


def _usable(url: str | None) -> str | None:
    if not url:
        return None
    try:
        scheme = urlsplit(url).scheme.lower()
    except ValueError:
        # Such as a bracket that is never closed; no browser could follow it either.
        return None
    return None if scheme in _UNSAFE_SCHEMES else url


def _with_reference(url: str | None, reference: str) -> str | None:
    if url is None:
        return None
    scheme, host, path, query, fragment = urlsplit(url)
    added = urlencode({"trxref": reference, "reference": reference})
    return urlunsplit((scheme, host, path, f"{query}&{added}" if query else added, fragment))
