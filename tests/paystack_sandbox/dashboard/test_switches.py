"""Every fault can be set and cleared from the page."""

import json
import re
from dataclasses import fields
from html import unescape

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.dashboard.switches import PRESETS, SWITCHES
from paystack_sandbox.faults import ApiFaults, WebhookFaults
from tests.paystack_sandbox.dashboard.conftest import Press

EVERYTHING = {
    "webhook": {
        "drop": 0.1, "duplicate": 0.25, "delay_seconds": [1, 2.5], "reorder": True, "corrupt_signature": 0.005,
        "old_key": 1, "old_secret_key": "sk_test_before", "down_seconds": 7200, "times": 3,
        "events": {"charge.success": {"drop": 1}},
    },
    "api": {
        "error_rate": 0.1, "status": 500, "latency_seconds": [0.2, 1.5], "timeout_rate": 0.03,
        "drop_before_commit": 0.04, "drop_after_commit": 0.05, "rate_limit_rate": 0.06, "requests_per_minute": 100,
        "html_rate": 0.07, "malformed_rate": 0.08, "truncated_rate": 0.09, "times": 7,
        "operations": {"GET /transaction/verify/{reference}": {"latency_seconds": 2}},
    },
    "seed": 7,
}  # fmt: skip


def form_of(text: str, part: str) -> dict[str, str]:
    """What a browser would send if the reader pressed the part's Set."""
    form = text.partition(f'<input type="hidden" name="part" value="{part}">')[2].partition("</form>")[0]
    sent = {"part": part}
    for field in re.findall(r"<input [^>]+>", form):
        found = dict(re.findall(r'(\w+)="([^"]*)"', field))
        if found.get("type") != "checkbox" or " checked" in field:
            sent[unescape(found["name"])] = unescape(found.get("value", "on"))
    return sent


def faults(payer: httpx2.Client) -> dict:
    found: dict = payer.get("/_sandbox/faults").json()
    return found


def test_every_fault_has_its_switch() -> None:
    for part, kind, special in (("api", ApiFaults, "operations"), ("webhook", WebhookFaults, "events")):
        assert {switch.key for switch in SWITCHES[part]} == {field.name for field in fields(kind)} - {special}


def test_form_as_shown_changes_nothing(press: Press, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.set_faults(EVERYTHING)
    before = faults(payer)
    scopes = "api=GET+/transaction/verify/{reference}&webhook=charge.success"
    for path in ("/dashboard/faults", f"/dashboard/faults?{scopes}"):
        for part in SWITCHES:
            assert press(path, **form_of(payer.get(path).text, part)).status_code == 303
            assert faults(payer) == before


def test_switches_of_one_part_leave_the_other(press: Press, payer: httpx2.Client) -> None:
    press("/dashboard/faults", part="webhook", drop="20", reorder="on", status="503")
    press("/dashboard/faults", part="api", error_rate="12.5", status="502", latency_seconds="1")
    now = faults(payer)
    assert (now["webhook"]["drop"], now["webhook"]["reorder"]) == (0.2, True)
    assert (now["api"]["error_rate"], now["api"]["status"], now["api"]["latency_seconds"]) == (0.125, 502, 1)
    assert "faults on" in payer.get("/").text


def test_one_operation_has_faults_of_its_own_until_they_are_cleared(press: Press, payer: httpx2.Client) -> None:
    operation = "GET /transaction/verify/{reference}"
    press("/dashboard/faults", part="api", scope=operation, drop_after_commit="100", status="503", times="2")
    assert faults(payer)["api"]["operations"][operation]["drop_after_commit"] == 1
    assert faults(payer)["api"]["drop_after_commit"] == 0
    press("/dashboard/faults", part="api", scope=operation, clear="1")
    assert faults(payer)["api"]["operations"] == {}


@pytest.mark.parametrize("part", ["api", "webhook"])
def test_clear_ends_one_part(press: Press, payer: httpx2.Client, paystack_sandbox: PaystackSandbox, part: str) -> None:
    paystack_sandbox.set_faults(EVERYTHING)
    before = faults(payer)
    press("/dashboard/faults", part=part, clear="1")
    now = faults(payer)
    other = {"api": "webhook", "webhook": "api"}[part]
    assert now[other] == before[other]
    assert [switch.key for switch in SWITCHES[part] if now[part][switch.key] == before[part][switch.key]] == []


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets_replace_what_was(
    press: Press, payer: httpx2.Client, paystack_sandbox: PaystackSandbox, preset: str
) -> None:
    paystack_sandbox.set_faults({"api": {"html_rate": 1}, "seed": 7})
    press("/dashboard/faults", preset=preset)
    assert (faults(payer)["api"]["html_rate"], faults(payer)["seed"]) == (0, 7)
    assert ("faults on" in payer.get("/").text) == (preset != "off")


def test_seed_and_json(press: Press, payer: httpx2.Client) -> None:
    press("/dashboard/faults", json=json.dumps(EVERYTHING))
    press("/dashboard/faults", seed="8")
    assert (faults(payer)["seed"], faults(payer)["api"]["times"]) == (8, 7)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"part": "kitchen"},
        {"part": "api", "error_rate": "101", "status": "503"},
        {"part": "api", "error_rate": "-1", "status": "503"},
        {"part": "api", "error_rate": "nan", "status": "503"},
        {"part": "api", "error_rate": "some", "status": "503"},
        {"part": "api", "status": "200"},
        {"part": "api", "status": "x"},
        {"part": "api", "status": "503", "latency_seconds": "2", "latency_seconds.most": "1"},
        {"part": "api", "status": "503", "times": "0"},
        {"part": "api", "status": "503", "scope": "GET /moon"},
        {"part": "webhook", "scope": "moon.landed", "old_secret_key": "sk_test_old"},
        {"part": "webhook", "old_secret_key": ""},
        {"part": "webhook", "old_secret_key": "sk_test_old", "down_seconds": "inf"},
        {"json": "{"},
        {"json": "[]"},
        {"json": '{"api": {"error_rate": 2}}'},
        {"json": '{"api": {"operations": {"GET /moon": {}}}}'},
        {"seed": "x"},
    ],
)
def test_nonsense_is_told_and_changes_nothing(press: Press, payer: httpx2.Client, form: dict[str, str]) -> None:
    before = faults(payer)
    answer = press("/dashboard/faults", **form)
    assert (answer.status_code, 'role="alert"' in answer.text) == (422, True)
    assert faults(payer) == before
