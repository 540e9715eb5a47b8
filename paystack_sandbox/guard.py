"""Who may use the routes that are not Paystack's: control, dashboard, checkout forms."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request

from paystack_sandbox.sandbox import Sandbox

REMOTE = "This serves the sandbox's own machine only; start with --allow-remote-control to open it."
FOREIGN = "This was sent from a page of another site."


def refusal(request: Request) -> str | None:
    """Why the request may not control the sandbox; None where it may."""
    if not may_control(request):
        return REMOTE
    return FOREIGN if is_foreign_form(request) else None


def is_local(request: Request) -> bool:
    """The client sits on this machine."""
    if request.client is None:
        return False
    address = _ip(request.client.host)
    return address is not None and address.is_loopback


def may_control(request: Request) -> bool:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox.allow_remote_control or (is_local(request) and _is_own_name(request))


def is_foreign_form(request: Request) -> bool:
    """A page of another site sends the form: browsers name it in `Origin`, other clients send none."""
    origin = request.headers.get("origin")
    if origin is None:
        return False
    sandbox: Sandbox = request.app.state.sandbox
    place = urlsplit(origin).netloc
    return not place or place not in (request.headers.get("host"), urlsplit(sandbox.public_url).netloc)


def _is_own_name(request: Request) -> bool:
    """The browser asked for this machine by a name nobody else can point here.

    A site that lets its own name resolve to 127.0.0.1 (DNS rebinding) is same-origin with what it gets, but still
    says its name in `Host`.
    """
    name = _hostname(request.headers.get("host", ""))
    sandbox: Sandbox = request.app.state.sandbox
    return (
        name in ("", "localhost", urlsplit(sandbox.public_url).hostname)
        or name.endswith(".localhost")
        or _ip(name) is not None
    )


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return host


@lru_cache(maxsize=256)
def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
