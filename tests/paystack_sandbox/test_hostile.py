"""Whatever a client sends: JSON comes back, never a 500, and the next request is served."""

import contextlib
import json
import re
import socket
import threading

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paystack_sandbox import PaystackSandbox

ANYTHING = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("email", "amount", "currency", "reference", "callback_url", "channels", "metadata", "plan", "label")


def is_sound(response: httpx2.Response) -> None:
    assert response.status_code in (200, 400, 403, 404, 409, 413, 422), response.text
    assert "status" in response.json()


@ANYTHING
@given(change=st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1))
def test_initialize_takes_any_values(client: httpx2.Client, change: dict[str, object]) -> None:
    body = json.dumps({"email": "a@b.co", "amount": 8000} | change).encode()
    response = client.post("/transaction/initialize", content=body, headers={"content-type": "application/json"})
    is_sound(response)
    if response.status_code == 200:
        is_sound(client.get(f"/transaction/verify/{response.json()['data']['reference']}"))
        is_sound(client.get("/transaction?perPage=3"))


@ANYTHING
@given(
    raw=st.binary(max_size=200),
    kind=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
    ),
)
def test_initialize_takes_any_bytes(client: httpx2.Client, raw: bytes, kind: str) -> None:
    is_sound(client.post("/transaction/initialize", content=raw, headers={"content-type": kind}))


@ANYTHING
@given(
    query=st.dictionaries(
        st.sampled_from(
            ["perPage", "page", "next", "previous", "from", "to", "customer", "amount", "status", "use_cursor"]
        ),
        st.text(max_size=30),
    )
)
def test_list_takes_any_query(client: httpx2.Client, query: dict[str, str]) -> None:
    is_sound(client.get("/transaction", params=clean(query)))
    is_sound(client.get("/bank", params=clean(query)))


@ANYTHING
@given(path=st.text(min_size=1, max_size=40))
def test_verify_takes_any_reference(client: httpx2.Client, path: str) -> None:
    quoted = httpx2.QueryParams({"x": clean({"x": path})["x"]})
    is_sound(client.get(f"/transaction/verify/{str(quoted)[2:]}"))


@ANYTHING
@given(
    body=st.dictionaries(
        st.sampled_from(["channel", "card", "phone", "provider", "amount", "outcome", "pin"]),
        VALUES | st.sampled_from(["card", "mobile_money", "bank_transfer", "ussd", "bank"]),
    )
)
def test_pay_takes_any_values(client: httpx2.Client, body: dict[str, object]) -> None:
    reference = client.post("/transaction/initialize", json={"email": "a@b.co", "amount": 8000}).json()["data"][
        "reference"
    ]
    is_sound(client.post(f"/_sandbox/transactions/{reference}/pay", content=json.dumps(body).encode()))


@ANYTHING
@given(
    form=st.dictionaries(
        st.sampled_from(["channel", "card_number", "expiry", "cvv", "phone", "provider", "amount", "step", "pin"]),
        st.text(max_size=30) | st.sampled_from(["card", "mobile_money", "bank_transfer"]),
    )
)
def test_checkout_takes_any_form(client: httpx2.Client, payer: httpx2.Client, form: dict[str, str]) -> None:
    url = client.post("/transaction/initialize", json={"email": "a@b.co", "amount": 8000}).json()["data"][
        "authorization_url"
    ]
    for action in ("pay", "answer", "back", "cancel"):
        response = payer.post(f"{url}/{action}", data=clean(form))
        assert response.status_code in (200, 302, 303, 422)


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"email": "a@b.co", "amount": NaN}',
        b'{"email": "a@b.co", "amount": Infinity}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"email":"a@b.co","amount":' + b"9" * 5000 + b"}",
        b'{"email":"a@b.co","amount":5,"metadata":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
        b"[1]",
        b'"text"',
    ],
)
def test_unreadable_bodies(client: httpx2.Client, raw: bytes) -> None:
    response = client.post("/transaction/initialize", content=raw, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["status"] is False


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET http://api.paystack.co/bank HTTP/1.1", b"200"),
        (b"OPTIONS * HTTP/1.1", b"404"),
        (b"TRACE /bank HTTP/1.1", b"404"),
        (b"GET /static/%2e%2e/state.py HTTP/1.1", b"404"),
        (b"GET /checkout/%00 HTTP/1.1", b"404"),
        (b"GET /transaction/verify/%ff?x=%ff HTTP/1.1", b"401"),
    ],
)
def test_odd_request_lines(paystack_sandbox: PaystackSandbox, request_line: bytes, status: bytes) -> None:
    assert said(paystack_sandbox, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n").split()[1] == status


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /customer/\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /charge HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /charge HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000,
    ],
)
def test_what_is_no_http_gets_json_too(paystack_sandbox: PaystackSandbox, sent: bytes) -> None:
    head, _, body = said(paystack_sandbox, sent).partition(b"\r\n\r\n")
    assert (head.split()[1], json.loads(body)["status"]) == (b"400", False)


def test_pipelined_requests_are_answered_in_turn(paystack_sandbox: PaystackSandbox) -> None:
    paths = [b"/bank?perPage=%d" % number for number in range(1, 9)]
    sent = b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
    answers = said(paystack_sandbox, sent + b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert re.findall(rb'"perPage":(\d)', answers) == [b"%d" % number for number in range(1, 9)]


def test_body_in_chunks_and_in_no_hurry(paystack_sandbox: PaystackSandbox) -> None:
    head = b"POST /transaction/initialize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_sandbox\r\n"
    head += b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunks = (b'{"email":"a@b.co",', b'"amount":1}')
    sent = [head, *(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks), b"0\r\n\r\n"]
    assert b"Authorization URL created" in said(paystack_sandbox, *sent, pause_seconds=0.02)


def test_offer_of_another_protocol_loses_no_body(client: httpx2.Client) -> None:
    """Java's client offers HTTP/2 with every first request."""
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABkAAQAAP__"}
    assert client.post("/transaction/initialize", json={"email": "a@b.co", "amount": 1}, headers=offer).is_success


def said(sandbox: PaystackSandbox, *sent: bytes, pause_seconds: float = 0) -> bytes:
    """All that comes back until the sandbox closes the connection."""
    host, _, port = sandbox.url.removeprefix("http://").partition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        with contextlib.suppress(OSError):
            for part in sent:
                connection.sendall(part)
                threading.Event().wait(pause_seconds)
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
    return received


def test_lone_surrogates_and_infinities_round_trip(client: httpx2.Client) -> None:
    raw = b'{"email":"a@b.co","amount":5,"reference":"odd","metadata":"{\\"a\\": \\"\\\\ud800\\", \\"b\\": 1e999}"}'
    assert client.post("/transaction/initialize", content=raw).status_code == 200
    assert client.get("/transaction/verify/odd").json()["data"]["metadata"] == {"a": "\ufffd", "b": None}


def clean(values: dict[str, str]) -> dict[str, str]:
    """What an HTTP client can put on the wire at all."""
    return {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}
