"""Running the sandbox: in the foreground for the command, in a thread of its own for tests."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx2
import uvicorn

from paystack_sandbox.app import create_app
from paystack_sandbox.connection import CuttableProtocol
from paystack_sandbox.sandbox import DEFAULT_SECRET_KEY, Sandbox, currencies_of
from paystack_sandbox.settings import Settings
from paystack_sandbox.state import State

_START_TIMEOUT_SECONDS = 15.0
_STOP_TIMEOUT_SECONDS = 10.0
_BACKLOG = 2048


class Server(uvicorn.Server):
    """Calls `on_listening` once connections are accepted."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening()


def build_server(sandbox: Sandbox, on_listening: Callable[[], None]) -> Server:
    config = uvicorn.Config(
        create_app(sandbox),
        http=CuttableProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    return Server(config, on_listening)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError where the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off; else each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """What to type into a client: `http://127.0.0.1:8010`."""
    port = listener.getsockname()[1]
    named = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://[{named}]:{port}" if ":" in named and not named.startswith("[") else f"http://{named}:{port}"


class PaystackSandbox:
    """A sandbox for tests: `with PaystackSandbox() as sandbox:`, listening on `sandbox.url` meanwhile.

    Takes the options of the command. Methods speak to the control routes, so they do what any client can.
    """

    def __init__(
        self,
        webhook_url: str | None = None,
        secret_key: str = DEFAULT_SECRET_KEY,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        data: Path | str | None = None,
        seed: int | None = None,
        currencies: tuple[str, ...] = ("GHS",),
        country: str | None = None,
        secret_keys: tuple[str, ...] = (),
        settings: Settings | None = None,
    ) -> None:
        self.secret_key = secret_key.partition(":")[0]
        self.url = ""
        self._host, self._port, self._data = host, port, data
        self._options: dict[str, Any] = {
            "secret_keys": (secret_key, *secret_keys),
            "currencies": currencies_of(country) if country else currencies,
            "webhook_url": webhook_url,
            "seed": seed,
            "settings": settings,
        }
        self._sandbox: Sandbox | None = None

    def __enter__(self) -> "PaystackSandbox":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen. Raises OSError where the port is taken, InvalidConfiguration for a bad option."""
        with contextlib.ExitStack() as undo:
            state = State(str(self._data) if self._data else ":memory:")
            undo.callback(state.close)
            listener = listen(self._host, self._port)
            undo.callback(listener.close)
            self.url = address_of(listener, self._host)
            self._sandbox = Sandbox(state, public_url=self.url, **self._options)
            listening = threading.Event()
            self._server = build_server(self._sandbox, listening.set)
            self._thread = threading.Thread(
                target=self._server.run, args=([listener],), name="paystack-sandbox", daemon=True
            )
            self._thread.start()
            if not listening.wait(_START_TIMEOUT_SECONDS):
                raise RuntimeError("the sandbox did not start")
            self._client = httpx2.Client(base_url=self.url, trust_env=False, timeout=30)
            undo.callback(self._client.close)
            undo.callback(self._stop_server)
            self._undo = undo.pop_all()

    def stop(self) -> None:
        self._undo.close()
        self._sandbox = None

    def _stop_server(self) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT_SECONDS)

    @property
    def sandbox(self) -> Sandbox:
        """The parts behind the routes; for tests of the sandbox itself."""
        if self._sandbox is None:
            raise RuntimeError("the sandbox is not running; use it in a with block")
        return self._sandbox

    @property
    def webhook_url(self) -> str | None:
        return self.sandbox.first_integration.webhook_url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.sandbox.set_webhook_url(url)

    def transaction(self, reference: str) -> dict[str, Any]:
        """The transaction as the sandbox knows it."""
        found: dict[str, Any] = self._call("GET", f"/_sandbox/transactions/{quote(reference, safe='')}")
        return found

    def pay(self, reference: str, **body: Any) -> dict[str, Any]:
        """Pay, by the test card that always works unless told otherwise. Answers the transaction."""
        body = body or {"channel": "card", "card": {"number": "4084084084084081"}}
        path = f"/_sandbox/transactions/{quote(reference, safe='')}/pay"
        paid: dict[str, Any] = self._call("POST", path, body)
        return paid

    def refund(self, reference: str, **body: Any) -> dict[str, Any]:
        """As the merchant does in Paystack's dashboard: all of it, or `amount`. Answers the refund."""
        made: dict[str, Any] = self._call("POST", "/_sandbox/refunds", {"transaction": reference, **body})
        return made

    def dispute(self, reference: str, **body: Any) -> dict[str, Any]:
        """As the payer does at the bank: `amount`, `category` and `message` if you like. Answers the dispute."""
        raised: dict[str, Any] = self._call("POST", "/_sandbox/disputes", {"transaction": reference, **body})
        return raised

    def webhooks(self) -> list[dict[str, Any]]:
        """Deliveries, newest first."""
        rows: list[dict[str, Any]] = self._call("GET", "/_sandbox/webhooks")
        return rows

    def redeliver(self, webhook_id: int) -> None:
        self._call("POST", f"/_sandbox/webhooks/{webhook_id}/redeliver")

    def set_faults(self, faults: dict[str, Any]) -> None:
        """Replace the faults: `{"webhook": {"duplicate": 1}}`; {} switches all off."""
        self._call("PUT", "/_sandbox/faults", faults)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock on; due retries and timeouts then happen at once."""
        self._call("POST", "/_sandbox/clock", {"advance_seconds": seconds})

    def reset(self) -> None:
        self._call("POST", "/_sandbox/reset")

    def wait_for_webhooks(self, timeout_seconds: float = 10.0) -> None:
        """Return when no delivery is due or under way. Raises TimeoutError."""
        pause = threading.Event()
        for _ in range(max(1, round(timeout_seconds / 0.01))):
            if self.sandbox.webhooks.are_idle:
                return
            pause.wait(0.01)
        raise TimeoutError(f"webhooks still under way after {timeout_seconds:g} s")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        response = self._client.request(method, path, json=body)
        if response.is_error:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()
