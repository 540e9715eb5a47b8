"""Rate limits per user, or per address for those who are not logged in; the rates are in the settings."""

from __future__ import annotations

import hashlib
import ipaddress
from functools import lru_cache

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from ai_features.conf import ai_credits


class RateLimit(SimpleRateThrottle):
    """Counts the view's `throttle_scope` against the rate of that name in `AI_CREDITS["THROTTLE_RATES"]`."""

    def __init__(self) -> None:
        """The rate is known only with the view."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        self.scope = getattr(view, "throttle_scope", None)
        return self.scope is None or self.allow(request, self.scope, view)

    def allow(self, request: Request | HttpRequest, scope: str, view: APIView | None = None) -> bool:
        self.scope = scope
        self.rate = ai_credits().throttle_rates[scope]
        self.num_requests, self.duration = self.parse_rate(self.rate)
        return super().allow_request(request, view)  # type: ignore[arg-type]

    def get_cache_key(self, request: Request | HttpRequest, view: APIView | None) -> str:
        user = getattr(request, "user", None)
        ident = f"user-{user.pk}" if user is not None and user.is_authenticated else f"ip-{network_of(request)}"
        return self.cache_format % {"scope": self.scope, "ident": ident}


def allow(request: HttpRequest, scope: str) -> bool:
    """For views outside REST framework: count one request and say whether it may go on."""
    return RateLimit().allow(request, scope)


class FailedLogins(SimpleRateThrottle):
    """Wrong passwords for one name from one address, against the rate `login`.

    Both together, so that guessing is slow and a stranger elsewhere locks nobody out. Each guess takes one of so many
    places, which is one step in the cache: guesses at the same moment cannot take the same one.
    """

    scope = "login"

    def __init__(self, request: Request | HttpRequest, username: str) -> None:
        self.rate = ai_credits().throttle_rates[self.scope]
        self.num_requests, self.duration = self.parse_rate(self.rate)
        # Names come in any length and script, and are nobody's business in a cache.
        name = hashlib.sha256(username.strip().casefold().encode()).hexdigest()
        key = self.cache_format % {"scope": self.scope, "ident": f"{network_of(request)}-{name}"}
        self._places = [f"{key}-{number}" for number in range(self.num_requests or 0)]
        self._taken = ""
        self.was_wrong = False

    def take(self) -> bool:
        """Before the password is looked at. False: this one has to wait."""
        now = self.timer()
        self._taken = next((place for place in self._places if self.cache.add(place, now, self.duration)), "")
        return bool(self._taken)

    def give_back(self) -> None:
        """The password was right."""
        self.cache.delete(self._taken)

    @property
    def wait_seconds(self) -> int:
        """Until a place is free."""
        oldest = min(self.cache.get_many(self._places).values(), default=0.0)
        return max(1, int(oldest + (self.duration or 0) - self.timer()))


def network_of(request: Request | HttpRequest) -> str:
    """Whose limit counts: an IPv4 address, or an IPv6 network of 64 bits, of which one subscriber has a whole one."""
    address = client_ip(request)
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def client_ip(request: Request | HttpRequest) -> str:
    """Who is asking. X-Forwarded-For counts only as far as our own proxies wrote it (`PROXY_COUNT`).

    An IPv4 address is one also where the server listens on IPv6 and sees `::ffff:192.0.2.1`.
    """
    hops = ai_credits().proxy_count
    forwarded = [address.strip() for address in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    address = forwarded[-hops] if 0 < hops <= len(forwarded) else str(request.META.get("REMOTE_ADDR", ""))
    return _without_mapping(address)


@lru_cache(maxsize=1024)
def _without_mapping(address: str) -> str:
    try:
        mapped = getattr(ipaddress.ip_address(address), "ipv4_mapped", None)
    except ValueError:
        return address
    return address if mapped is None else str(mapped)
