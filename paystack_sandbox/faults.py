"""Trouble on demand: which requests and deliveries go wrong, and how, repeatable by its seed.

The dice for webhooks depend on the delivery's id and attempt alone, so parallel deliveries don't change
each other's luck; the dice for API calls depend on the order of the calls of one operation.
"""

import math
import random
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

MAX_SECONDS = 3600.0
MAX_DOWN_SECONDS = 30 * 24 * 3600.0
MAX_COUNT = 1_000_000
WINDOW_MS = 60_000
# Facts 8.2.
EVENTS = frozenset(
    {
        "charge.success",
        *(f"charge.dispute.{end}" for end in ("create", "remind", "resolve")),
        *(f"refund.{end}" for end in ("pending", "processing", "processed", "failed", "needs-attention")),
        *(f"transfer.{end}" for end in ("success", "failed", "reversed")),
        "bank.transfer.rejected",
        *(f"subscription.{end}" for end in ("create", "disable", "not_renew", "expiring_cards")),
        *(f"invoice.{end}" for end in ("create", "update", "payment_failed")),
        *(f"paymentrequest.{end}" for end in ("pending", "success")),
        *(f"customeridentification.{end}" for end in ("success", "failed")),
        *(f"dedicatedaccount.assign.{end}" for end in ("success", "failed")),
    }
)
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}|:(\w+)")
_OPERATION = re.compile(r"(GET|POST|PUT|DELETE|PATCH) (/\S*)", re.IGNORECASE)


class InvalidFaults(ValueError):
    """The message names the key and what it may be."""


@dataclass(frozen=True, slots=True)
class WebhookFaults:
    drop: float = 0.0
    duplicate: float = 0.0
    delay_seconds: tuple[float, float] = (0.0, 0.0)
    reorder: bool = False
    corrupt_signature: float = 0.0
    old_key: float = 0.0
    """How often the signature is made with `old_secret_key`, as in the hour after a key was changed."""
    old_secret_key: str = "sk_test_old"  # noqa: S105 - nobody's key
    down_seconds: float = 0.0
    """How long from when the faults were set, by the sandbox's clock, nothing listens at the receiver's address."""
    times: int | None = None
    """Strike only at the first so many attempts of each delivery."""
    events: Mapping[str, "WebhookFaults"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiFaults:
    error_rate: float = 0.0
    status: int = 503
    latency_seconds: float | tuple[float, float] = 0.0
    timeout_rate: float = 0.0
    drop_before_commit: float = 0.0
    drop_after_commit: float = 0.0
    rate_limit_rate: float = 0.0
    requests_per_minute: int | None = None
    """A limit that is counted, for each key, and told in the headers of every answer."""
    html_rate: float = 0.0
    malformed_rate: float = 0.0
    truncated_rate: float = 0.0
    times: int | None = None
    """Strike only at the first so many calls after the faults were set."""
    operations: Mapping[str, "ApiFaults"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Faults:
    webhook: WebhookFaults = field(default_factory=WebhookFaults)
    api: ApiFaults = field(default_factory=ApiFaults)
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        """What `parse_faults` reads, nothing left out."""
        body = asdict(self)
        for one in body["webhook"]["events"].values():
            del one["events"]
        for one in body["api"]["operations"].values():
            del one["operations"]
        return body

    @property
    def are_off(self) -> bool:
        return self.webhook == WebhookFaults() and self.api == ApiFaults()


Part = TypeVar("Part", WebhookFaults, ApiFaults)
Reader = Callable[[Any, str], Any]


def parse_faults(body: Any, default_seed: int) -> Faults:
    """The faults a client asked for. What is left out is off; for one operation or event, as it is for all.

    Raises InvalidFaults.
    """
    _only_keys(body, "faults", ("webhook", "api", "seed"))
    seed = body.get("seed", default_seed)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InvalidFaults("seed must be an integer")
    webhook, events = _general(body.get("webhook", {}), "webhook", "events", WebhookFaults(), _WEBHOOK_READERS)
    api, operations = _general(body.get("api", {}), "api", "operations", ApiFaults(), _API_READERS)
    return Faults(
        replace(
            webhook, events={_event(name): _part(given, name, webhook, _WEBHOOK_READERS) for name, given in events}
        ),
        replace(
            api, operations={_operation(name): _part(given, name, api, _API_READERS) for name, given in operations}
        ),
        seed,
    )


def operation_name(method: str, path: str) -> str:
    """One spelling for `GET /x/{id}`, `get /x/:id` and the router's `GET /x/{id:path}`."""
    return f"{method.upper()} " + _PARAMETER.sub(lambda found: f"{{{found[1] or found[2]}}}", path)


def check_operations(faults: Faults, known: Collection[str]) -> None:
    """Raises InvalidFaults where an operation is named that the sandbox does not have."""
    for name in sorted(set(faults.api.operations) - set(known)):
        group = name.split("/")[1]
        near = [one for one in sorted(known) if one.split("/")[1] == group] or sorted(known)
        raise InvalidFaults(f"api.operations has no {name!r}; it may have {', '.join(near)}")


def _general(
    body: Any, name: str, special: str, base: Part, readers: Mapping[str, Reader]
) -> tuple[Part, list[tuple[str, Any]]]:
    """What holds for all, and the entries that hold for one."""
    _only_keys(body, name, (*readers, special))
    entries = body.get(special, {})
    if not isinstance(entries, Mapping):
        raise InvalidFaults(f"{name}.{special} must be an object")
    return _part({key: body[key] for key in body if key != special}, name, base, readers), list(entries.items())


def _part(body: Any, name: str, base: Part, readers: Mapping[str, Reader]) -> Part:
    _only_keys(body, name, tuple(readers))
    return replace(base, **{key: readers[key](value, f"{name}.{key}") for key, value in body.items()})


def _only_keys(value: Any, name: str, known: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping):
        raise InvalidFaults(f"{name} must be an object")
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise InvalidFaults(f"{name} has no {unknown[0]!r}; it may have {', '.join(known)}")


def _event(name: str) -> str:
    if name not in EVENTS:
        raise InvalidFaults(f"webhook.events has no {name!r}; it may have {', '.join(sorted(EVENTS))}")
    return name


def _operation(name: str) -> str:
    found = _OPERATION.fullmatch(name.strip())
    if found is None:
        raise InvalidFaults(f"api.operations names operations as 'POST /transaction/initialize', not {name!r}")
    return operation_name(found[1], found[2])


def _number(value: Any, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidFaults(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def _rate(value: Any, name: str) -> float:
    return _number(value, name, 0, 1)


def _range(value: Any, name: str) -> tuple[float, float]:
    pair = value if isinstance(value, list | tuple) else [value, value]
    if len(pair) != 2:
        raise InvalidFaults(f"{name} must be [least, most] seconds")
    low, high = (_number(end, name, 0, MAX_SECONDS) for end in pair)
    if low > high:
        raise InvalidFaults(f"{name} must be [least, most] seconds, the lesser first")
    return low, high


def _seconds(value: Any, name: str) -> float | tuple[float, float]:
    low, high = _range(value, name)
    return low if low == high else (low, high)


def _down(value: Any, name: str) -> float:
    return _number(value, name, 0, MAX_DOWN_SECONDS)


def _switch(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidFaults(f"{name} must be true or false")
    return value


def _status(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 599:
        raise InvalidFaults(f"{name} must be an HTTP status from 400 to 599")
    return value


def _count(value: Any, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise InvalidFaults(f"{name} must be a whole number from 1 to {MAX_COUNT}, or null")
    return value


def _key(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or not value.isascii():
        raise InvalidFaults(f"{name} must be a secret key, such as sk_test_old")
    return value


_WEBHOOK_READERS: Mapping[str, Reader] = {
    "drop": _rate,
    "duplicate": _rate,
    "delay_seconds": _range,
    "reorder": _switch,
    "corrupt_signature": _rate,
    "old_key": _rate,
    "old_secret_key": _key,
    "down_seconds": _down,
    "times": _count,
}
_API_READERS: Mapping[str, Reader] = {
    "error_rate": _rate,
    "status": _status,
    "latency_seconds": _seconds,
    "timeout_rate": _rate,
    "drop_before_commit": _rate,
    "drop_after_commit": _rate,
    "rate_limit_rate": _rate,
    "requests_per_minute": _count,
    "html_rate": _rate,
    "malformed_rate": _rate,
    "truncated_rate": _rate,
    "times": _count,
}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The three `x-ratelimit-…` headers (facts 1.5)."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-reset": str(self.reset_seconds),
        }


@dataclass(frozen=True, slots=True)
class ApiTrouble:
    """What befalls one API call. At most one of these ends it; latency comes before any."""

    latency_seconds: float = 0.0
    status: int | None = None
    never_answers: bool = False
    cut_before_commit: bool = False
    cut_after_commit: bool = False
    limited: bool = False
    rate_limit: RateLimit | None = None
    html_status: int | None = None
    malformed: bool = False
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class WebhookTrouble:
    """What befalls one attempt to deliver a webhook."""

    dropped: bool = False
    doubled: bool = False
    signature_corrupted: bool = False
    signing_key: str | None = None
    """The old key to sign with; None for the right one."""
    receiver_down: bool = False

    def describe(self) -> str | None:
        names = (
            ("receiver down", self.receiver_down),
            ("dropped", self.dropped),
            ("doubled", self.doubled),
            ("signature", self.signature_corrupted),
            ("old key", self.signing_key is not None),
        )
        return ", ".join(name for name, happened in names if happened) or None


NO_API_TROUBLE = ApiTrouble()
NO_WEBHOOK_TROUBLE = WebhookTrouble()
# Facts 1.5: a test key has 100 requests a minute.
_TEST_LIMIT_USED_UP = RateLimit(100, 0, 60)


class Dice:
    """Rolls the faults. One is made whenever the faults are set, at `since_ms` of the sandbox's clock."""

    def __init__(self, faults: Faults, since_ms: int = 0) -> None:
        self.faults = faults
        self.since_ms = since_ms
        self._api_is_calm = faults.api == ApiFaults()
        self._webhooks_are_calm = faults.webhook == WebhookFaults()
        self._streams: dict[str, random.Random] = {}
        self._calls: dict[str, int] = {}
        self._windows: dict[tuple[str, str], tuple[int, int]] = {}

    def _random(self, purpose: str) -> random.Random:
        return random.Random(f"{self.faults.seed}:{purpose}")  # noqa: S311

    def api_call(self, operation: str = "", caller: str = "", now_ms: int = 0) -> ApiTrouble:
        """Trouble for the next call of `operation`; `caller` is whose requests a rate limit counts."""
        if self._api_is_calm:
            return NO_API_TROUBLE
        scope = operation if operation in self.faults.api.operations else ""
        api = self.faults.api.operations.get(operation, self.faults.api)
        error, timeout, after, before, refused, html, malformed, truncated, wait = self._rolls(operation)
        rate_limit, limited = self._count_request(scope, caller, api.requests_per_minute, now_ms)
        if not self._is_struck(scope, api.times):
            return ApiTrouble(limited=limited, rate_limit=rate_limit)
        if refused < api.rate_limit_rate:
            limited, rate_limit = True, rate_limit or _TEST_LIMIT_USED_UP
        return ApiTrouble(
            latency_seconds=_between(api.latency_seconds, wait),
            status=api.status if error < api.error_rate else None,
            never_answers=timeout < api.timeout_rate,
            cut_before_commit=before < api.drop_before_commit,
            cut_after_commit=after < api.drop_after_commit,
            limited=limited,
            rate_limit=rate_limit,
            html_status=api.status if html < api.html_rate else None,
            malformed=malformed < api.malformed_rate,
            truncated=truncated < api.truncated_rate,
        )

    def _rolls(self, operation: str) -> list[float]:
        """Always as many, so that switching one fault on leaves the luck of the others as it was."""
        stream = self._streams.get(operation)
        if stream is None:
            stream = self._streams[operation] = self._random(f"api:{operation}")
        return [stream.random() for _ in range(9)]

    def _is_struck(self, scope: str, times: int | None) -> bool:
        calls = self._calls[scope] = self._calls.get(scope, 0) + 1
        return times is None or calls <= times

    def _count_request(self, scope: str, caller: str, limit: int | None, now_ms: int) -> tuple[RateLimit | None, bool]:
        """One more request in the caller's minute, and whether it was one too many."""
        if limit is None:
            return None, False
        began, used = self._windows.get((scope, caller), (now_ms, 0))
        if not 0 <= now_ms - began < WINDOW_MS:
            began, used = now_ms, 0
        self._windows[scope, caller] = (began, used + 1)
        reset_seconds = math.ceil((began + WINDOW_MS - now_ms) / 1000)
        return RateLimit(limit, max(0, limit - used - 1), reset_seconds), used >= limit

    def _webhook(self, event: str) -> WebhookFaults:
        return self.faults.webhook.events.get(event, self.faults.webhook)

    def reorders(self, event: str) -> bool:
        return self._webhook(event).reorder

    def webhook_delay_ms(self, webhook_id: int, event: str = "") -> int:
        low, high = self._webhook(event).delay_seconds
        return math.ceil(self._random(f"delay:{webhook_id}").uniform(low, high) * 1000)

    def webhook_attempt(self, webhook_id: int, attempt: int, event: str = "", now_ms: int = 0) -> WebhookTrouble:
        """Trouble for an attempt; the first one has the number 0."""
        if self._webhooks_are_calm:
            return NO_WEBHOOK_TROUBLE
        webhook = self._webhook(event)
        if webhook.times is not None and attempt >= webhook.times:
            return NO_WEBHOOK_TROUBLE
        dice = self._random(f"attempt:{webhook_id}:{attempt}")
        drop, double, corrupt, old = (dice.random() for _ in range(4))
        return WebhookTrouble(
            dropped=drop < webhook.drop,
            doubled=double < webhook.duplicate,
            signature_corrupted=corrupt < webhook.corrupt_signature,
            signing_key=webhook.old_secret_key if old < webhook.old_key else None,
            receiver_down=now_ms < self.since_ms + webhook.down_seconds * 1000,
        )


def _between(seconds: float | tuple[float, float], share: float) -> float:
    if isinstance(seconds, tuple):
        low, high = seconds
        return low + (high - low) * share
    return seconds
