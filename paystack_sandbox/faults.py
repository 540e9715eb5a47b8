"""Trouble on demand: which requests and deliveries go wrong, and how, repeatable by its seed.

The dice for webhooks depend on the delivery's id and attempt alone, so parallel deliveries don't change
each other's luck; the dice for API calls depend on the order of the calls.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

MAX_SECONDS = 3600.0


class InvalidFaults(ValueError):
    """The message names the key and what it may be."""


@dataclass(frozen=True, slots=True)
class WebhookFaults:
    drop: float = 0.0
    duplicate: float = 0.0
    delay_seconds: tuple[float, float] = (0.0, 0.0)
    reorder: bool = False
    corrupt_signature: float = 0.0


@dataclass(frozen=True, slots=True)
class ApiFaults:
    error_rate: float = 0.0
    status: int = 503
    latency_seconds: float = 0.0
    timeout_rate: float = 0.0
    drop_after_commit: float = 0.0


@dataclass(frozen=True, slots=True)
class Faults:
    webhook: WebhookFaults = field(default_factory=WebhookFaults)
    api: ApiFaults = field(default_factory=ApiFaults)
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def are_off(self) -> bool:
        return self.webhook == WebhookFaults() and self.api == ApiFaults()


def parse_faults(body: Any, default_seed: int) -> Faults:
    """The faults a client asked for; what it left out is off. Raises InvalidFaults."""
    _only_keys(body, "faults", ("webhook", "api", "seed"))
    webhook = body.get("webhook", {})
    api = body.get("api", {})
    _only_keys(webhook, "webhook", tuple(known.name for known in fields(WebhookFaults)))
    _only_keys(api, "api", tuple(known.name for known in fields(ApiFaults)))
    seed = body.get("seed", default_seed)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InvalidFaults("seed must be an integer")
    return Faults(
        WebhookFaults(
            drop=_rate(webhook, "webhook.drop"),
            duplicate=_rate(webhook, "webhook.duplicate"),
            delay_seconds=_range(webhook, "webhook.delay_seconds"),
            reorder=_switch(webhook, "webhook.reorder"),
            corrupt_signature=_rate(webhook, "webhook.corrupt_signature"),
        ),
        ApiFaults(
            error_rate=_rate(api, "api.error_rate"),
            status=_status(api, "api.status"),
            latency_seconds=_seconds(api.get("latency_seconds", 0.0), "api.latency_seconds"),
            timeout_rate=_rate(api, "api.timeout_rate"),
            drop_after_commit=_rate(api, "api.drop_after_commit"),
        ),
        seed,
    )


def _only_keys(value: Any, name: str, known: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping):
        raise InvalidFaults(f"{name} must be an object")
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise InvalidFaults(f"{name} has no {unknown[0]!r}; it may have {', '.join(known)}")


def _number(value: Any, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidFaults(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def _rate(values: Mapping[str, Any], name: str) -> float:
    return _number(values.get(name.partition(".")[2], 0.0), name, 0, 1)


def _seconds(value: Any, name: str) -> float:
    return _number(value, name, 0, MAX_SECONDS)


def _range(values: Mapping[str, Any], name: str) -> tuple[float, float]:
    value = values.get(name.partition(".")[2], 0.0)
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2:
        raise InvalidFaults(f"{name} must be [least, most] seconds")
    low, high = (_seconds(end, name) for end in pair)
    if low > high:
        raise InvalidFaults(f"{name} must be [least, most] seconds, the lesser first")
    return low, high


def _switch(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name.partition(".")[2], False)
    if not isinstance(value, bool):
        raise InvalidFaults(f"{name} must be true or false")
    return value


def _status(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name.partition(".")[2], 503)
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 599:
        raise InvalidFaults(f"{name} must be an HTTP status from 400 to 599")
    return value


@dataclass(frozen=True, slots=True)
class ApiTrouble:
    """What befalls one API call."""

    latency_seconds: float = 0.0
    status: int | None = None
    never_answers: bool = False
    cut_after_commit: bool = False


@dataclass(frozen=True, slots=True)
class WebhookTrouble:
    """What befalls one attempt to deliver a webhook."""

    dropped: bool = False
    doubled: bool = False
    signature_corrupted: bool = False

    def describe(self) -> str | None:
        names = (("dropped", self.dropped), ("doubled", self.doubled), ("signature", self.signature_corrupted))
        return ", ".join(name for name, happened in names if happened) or None


NO_API_TROUBLE = ApiTrouble()
NO_WEBHOOK_TROUBLE = WebhookTrouble()


class Dice:
    """Rolls the faults. One is made whenever the faults are set."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._calls = self._random("api")

    def _random(self, purpose: str) -> random.Random:
        return random.Random(f"{self.faults.seed}:{purpose}")  # noqa: S311

    def api_call(self) -> ApiTrouble:
        api = self.faults.api
        if api == ApiFaults():
            return NO_API_TROUBLE
        # Always three rolls, so that switching one fault on leaves the luck of the others as it was.
        error, timeout, drop = (self._calls.random() for _ in range(3))
        return ApiTrouble(
            latency_seconds=api.latency_seconds,
            status=api.status if error < api.error_rate else None,
            never_answers=timeout < api.timeout_rate,
            cut_after_commit=drop < api.drop_after_commit,
        )

    def webhook_delay_ms(self, webhook_id: int) -> int:
        low, high = self.faults.webhook.delay_seconds
        return math.ceil(self._random(f"delay:{webhook_id}").uniform(low, high) * 1000)

    def webhook_attempt(self, webhook_id: int, attempt: int) -> WebhookTrouble:
        webhook = self.faults.webhook
        if webhook == WebhookFaults():
            return NO_WEBHOOK_TROUBLE
        dice = self._random(f"attempt:{webhook_id}:{attempt}")
        drop, double, corrupt = (dice.random() for _ in range(3))
        return WebhookTrouble(drop < webhook.drop, double < webhook.duplicate, corrupt < webhook.corrupt_signature)
