"""Who may use the routes that are not Paystack's: control, dashboard, checkout forms."""

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from paystack_sandbox.sandbox import Sandbox


def is_local(request: Request) -> bool:
    """The client sits on this machine."""
    if request.client is None:
        return False
    try:
        address = ipaddress.ip_address(request.client.host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def may_control(request: Request) -> bool:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox.allow_remote_control or is_local(request)


def is_foreign_form(request: Request) -> bool:
    """A page of another site sends the form: browsers name it in `Origin`, other clients send none."""
    origin = request.headers.get("origin")
    if origin is None:
        return False
    sandbox: Sandbox = request.app.state.sandbox
    own = {request.headers.get("host", ""), urlsplit(sandbox.public_url).netloc}
    return urlsplit(origin).netloc not in own
