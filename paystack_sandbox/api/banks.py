"""Banks, countries and states (facts 7.1, 7.2), from the tables in `data/`."""

import json
import unicodedata
from functools import cache
from importlib import resources
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.pages import encode_cursor, is_true, read_page
from paystack_sandbox.errors import PaystackError

MAX_PER_PAGE = 100
_TYPE_SPELLINGS = {"ghipps": "ghipss"}  # the OpenAPI document's spelling (2)
_SWITCHES = ("pay_with_bank", "pay_with_bank_transfer", "enabled_for_verification")
_HIDDEN_FIELDS = ("pay_with_bank_transfer", "enabled_for_verification")
# Institution codes of Nigeria's interbank system, by bank code.
_NIP_CODES = {
    "044": "000014",
    "058": "000013",
    "011": "000016",
    "033": "000004",
    "057": "000015",
    "070": "000007",
    "214": "000003",
    "032": "000018",
    "232": "000001",
    "035": "000017",
    "221": "000012",
    "050": "000010",
    "076": "000008",
    "082": "000002",
    "50211": "090267",
    "999992": "100004",
    "101": "000023",
    "215": "000011",
    "999991": "100033",
    "50515": "090405",
}


@cache
def table(name: str) -> list[dict[str, Any]]:
    text = resources.files("paystack_sandbox").joinpath("data", name).read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def list_banks(call: Call) -> Answer:
    """Banks and mobile-money networks; the answer's `meta` is always in cursor form (7.1)."""
    page = read_page(call.query, MAX_PER_PAGE)
    banks = [bank for bank in table("banks.json") if _matches(bank, call)]
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
    with_nip = is_true(call.query.get("include_nip_sort_code"))
    return Answer("Banks retrieved", [_row(bank, with_nip=with_nip) for bank in shown], meta)


def list_countries(call: Call) -> Answer:
    """The countries Paystack works in, with their currencies."""
    del call  # the same for everybody
    return Answer("Countries retrieved", table("countries.json"))


def list_states(call: Call) -> Answer:
    """For address verification; `country` is a code of two letters."""
    country = call.query.get("country", "").upper()
    if not country:
        raise PaystackError("field_missing", '"country" is required')
    rows = [row for row in table("states.json") if row["country"] == country]
    shown = [{field: row[field] for field in ("name", "slug", "abbreviation")} for row in rows]
    return Answer("States retrieved", shown)


def _plain(text: str) -> str:
    """`South-Africa`, `Côte d'Ivoire` and `cote-divoire` in one spelling."""
    letters = unicodedata.normalize("NFKD", text.lower())
    return "".join(letter for letter in letters if letter.isalnum() and not unicodedata.combining(letter))


def _matches(bank: dict[str, Any], call: Call) -> bool:
    query = call.query
    kind = query.get("type", "").lower()
    if query.get("country") and _plain(bank["country"]) != _plain(query["country"]):
        return False
    wanted = {
        "currency": query.get("currency", "").lower(),
        "type": _TYPE_SPELLINGS.get(kind, kind),
        "gateway": query.get("gateway", "").lower(),
    }
    if any(value and str(bank[field]).lower() != value for field, value in wanted.items()):
        return False
    return all(bank[switch] for switch in _SWITCHES if is_true(query.get(switch)))


def _row(bank: dict[str, Any], *, with_nip: bool) -> dict[str, Any]:
    row = {field: value for field, value in bank.items() if field not in _HIDDEN_FIELDS}
    if with_nip and bank["currency"] == "NGN":
        row["nip_sort_code"] = _NIP_CODES.get(bank["code"])
    return row
