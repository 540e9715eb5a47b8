"""What the dashboard shows, to a browser without JavaScript."""

import re
from collections.abc import Iterator

import httpx2
import pytest

from paystack_sandbox import PaystackSandbox
from paystack_sandbox.apilog import KEPT_BODY_BYTES, KEPT_REQUESTS
from paystack_sandbox.dashboard import details, lists, routes, visit
from paystack_sandbox.sandbox import Sandbox
from tests.paystack_sandbox.api.test_scale import FEW, MANY, filled
from tests.paystack_sandbox.conftest import Start
from tests.paystack_sandbox.receiver import Receiver

HOSTILE = '<script>alert(1)</script><b title="x">'


def pages(text: str) -> set[str]:
    """The dashboard's addresses that a page links to."""
    return set(re.findall(r'href="(/dashboard/[^"?]+)', text))


def test_transactions_newest_first_with_payer_amount_and_status(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.pay(start(reference="r-1")["reference"])
    start(reference="r-2", email="kofi@example.com", amount=123456)
    text = payer.get("/").text
    assert text.index("r-2") < text.index("r-1")
    for shown in ("kofi@example.com", "GHS 1,234.56", "abandoned <b>1</b>", "success <b>1</b>", "GHS 80.00 paid"):
        assert shown in text


def test_one_status_at_a_time(start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    paystack_sandbox.pay(start(reference="one-paid")["reference"])
    start(reference="still-open")
    assert re.findall("one-paid|still-open", payer.get("/?status=abandoned").text) == ["still-open"]


@pytest.mark.parametrize("search", ["order-7", "orde", "ama@", "AMA@example.com"])
def test_search_finds_by_what_reference_or_email_begins_with(start: Start, payer: httpx2.Client, search: str) -> None:
    start(reference="order-7", email="ama@example.com")
    start(reference="other-8", email="kofi@example.com")
    assert re.findall("order-7|other-8", payer.get("/", params={"q": search}).text.partition("<table>")[2]) == [
        "order-7"
    ]


def test_search_that_finds_nothing_says_so(start: Start, payer: httpx2.Client) -> None:
    start(reference="order-7")
    for search in ("%", "_rder", "rder-7", HOSTILE, "\U0010ffff"):
        assert "Nothing found." in payer.get("/", params={"q": search}).text


def test_pages_of_fifty(start: Start, payer: httpx2.Client) -> None:
    for number in range(lists.SHOWN + 3):
        start(reference=f"r-{number}")
    first = payer.get("/").text
    older = re.search(r'href="([^"]+)" rel="next"', first)
    assert older is not None
    second = payer.get(older[1]).text
    found = [re.findall(r">(r-\d+)<", text) for text in (first, second)]
    assert [len(page) for page in found] == [lists.SHOWN, 3]
    assert len({*found[0], *found[1]}) == lists.SHOWN + 3
    assert 'rel="next"' not in second


def test_transaction_tells_its_story(
    start: Start, client: httpx2.Client, payer: httpx2.Client, paystack_sandbox: PaystackSandbox, receiver: Receiver
) -> None:
    reference = start(metadata={"cart": "shoes"}, callback_url="https://shop.example/done")["reference"]
    paystack_sandbox.pay(reference, channel="card", card={"number": "4084080000005408", "cvv": "001"})
    transaction_id = paystack_sandbox.pay(reference)["id"]
    paystack_sandbox.wait_for_webhooks()
    client.get(f"/transaction/verify/{reference}")
    text = payer.get(f"/dashboard/transactions/{transaction_id}").text
    story = ("Started", "Error: Declined", "Successfully paid with card", "charge.success sent: 200")
    assert [text.index(step) for step in story] == sorted(text.index(step) for step in story)
    for shown in ("shoes", "https://shop.example/done", "GHS 1.56", f"/transaction/verify/{reference}"):
        assert shown in text


def test_checkout_is_linked_while_it_can_be_paid(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    data = start()
    path = f"/dashboard/transactions/{paystack_sandbox.transaction(data['reference'])['id']}"
    assert f'href="/checkout/{data["access_code"]}"' in payer.get(path).text
    paystack_sandbox.pay(data["reference"])
    assert "/checkout/" not in payer.get(path).text


def test_customer_with_saved_card_and_transactions(
    start: Start, client: httpx2.Client, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    paid = paystack_sandbox.pay(start(reference="order-7")["reference"])
    client.put(f"/customer/{paid['customer']['customer_code']}", json={"first_name": "Ama", "phone": "+233241234567"})
    assert "GHS 80.00" in payer.get("/dashboard/customers").text
    text = payer.get(f"/dashboard/customers/{paid['customer']['customer_code']}").text
    for shown in ("Ama", "+233241234567", paid["authorization"]["authorization_code"], "order-7", "GHS 80.00"):
        assert shown in text


def test_delivery_with_request_and_answer(
    start: Start, payer: httpx2.Client, paystack_sandbox: PaystackSandbox, receiver: Receiver
) -> None:
    paystack_sandbox.pay(start(reference="order-7")["reference"])
    paystack_sandbox.wait_for_webhooks()
    text = payer.get("/dashboard/webhooks/1").text
    headers, _ = receiver.deliveries[0]
    for shown in (receiver.url, headers["x-paystack-signature"], "&#34;reference&#34;: &#34;order-7&#34;", ">200<"):
        assert shown in text


def test_api_log_has_both_bodies_and_what_the_faults_did(
    client: httpx2.Client, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.set_faults({"api": {"error_rate": 1}})
    client.post("/transaction/initialize", json={"email": "ama@example.com", "amount": 8000})
    (path,) = pages(payer.get("/dashboard/requests").text) & {
        f"/dashboard/requests/{number}" for number in range(1, 100000)
    }
    text = payer.get(path).text
    for shown in ("POST", "/transaction/initialize", ">503<", "ama@example.com", "Simulated fault", "fault: error"):
        assert shown in text
    assert paystack_sandbox.secret_key in text


def test_api_log_shows_a_cut_connection(
    client: httpx2.Client, payer: httpx2.Client, paystack_sandbox: PaystackSandbox
) -> None:
    paystack_sandbox.set_faults({"api": {"drop_after_commit": 1}})
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/bank")
    text = payer.get("/dashboard/requests").text
    assert ">cut<" in text
    assert "cut after the work" in text


def test_api_log_keeps_little_and_no_unknown_key(payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    body = b'{"email": "' + b"x" * 3 * KEPT_BODY_BYTES
    for number in range(KEPT_REQUESTS + 5):
        payer.post(f"/charge?{number}", content=body, headers={"authorization": "Bearer sk_live_ofsomeoneelse"})
    entries = paystack_sandbox.sandbox.log.newest()
    assert (len(entries), len(entries[0].request_body)) == (KEPT_REQUESTS, KEPT_BODY_BYTES)
    text = payer.get(f"/dashboard/requests/{entries[0].id}").text
    assert "sk_live_…" in text
    assert "ofsomeoneelse" not in text


def test_own_pages_are_not_in_the_api_log(payer: httpx2.Client, paystack_sandbox: PaystackSandbox) -> None:
    for path in ("/", "/dashboard/faults", "/_sandbox/health", "/checkout/nope", "/static/icon.svg", "/inline.js"):
        payer.get(path)
    assert paystack_sandbox.sandbox.log.newest() == []
    payer.get("/no/such/operation")
    assert [entry.path for entry in paystack_sandbox.sandbox.log.newest()] == ["/no/such/operation"]


def test_nothing_hostile_gets_out_of_its_place(
    client: httpx2.Client, payer: httpx2.Client, start: Start, paystack_sandbox: PaystackSandbox
) -> None:
    start(
        reference="order-7",
        metadata={HOSTILE: HOSTILE},
        callback_url=f"https://a.b/{HOSTILE}",
    )
    paid = paystack_sandbox.pay("order-7")
    client.put(
        f"/customer/{paid['customer']['customer_code']}", json={"first_name": HOSTILE, "metadata": {"a": HOSTILE}}
    )
    client.post("/dispute", content=HOSTILE)
    payer.post("/_sandbox/disputes", json={"transaction": "order-7", "message": HOSTILE})
    seen: set[str] = set()
    waiting = {"/", *(view.path for view in routes.VIEWS if "{" not in view.path)}
    while waiting - seen:
        path = (waiting - seen).pop()
        seen.add(path)
        text = payer.get(path, params={"q": HOSTILE} if path == "/" else {}).text + payer.get(path).text
        waiting |= pages(text)
        assert HOSTILE not in text
        assert "<script>" not in text
    assert len(seen) > 10


def test_pages_need_no_inline_script_or_style(payer: httpx2.Client, paid: str) -> None:
    for path in ("/", paid, "/dashboard/faults", "/dashboard/clock"):
        answer = payer.get(path)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert re.findall(r"<script(?! src=\"/static/)|<style|\sstyle=|\son\w+=", answer.text) == []


@pytest.mark.parametrize(
    "path",
    ["transactions/7", "transactions/x", "transactions/" + "9" * 30, "customers/nope", "webhooks/7", "requests/7"],
)
def test_nothing_there(payer: httpx2.Client, path: str) -> None:
    answer = payer.get(f"/dashboard/{path}")
    assert (answer.status_code, "Nothing here" in answer.text) == (404, True)


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "integration=999", "integration=%00", "status=%F0", "q=%ff"]
)
def test_queries_of_any_kind(payer: httpx2.Client, query: str) -> None:
    for view in routes.VIEWS:
        if "{" not in view.path:
            assert payer.get(f"{view.path}?{query}").status_code == 200


def test_each_integration_shows_its_own() -> None:
    with PaystackSandbox(secret_keys=("sk_test_other",)) as sandbox, httpx2.Client(base_url=sandbox.url) as client:
        for key in ("sk_test_sandbox", "sk_test_other"):
            body = {"email": "ama@example.com", "amount": 8000, "reference": f"of-{key}"}
            client.post("/transaction/initialize", json=body, headers={"authorization": f"Bearer {key}"})
            sandbox.pay(f"of-{key}")
        paid = {key: sandbox.transaction(f"of-{key}")["id"] for key in ("sk_test_sandbox", "sk_test_other")}
        other = sandbox.sandbox.integrations[1].id
        assert "of-sk_test_other" not in client.get("/").text
        text = client.get(f"/?integration={other}").text
        assert "of-sk_test_sandbox" not in text
        assert f"/dashboard/transactions/{paid['sk_test_other']}?integration={other}" in text
        assert client.get(f"/dashboard/transactions/{paid['sk_test_other']}").status_code == 404
        assert client.get(f"/dashboard/transactions/{paid['sk_test_other']}?integration={other}").status_code == 200


# How much there is


@pytest.fixture(scope="module")
def sizes() -> Iterator[tuple[Sandbox, Sandbox]]:
    few, many = filled(FEW), filled(MANY)
    yield few, many
    few.state.close()
    many.state.close()


@pytest.mark.parametrize(
    ("read", "path", "query"),
    [
        (lists.transactions, {}, {}),
        (lists.transactions, {}, {"before": "5000000100"}),
        (lists.transactions, {}, {"status": "success"}),
        (lists.transactions, {}, {"q": "r1"}),
        (lists.transactions, {}, {"q": "payer1@"}),
        (lists.customers, {}, {}),
        (lists.webhooks, {}, {}),
        (details.transaction, {"id": "5000000078"}, {}),
    ],
)
def test_many_cost_no_more_than_few(sizes, read, path: dict[str, str], query: dict[str, str]) -> None:
    counts = []
    for sandbox in sizes:
        seen: list[int] = []
        connection = sandbox.state._connection
        connection.set_progress_handler(lambda seen=seen: bool(seen.append(1)), 10)
        read(visit.begin(sandbox, path, query))
        connection.set_progress_handler(None, 0)
        counts.append(len(seen) * 10)
    few, many = counts
    # A page of rows, not the whole table.
    assert many <= 1.5 * few + 2000
