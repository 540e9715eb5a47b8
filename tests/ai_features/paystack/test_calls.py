import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ai_features.exceptions import PaystackBadResponse, TransactionNotFound
from ai_features.paystack import PaystackService
from tests.ai_features.paystack.bodies import BANK, INITIALIZED, VERIFIED
from tests.ai_features.paystack.conftest import KEY
from tests.ai_features.paystack.odd_server import OddServer, accepted


def open_checkout(service: PaystackService, **changes: Any) -> Any:
    order: dict[str, Any] = {"email": "ama@example.com", "amount": Decimal("80.00"), "reference": "re4lyvq3s3"}
    return service.initialize_transaction(**(order | changes))


def test_initialize_sends_what_paystack_documents(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(INITIALIZED)]
    opened = open_checkout(
        service, channels=["card"], callback_url="https://shop.example/back", cancel_action="https://shop.example/no"
    )
    assert opened.access_code == "3ni8kdavz62431k"
    sent = odd.body()
    assert json.loads(sent.pop("metadata")) == {"cancel_action": "https://shop.example/no"}
    assert sent == {
        "email": "ama@example.com",
        "amount": 8000,
        "currency": "GHS",
        "reference": "re4lyvq3s3",
        "callback_url": "https://shop.example/back",
        "channels": ["card"],
    }


def test_initialize_leaves_out_what_is_not_given(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(INITIALIZED)]
    open_checkout(service)
    assert set(odd.body()) == {"email", "amount", "currency", "reference"}


def test_metadata_travels_as_text_with_its_types(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(INITIALIZED)]
    open_checkout(service, metadata={"order": 7, "ratio": 0.5, "name": "Ɛsi", "list": [1, None, True]})
    assert odd.body()["metadata"] == '{"order": 7, "ratio": 0.5, "name": "\\u0190si", "list": [1, null, true]}'


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        (Decimal(80), 8000),
        (Decimal("0.1"), 10),
        (Decimal("19.99"), 1999),
        (Decimal("1.500"), 150),
        (Decimal("1E+3"), 100000),
        (Decimal("9999999.99"), 999999999),
        (7, 700),
    ],
)
def test_amount_is_converted_exactly(odd: OddServer, service: PaystackService, amount: Any, minor: int) -> None:
    odd.answers = [accepted(INITIALIZED)]
    open_checkout(service, amount=amount)
    assert odd.body()["amount"] == minor


@pytest.mark.parametrize(
    "amount",
    [
        "0.001",
        "1.005",
        "0",
        "-1",
        "NaN",
        "sNaN",
        "Infinity",
        "1E+1000000",
        "1E-1000000",
        "0.10000000000000000000000000001",
    ],
)
def test_amount_that_is_no_money_is_refused(odd: OddServer, service: PaystackService, amount: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        open_checkout(service, amount=Decimal(amount))
    assert odd.requests == []


@pytest.mark.parametrize("amount", [80.0, "80.00", True, None])
def test_amount_of_another_type_is_refused(odd: OddServer, service: PaystackService, amount: Any) -> None:
    with pytest.raises(TypeError, match="Decimal"):
        open_checkout(service, amount=amount)


def test_half_a_franc_is_refused(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(INITIALIZED)]
    with pytest.raises(ValueError, match="XOF"):
        open_checkout(service, amount=Decimal("500.50"), currency="XOF")
    open_checkout(service, amount=Decimal(500), currency="XOF")
    assert odd.body()["amount"] == 50000


def test_checkout_for_another_reference_is_not_used(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(INITIALIZED | {"reference": "another"})]
    with pytest.raises(PaystackBadResponse) as caught:
        open_checkout(service)
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("reference", ["", ".", "..", "...", "r" * 101, "a\nb", "a\0"])
def test_impossible_references_are_not_asked_for(odd: OddServer, service: PaystackService, reference: str) -> None:
    with pytest.raises(TransactionNotFound):
        service.verify_transaction(reference)
    with pytest.raises(ValueError, match="reference"):
        open_checkout(service, reference=reference)
    assert odd.requests == []


@pytest.mark.parametrize(
    ("reference", "segment"),
    [
        ("../../bank", "..%2F..%2Fbank"),
        ("a/b?c=d#e", "a%2Fb%3Fc%3Dd%23e"),
        ("50%2F", "50%252F"),
        ("Ɛsi ok", "%C6%90si%20ok"),
        ("AI-CREDIT-1.2=3_4", "AI-CREDIT-1.2%3D3_4"),
    ],
)
def test_reference_stays_one_segment_of_the_path(
    odd: OddServer, service: PaystackService, reference: str, segment: str
) -> None:
    odd.answers = [accepted(VERIFIED | {"reference": reference})]
    assert service.verify_transaction(reference).reference == reference
    assert odd.request_lines == [f"GET /transaction/verify/{segment} HTTP/1.1"]


def test_verify_of_another_reference_is_no_answer(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(VERIFIED)]
    with pytest.raises(PaystackBadResponse, match="another reference"):
        service.verify_transaction("mine")


def test_fetch_asks_by_id_and_checks_it(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(VERIFIED)]
    assert service.fetch_transaction(4099260516).reference == "re4lyvq3s3"
    assert odd.request_lines == ["GET /transaction/4099260516 HTTP/1.1"]
    with pytest.raises(PaystackBadResponse, match="another transaction"):
        service.fetch_transaction(7)
    with pytest.raises(TypeError):
        service.fetch_transaction("7/../x")  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["", "/", "/paystack", "/paystack/"])
def test_address_may_have_a_prefix_and_a_slash(odd: OddServer, make_service: Any, suffix: str) -> None:
    odd.answers = [accepted(VERIFIED)]
    make_service(base_url=odd.url + suffix).verify_transaction("re4lyvq3s3")
    assert odd.request_lines == [f"GET {suffix.rstrip('/')}/transaction/verify/re4lyvq3s3 HTTP/1.1"]


def test_request_names_its_sender_and_wants_no_compression(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(VERIFIED)]
    service.verify_transaction("re4lyvq3s3")
    request = odd.requests[0].decode().lower()
    assert f"authorization: bearer {KEY}".lower() in request
    assert "user-agent: paystack-ai-credits/" in request
    assert "accept-encoding: identity" in request


def test_list_sends_its_filters(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted([])]
    since = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    listed = service.list_transactions(
        status="success", from_=since, to=date(2026, 1, 31), customer_id=7, channel="card", per_page=10
    )
    assert list(listed) == []
    asked = parse_qs(urlsplit(odd.request_lines[0].split()[1]).query)
    assert asked == {
        "status": ["success"],
        "from": ["2026-01-02T02:04:05.000Z"],
        "to": ["2026-01-31"],
        "customer": ["7"],
        "channel": ["card"],
        "perPage": ["10"],
        "use_cursor": ["true"],
    }


def test_list_refuses_a_time_without_a_zone(service: PaystackService) -> None:
    with pytest.raises(ValueError, match="aware"):
        service.list_transactions(from_=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [VERIFIED | {"id": number, "reference": f"T{number}"} for number in numbers]


def test_list_follows_cursors_page_by_page(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [
        accepted(rows(3, 2), {"next": "Y3Vyc29y", "previous": None, "perPage": 2}),
        accepted(rows(1), {"next": None, "previous": "x", "perPage": 2}),
    ]
    listed = service.list_transactions(per_page=2)
    assert odd.requests == []
    assert next(listed).id == 3
    assert len(odd.requests) == 1
    assert [transaction.id for transaction in listed] == [2, 1]
    assert "use_cursor=true&next=Y3Vyc29y" in odd.request_lines[1]


def test_list_reads_numbered_pages_too(odd: OddServer, service: PaystackService) -> None:
    offset = {"total": 3, "total_volume": 397800, "skipped": 0, "perPage": 2, "pageCount": 2}
    odd.answers = [accepted(rows(3, 2), offset | {"page": 1}), accepted(rows(1), offset | {"page": "2"})]
    assert [transaction.id for transaction in service.list_transactions()] == [3, 2, 1]
    assert "page=2" in odd.request_lines[1]


def test_list_that_leads_in_a_circle_ends(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted(rows(1), {"next": "a"}), accepted(rows(2), {"next": "b"}), accepted(rows(3), {"next": "a"})]
    with pytest.raises(PaystackBadResponse, match="read before"):
        list(service.list_transactions())


def test_empty_page_ends_the_list(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted([], {"next": "more"})]
    assert list(service.list_transactions()) == []


def test_unreadable_row_does_not_hide_the_others(
    odd: OddServer, service: PaystackService, caplog: pytest.LogCaptureFixture
) -> None:
    odd.answers = [accepted([*rows(1), {"reference": "T2", "status": "success", "amount": None}, None, *rows(3)])]
    assert [transaction.id for transaction in service.list_transactions()] == [1, 3]
    assert "no usable amount for T2" in caplog.text


def test_banks_come_from_all_pages(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted([BANK], {"next": "YmFuazoxNjk="}), accepted([BANK | {"code": "ATL"}], {"next": None})]
    found = service.list_banks(currency="GHS", country="ghana", bank_type="ghipss")
    assert [bank.code for bank in found] == ["MTN", "ATL"]
    assert odd.request_lines[0].startswith("GET /bank?currency=GHS&country=ghana&type=ghipss&perPage=100&")


def test_mobile_money_providers_are_banks_of_that_type(odd: OddServer, service: PaystackService) -> None:
    odd.answers = [accepted([BANK])]
    assert [bank.name for bank in service.list_mobile_money_providers(currency="KES")] == ["MTN"]
    assert odd.request_lines[0].startswith("GET /bank?currency=KES&type=mobile_money&")
