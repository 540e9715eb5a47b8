"""Webhooks: signed once, delivered in the background, retried on Paystack's schedule (facts 8.1).

A delivery is a row before it is anything else, so a killed process loses none. The body is serialised once;
the signature is over exactly the bytes that are sent.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2

from paystack_sandbox import timers
from paystack_sandbox.faults import WebhookTrouble
from paystack_sandbox.state import Attempt, Integration, Webhook

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

PARALLEL_DELIVERIES = 64
KEPT_RESPONSE_CHARS = 2000
_READ_RESPONSE_BYTES = 64 * 1024
_REORDER_HOLD_MS = 1500
_IDLE_SECONDS = 1.0


def signature(body: bytes, secret_key: str) -> str:
    """`x-paystack-signature`: HMAC-SHA512 of the raw body with the secret key, lower-case hex."""
    return hmac.new(secret_key.encode(), body, hashlib.sha512).hexdigest()


class NoWebhookUrl(Exception):
    """The integration has no webhook address to send to."""


class Webhooks:
    """The queue of deliveries and the worker that empties it. Lives on the server's event loop."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(PARALLEL_DELIVERIES)
        self._held: int | None = None
        self._released_by: dict[int, int] = {}

    # Called by whoever changes state

    def enqueue(
        self, integration: Integration, event: str, reference: str | None, data: Any, row_id: int | None = None
    ) -> None:
        """Write the event down and have it sent at once, or as the faults say.

        `row_id` is the id of what the event is about, where `data` has none of its own.
        """
        sandbox = self._sandbox
        body = json.dumps({"event": event, "data": data}, ensure_ascii=False, separators=(",", ":")).encode()
        now = sandbox.clock.now_ms()
        webhook_id = sandbox.state.add_webhook(
            integration_id=integration.id,
            event=event,
            reference=reference,
            url=integration.webhook_url,
            body=body,
            created_at=now,
            first_attempt_at=now,
            row_id=row_id if row_id is not None else data["id"],
        )
        if integration.webhook_url is None:
            return
        due = now + sandbox.dice.webhook_delay_ms(webhook_id, event) + self._hold_ms(webhook_id, event)
        sandbox.state.update_webhook(webhook_id, first_attempt_at=due, next_attempt_at=due)
        self.wake()

    def _hold_ms(self, webhook_id: int, event: str) -> int:
        """With `reorder`, every other event waits until the one after it was sent, or a moment at most."""
        if not self._sandbox.dice.reorders(event):
            return 0
        if self._held is None:
            self._held = webhook_id
            return _REORDER_HOLD_MS
        self._released_by[webhook_id] = self._held
        self._held = None
        return 0

    def send_again(self, webhook_id: int) -> None:
        """Deliver once more, with the whole schedule of retries. Raises NoWebhookUrl."""
        sandbox = self._sandbox
        webhook = sandbox.state.webhook(webhook_id)
        assert webhook is not None
        url = sandbox.state.integration(webhook.integration_id).webhook_url or webhook.url
        if url is None:
            raise NoWebhookUrl
        now = sandbox.clock.now_ms()
        sandbox.state.update_webhook(webhook_id, url=url, first_attempt_at=now, next_attempt_at=now, retries=0)
        self.wake()

    def wake(self) -> None:
        """Look for due work now. May be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def forget(self) -> None:
        """Stop what is being delivered; for reset and shutdown. Called on the event loop."""
        for task in self._in_flight.values():
            task.cancel()
        self._held = None
        self._released_by.clear()

    @property
    def are_idle(self) -> bool:
        """Nothing is being sent, due, or waiting for its first attempt."""
        waiting = self._sandbox.state.has_undelivered_first_attempt(self._sandbox.clock.now_ms())
        return not self._in_flight and not waiting

    # The worker

    async def run(self) -> None:
        """Deliver until cancelled; whatever was due while no process ran goes first."""
        self._loop = asyncio.get_running_loop()
        limits = httpx2.Limits(max_connections=PARALLEL_DELIVERIES * 2, max_keepalive_connections=16)
        timeout = httpx2.Timeout(self._sandbox.settings.webhook_timeout_seconds)
        # trust_env off: a proxy set for the internet must not carry calls to localhost.
        async with httpx2.AsyncClient(limits=limits, timeout=timeout, trust_env=False) as client:
            try:
                while True:
                    self._wake.clear()
                    self._run_due(client)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), self._seconds_to_next())
            finally:
                self.forget()
                await asyncio.gather(*self._in_flight.values(), return_exceptions=True)

    def _seconds_to_next(self) -> float:
        due = self._sandbox.state.next_due_ms()
        if due is None:
            return _IDLE_SECONDS
        # A due row that is still in flight would spin the loop, hence the lower bound.
        return min(max((due - self._sandbox.clock.now_ms()) / 1000, 0.02), _IDLE_SECONDS)

    def _run_due(self, client: httpx2.AsyncClient) -> None:
        timers.run_due(self._sandbox)
        now = self._sandbox.clock.now_ms()
        for webhook in self._sandbox.state.due_webhooks(now):
            if webhook.id not in self._in_flight:
                task = asyncio.create_task(self._deliver(client, webhook))
                self._in_flight[webhook.id] = task
                task.add_done_callback(partial(self._landed, webhook.id))

    def _landed(self, webhook_id: int, task: asyncio.Task[None]) -> None:
        # A cancelled delivery is a reset or the end; any other end than by return is a defect to see.
        if not task.cancelled():
            task.result()
        self._in_flight.pop(webhook_id, None)
        self._wake.set()

    async def _deliver(self, client: httpx2.AsyncClient, webhook: Webhook) -> None:
        trouble = self._sandbox.dice.webhook_attempt(
            webhook.id, webhook.retries, webhook.event, self._sandbox.clock.now_ms()
        )
        async with self._slots:
            copies = 2 if trouble.doubled and not trouble.dropped else 1
            sent = [self._send(client, webhook, trouble) for _ in range(copies)]
            attempts = await asyncio.gather(*sent)
        self._record(webhook, attempts)

    async def _send(self, client: httpx2.AsyncClient, webhook: Webhook, trouble: WebhookTrouble) -> Attempt:
        sandbox = self._sandbox
        at = sandbox.clock.now_ms()
        fault = trouble.describe()
        if trouble.dropped:
            return Attempt(at, None, "dropped on the way", None, fault)
        if trouble.receiver_down:
            return Attempt(at, None, "ConnectError: the receiver is down", None, fault)
        integration = sandbox.state.integration(webhook.integration_id)
        signed = signature(webhook.body, trouble.signing_key or integration.secret_key)
        if trouble.signature_corrupted:
            signed = signed[:-1] + ("0" if signed[-1] != "0" else "1")
        url = integration.webhook_url or webhook.url
        assert url is not None
        try:
            async with asyncio.timeout(sandbox.settings.webhook_timeout_seconds):
                status, answer = await _post(client, url, webhook.body, signed)
        except TimeoutError:
            return Attempt(at, None, "no answer in time", None, fault)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            return Attempt(at, None, f"{type(error).__name__}: {error}"[:500], None, fault)
        return Attempt(at, status, None, answer, fault)

    def _record(self, webhook: Webhook, attempts: list[Attempt]) -> None:
        sandbox = self._sandbox
        with sandbox.state.transaction():
            for attempt in attempts:
                sandbox.state.add_attempt(webhook.id, attempt)
            current = sandbox.state.webhook(webhook.id)
            if current is not None and current.first_attempt_at == webhook.first_attempt_at:
                self._reschedule(webhook, attempts)
            released = self._released_by.pop(webhook.id, None)
            if released is not None:
                sandbox.state.update_webhook(released, next_attempt_at=sandbox.clock.now_ms())

    def _reschedule(self, webhook: Webhook, attempts: list[Attempt]) -> None:
        settings, state = self._sandbox.settings, self._sandbox.state
        if any(attempt.status in settings.webhook_delivered_statuses for attempt in attempts):
            state.update_webhook(webhook.id, delivered=1, next_attempt_at=None)
            return
        domain = state.integration(webhook.integration_id).domain
        offsets = settings.webhook_retry_offsets_live if domain == "live" else settings.webhook_retry_offsets_test
        more = webhook.retries < len(offsets)
        due = webhook.first_attempt_at + offsets[webhook.retries] * 1000 if more else None
        state.update_webhook(webhook.id, next_attempt_at=due, retries=webhook.retries + 1)


def request_headers(signed: str) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "accept": "application/json, text/plain, */*",
        "user-agent": "Paystack/2.0",
        "x-paystack-signature": signed,
    }


async def _post(client: httpx2.AsyncClient, url: str, body: bytes, signed: str) -> tuple[int, str]:
    sending = client.stream("POST", url, content=body, headers=request_headers(signed), follow_redirects=False)
    async with sending as response:
        received = b""
        async for chunk in response.aiter_bytes():
            received += chunk
            if len(received) >= _READ_RESPONSE_BYTES:
                break
        return response.status_code, received.decode("utf-8", "replace")[:KEPT_RESPONSE_CHARS]
