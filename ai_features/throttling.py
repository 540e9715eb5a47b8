"""Rate limits per user, or per address for those who are not logged in; the rates are in the settings."""

from __future__ import annotations

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
        ident = f"user-{user.pk}" if user is not None and user.is_authenticated else f"ip-{client_ip(request)}"
        return self.cache_format % {"scope": self.scope, "ident": ident}


def allow(request: HttpRequest, scope: str) -> bool:
    """For views outside REST framework: count one request and say whether it may go on."""
    return RateLimit().allow(request, scope)


def client_ip(request: Request | HttpRequest) -> str:
    """Who is asking. X-Forwarded-For counts only as far as our own proxies wrote it (`PROXY_COUNT`)."""
    hops = ai_credits().proxy_count
    forwarded = [address.strip() for address in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    return forwarded[-hops] if 0 < hops <= len(forwarded) else str(request.META.get("REMOTE_ADDR", ""))
