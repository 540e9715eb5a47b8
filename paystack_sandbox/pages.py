"""HTML pages from templates: compiled once, everything escaped, no script but the sandbox's own files."""

from pathlib import Path
from typing import Any

import jinja2
from starlette.responses import Response

from paystack_sandbox.money import display

STATIC_FOLDER = Path(__file__).parent / "static"
_HEADERS = {
    # No form-action: Chromium applies it to redirects too, and a paid form ends at the merchant's address.
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    # Not no-referrer: with it browsers send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
    auto_reload=False,
)
_ENVIRONMENT.filters["money"] = display


def page(template: str, status: int = 200, **values: Any) -> Response:
    text = _ENVIRONMENT.get_template(template).render(**values)
    return Response(text, status, _HEADERS, "text/html; charset=utf-8")


def unframed(response: Response) -> Response:
    """Not to be shown inside another site's page, nor to send its forms elsewhere."""
    policy = response.headers.get("content-security-policy", _HEADERS["content-security-policy"])
    response.headers["content-security-policy"] = f"{policy}; frame-ancestors 'none'; form-action 'self'"
    return response
