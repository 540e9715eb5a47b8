"""GET /bank and GET /country (facts 7.1, 7.2), from the tables in `data/`."""

import json
from functools import cache
from importlib import resources
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.pages import encode_cursor, is_true, read_page

MAX_PER_PAGE = 100
_TYPE_SPELLINGS = {"ghipps": "ghipss"}  # the OpenAPI document's spelling (2)
_SWITCHES = ("pay_with_bank", "pay_with_bank_transfer", "enabled_for_verification")
_HIDDEN_FIELDS = ("pay_with_bank_transfer", "enabled_for_verification")


@cache
def _table(name: str) -> list[dict[str, Any]]:
    text = resources.files("paystack_sandbox").joinpath("data", name).read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def list_banks(call: Call) -> Answer:
    """Banks and mobile-money networks; the answer's `meta` is always in cursor form (7.1)."""
    page = read_page(call.query, MAX_PER_PAGE)
    banks = [bank for bank in _table("banks.json") if _matches(bank, call)]
    ids = [bank["id"] for bank in banks]
    start = page.offset
    if page.after is not None:
        start = ids.index(page.after) + 1 if page.after in ids else len(ids)
    if page.before is not None:
        start = max(0, ids.index(page.before) - page.per_page) if page.before in ids else 0
    shown = banks[start : start + page.per_page]
    more = start + page.per_page < len(banks)
    meta = {
        "next": encode_cursor("bank", shown[-1]["id"]) if shown and more else None,
        "previous": encode_cursor("bank", shown[0]["id"]) if shown and start > 0 else None,
        "perPage": page.per_page,
    }
    return Answer("Banks retrieved", [_row(bank) for bank in shown], meta)


def list_countries(call: Call) -> Answer:
    del call  # the same for everybody
    return Answer("Countries retrieved", _table("countries.json"))


def _matches(bank: dict[str, Any], call: Call) -> bool:
    query = call.query
    kind = query.get("type", "").lower()
    wanted = {
        "country": query.get("country", "").lower(),
        "currency": query.get("currency", "").lower(),
        "type": _TYPE_SPELLINGS.get(kind, kind),
        "gateway": query.get("gateway", "").lower(),
    }
    if any(value and str(bank[field]).lower() != value for field, value in wanted.items()):
        return False
    return all(bank[switch] for switch in _SWITCHES if is_true(query.get(switch)))


def _row(bank: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in bank.items() if field not in _HIDDEN_FIELDS}
