"""One pool for a service and a process."""

import logging
import os
import signal
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from ai_features.paystack import PaystackService
from ai_features.paystack.transport import Transport
from tests.ai_features.paystack.bodies import VERIFIED
from tests.ai_features.paystack.odd_server import OddServer, accepted


@pytest.fixture(autouse=True)
def _paid(odd: OddServer) -> None:
    odd.answers = [accepted(VERIFIED)]


def verify(service: PaystackService) -> bool:
    return service.verify_transaction("re4lyvq3s3").is_paid


def exit_code_of_child(work: Any) -> int:
    """Run `work` in a forked process, for at most a minute."""
    child = os.fork()
    if child == 0:
        # The streams that logs go to may have been copied while another thread held their locks.
        logging.disable()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_connection_is_used_again(odd: OddServer, service: PaystackService) -> None:
    assert verify(service)
    assert verify(service)
    assert odd.connections == 1


def test_nothing_is_opened_before_the_first_call(odd: OddServer, make_service: Any) -> None:
    make_service()
    assert odd.connections == 0


def test_close_leaves_a_service_usable(odd: OddServer, service: PaystackService) -> None:
    verify(service)
    service.close()
    service.close()
    assert verify(service)
    assert odd.connections == 2


def test_threads_share_a_service(odd: OddServer, service: PaystackService) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(verify, [service] * 64))
    assert odd.connections <= 8


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_process_opens_its_own_connection(odd: OddServer, service: PaystackService) -> None:
    assert verify(service)
    assert exit_code_of_child(lambda: verify(service) and verify(service)) == 0
    assert verify(service)
    assert odd.connections == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_in_the_middle_of_calls_leaves_nothing_locked(odd: OddServer, make_service: Any) -> None:
    service = make_service(read_timeout_seconds=5, total_timeout_seconds=8)
    stop = threading.Event()

    def keep_calling() -> None:
        while not stop.is_set():
            verify(service)

    threads = [threading.Thread(target=keep_calling) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    codes = [exit_code_of_child(lambda: verify(service)) for _ in range(5)]
    stop.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 5


def test_dead_idle_connection_is_replaced(odd: OddServer, service: PaystackService) -> None:
    def answer_and_leave(connection: Any) -> None:
        connection.sendall(accepted(VERIFIED))

    odd.answers = [answer_and_leave]
    assert verify(service)
    time.sleep(0.1)
    assert verify(service)
    assert (odd.connections, len(odd.requests)) == (2, 2)


def test_proxies_of_the_environment_are_not_used(
    odd: OddServer, service: PaystackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert verify(service)


def test_own_transport_is_used(make_service: Any) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["Authorization"].startswith("Bearer sk_test_")
        return httpx2.Response(200, json={"status": True, "data": VERIFIED})

    assert verify(make_service(transport=httpx2.MockTransport(answer)))


def test_every_address_of_a_host_is_tried(odd: OddServer, make_service: Any) -> None:
    port = odd.url.rsplit(":", 1)[1]
    assert verify(make_service(base_url=f"http://localhost:{port}"))


def test_certificates_are_checked() -> None:
    context = Transport()._pool._ssl_context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
