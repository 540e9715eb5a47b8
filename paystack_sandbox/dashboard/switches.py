"""The dashboard's fault switches: each fault with its control, sets ready to use, the form they come back in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paystack_sandbox.bodies import parse_json_object
from paystack_sandbox.control import OPERATIONS
from paystack_sandbox.dashboard.visit import Form, Values, Visit
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.faults import EVENTS, Faults, InvalidFaults, check_operations, parse_faults


@dataclass(frozen=True, slots=True)
class Switch:
    """`kind` says how it is typed: rate (in percent), range, seconds, count, status, check or key."""

    key: str
    label: str
    kind: str = "rate"
    unit: str = "%"


SWITCHES: Mapping[str, tuple[Switch, ...]] = {
    "api": (
        Switch("error_rate", "Error instead of the work"),
        Switch("html_rate", "HTML page instead of JSON"),
        Switch("status", "Status of these", "status", ""),
        Switch("latency_seconds", "Latency", "range", "s"),
        Switch("timeout_rate", "No answer at all"),
        Switch("drop_before_commit", "Connection cut before the work"),
        Switch("drop_after_commit", "Connection cut after the work"),
        Switch("malformed_rate", "Malformed JSON"),
        Switch("truncated_rate", "Truncated JSON"),
        Switch("rate_limit_rate", "Rate limited (429)"),
        Switch("requests_per_minute", "Limit of requests", "count", "a minute"),
        Switch("times", "Only the first", "count", "calls"),
    ),
    "webhook": (
        Switch("drop", "Lost on the way"),
        Switch("duplicate", "Sent twice"),
        Switch("delay_seconds", "Delayed", "range", "s"),
        Switch("reorder", "Second arrives first", "check", ""),
        Switch("corrupt_signature", "Wrong signature"),
        Switch("old_key", "Signed with the old key"),
        Switch("old_secret_key", "The old key", "key", ""),
        Switch("down_seconds", "Receiver down for", "seconds", "s"),
        Switch("times", "Only the first", "count", "attempts"),
    ),
}
TITLES = {"api": "Paystack's API", "webhook": "Webhooks"}
# What one operation or event has of its own stands under this key.
SPECIAL = {"api": "operations", "webhook": "events"}
SCOPES = {"api": sorted(OPERATIONS), "webhook": sorted(EVENTS)}
PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "off": ("All off", {}),
    "network": (
        "Bad network",
        {"api": {"error_rate": 0.1, "latency_seconds": [0.2, 1.5], "timeout_rate": 0.03, "drop_after_commit": 0.05}},
    ),
    "webhooks": (
        "Unruly webhooks",
        {"webhook": {"drop": 0.2, "duplicate": 0.4, "delay_seconds": [0, 3], "reorder": True}},
    ),
    "down": ("Receiver down for 2 hours", {"webhook": {"down_seconds": 7200}}),
    "limit": ("100 requests a minute", {"api": {"requests_per_minute": 100}}),
}


def faults(visit: Visit) -> Values:
    body = visit.sandbox.dice.faults.as_json()
    return {
        "presets": {name: label for name, (label, _) in PRESETS.items()},
        "parts": [_part(visit, part, body[part]) for part in SWITCHES],
        "seed": body["seed"],
        "text": json.dumps(body, indent=2),
    }


def _part(visit: Visit, part: str, body: Mapping[str, Any]) -> Values:
    scope = visit.query.get(part, "")
    scope = scope if scope in SCOPES[part] else ""
    specials = body[SPECIAL[part]]
    values = specials.get(scope, body)
    usual = _usual(part)
    return {
        "name": part,
        "title": TITLES[part],
        "scope": scope,
        "scopes": SCOPES[part],
        "special": sorted(specials),
        "one": SPECIAL[part].removesuffix("s"),
        "switches": [
            (switch, _shown(switch, values), values[switch.key] != usual[switch.key]) for switch in SWITCHES[part]
        ],
    }


def _usual(part: str) -> dict[str, Any]:
    usual: dict[str, Any] = Faults().as_json()[part]
    return usual


def _shown(switch: Switch, values: Mapping[str, Any]) -> Any:
    value = values[switch.key]
    if switch.kind == "rate":
        return f"{value * 100:g}"
    if switch.kind == "range":
        low, high = value if isinstance(value, tuple | list) else (value, value)
        return f"{low:g}", f"{high:g}"
    if switch.kind in ("count", "seconds"):
        return "" if value is None else f"{value:g}"
    return value


def set_faults(visit: Visit, form: Form) -> None:
    """From a preset's button, the switches of one part, the seed, or the JSON beneath them. Raises InvalidFaults."""
    body = _asked_for(form, visit.sandbox.dice.faults.as_json())
    check_operations(parse_faults(body, 0), OPERATIONS)
    visit.sandbox.set_faults(body)


def _asked_for(form: Form, now: dict[str, Any]) -> dict[str, Any]:
    if form.get("preset") in PRESETS:
        return {**PRESETS[form["preset"]][1], "seed": now["seed"]}
    if "json" in form:
        try:
            return parse_json_object(str(form["json"]).encode())
        except PaystackError as error:
            raise InvalidFaults(error.message) from error
    if "seed" in form:
        return {**now, "seed": _whole(form["seed"], "The seed")}
    part, scope = str(form.get("part")), str(form.get("scope", ""))
    if part not in SWITCHES:
        raise InvalidFaults("The form names no faults.")
    return {**now, part: _changed(form, part, scope, now[part])}


def _changed(form: Form, part: str, scope: str, now: dict[str, Any]) -> dict[str, Any]:
    """The part's faults as they shall be: for all, or with one operation's or event's own."""
    specials = now[SPECIAL[part]]
    if "clear" in form:
        rest = {name: values for name, values in specials.items() if name != scope}
        return {**now, SPECIAL[part]: rest} if scope else {SPECIAL[part]: rest}
    values = {switch.key: _read(part, switch, form) for switch in SWITCHES[part]}
    return {**now, SPECIAL[part]: {**specials, scope: values}} if scope else {**values, SPECIAL[part]: specials}


def _read(part: str, switch: Switch, form: Form) -> Any:
    if switch.key not in form and switch.kind != "check":
        return _usual(part)[switch.key]
    text = str(form.get(switch.key, "")).strip()
    if switch.kind == "rate":
        return _percent(text, switch.label) / 100
    if switch.kind == "range":
        low = _number(text, switch.label)
        return [low, _number(str(form.get(f"{switch.key}.most", text)).strip() or text, switch.label)]
    if switch.kind == "count":
        return _whole(text, switch.label) if text else None
    if switch.kind == "check":
        return text == "on"
    if switch.kind == "key":
        return text
    return _whole(text, switch.label) if switch.kind == "status" else _number(text, switch.label)


def _percent(text: str, label: str) -> float:
    number = _number(text, label)
    if not 0 <= number <= 100:
        raise InvalidFaults(f"{label}: a percentage is from 0 to 100.")
    return number


def _number(text: str, label: str) -> float:
    try:
        return float(text or 0)
    except ValueError as error:
        raise InvalidFaults(f"{label} must be a number.") from error


def _whole(value: Any, label: str) -> int:
    text = str(value).strip()
    if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()) or len(text) > 18:
        raise InvalidFaults(f"{label} must be a whole number.")
    return int(text)
