"""One call to Paystack: sent, tried again where that is safe, timed, logged.

    what happened                         a read    a write   why
    ------------------------------------  --------  --------  ---------------------------------------------------
    no connection, or none free in time   again     again     nothing was sent
    sent, then silence or a cut           again     no        reading changes nothing; a write may have been done,
                                                              and Paystack has no idempotency keys: verify instead
    408, 5xx                              again     no        the same
    429, lifted within 3 s                again     again     counted and refused before any work was done
    429, lifted later, or who knows when  no        no        a visitor does not wait that long, and each early
                                                              repeat is counted too: `retry_after_seconds`
    any other answer                      no        no        the same question gets the same answer

Which of them a failure is stands in the error: PaystackUnavailable or a subclass is the upper part of the table, and
`outcome_unknown` is true on a write that may have been done.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Literal
from urllib.parse import urlencode

import httpx2

from ai_features.exceptions import (
    PaystackBadResponse,
    PaystackError,
    PaystackRateLimited,
    PaystackTimeout,
    PaystackUnavailable,
)
from ai_features.paystack import replies
from ai_features.paystack.breaker import Breaker
from ai_features.paystack.keys import SecretKey
from ai_features.paystack.transport import LIMITS, Transport, ending_at

log = logging.getLogger("ai_features.paystack")

LONGEST_RATE_LIMIT_WAIT_SECONDS = 3
FIRST_PAUSE_SECONDS = 0.2
PAUSE_GROWTH = 3.0

_DISTRIBUTION = "paystack-ai-credits"
# Of all calls together; inherited by no thread.
_all_end_at: ContextVar[float] = ContextVar("paystack_calls_end_at", default=math.inf)

_NOTHING_WAS_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, how often and how much; `total_seconds` bounds a call with all its repeats."""

    connect_seconds: float = 5
    read_seconds: float = 15
    total_seconds: float = 25
    max_retries: int = 2
    max_response_bytes: int = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Call:
    """`template` is the path as the log shows it; `reference` is for the log alone."""

    method: Literal["GET", "POST"]
    template: str
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    reference: str = ""

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    @property
    def target(self) -> str:
        path = self.path or self.template
        return f"{path}?{urlencode(self.query)}" if self.query else path


@dataclass(slots=True)
class _Course:
    """What became of a call, for the log."""

    attempts: int = 0
    outcome: str = "not_sent"


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """All calls in the block together end within so many seconds; one that does not is a PaystackTimeout.

    For who has to answer somebody else in the meantime. Holds for this thread.
    """
    token = _all_end_at.set(min(time.monotonic() + seconds, _all_end_at.get()))
    try:
        yield
    finally:
        _all_end_at.reset(token)


class Connection:
    def __init__(
        self,
        key: SecretKey,
        base_url: str,
        patience: Patience,
        *,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._key = key
        self._base_url = base_url.rstrip("/")
        self._patience = patience
        self._transport = transport
        self._sleep = sleep
        self._jitter = jitter
        self._clients: dict[int, httpx2.Client] = {}
        self._breaker = Breaker()
        self.rate_limit: replies.RateLimit | None = None
        self.date = ""
        """Both as the last answer told them."""

    def perform(self, call: Call) -> replies.Envelope:
        """The envelope of the accepted call. Raises a PaystackError; takes at most the patience's total."""
        self._key.ensure_usable()
        started = time.monotonic()
        ends_at = min(started + self._patience.total_seconds, _all_end_at.get())
        if started >= ends_at:
            raise PaystackTimeout(outcome_unknown=False)
        course = _Course()
        try:
            with self._breaker.passed(ends_at):
                return self._persist(call, ends_at, course)
        finally:
            _log(call, course, time.monotonic() - started)

    def _persist(self, call: Call, ends_at: float, course: _Course) -> replies.Envelope:
        while True:
            course.attempts, course.outcome = course.attempts + 1, "error"
            try:
                reply = self._send(call, ends_at)
                envelope = replies.read(reply, is_write=call.is_write)
            except PaystackError as error:
                course.outcome = str(error.status_code or error.code)
                pause = self._pause_before_repeat(error, course.attempts)
                if pause is None or time.monotonic() + pause >= ends_at:
                    raise
            else:
                course.outcome = str(reply.status_code)
                return envelope
            self._sleep(pause)

    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def _pause_before_repeat(self, error: PaystackError, attempts: int) -> float | None:
        """The module's table; None is "no"."""
        if attempts > self._patience.max_retries or not isinstance(error, PaystackUnavailable) or error.outcome_unknown:
            return None
        pause = FIRST_PAUSE_SECONDS * PAUSE_GROWTH ** (attempts - 1) * (0.5 + self._jitter())
        if not isinstance(error, PaystackRateLimited):
            return pause
        lifted_in = error.retry_after_seconds
        return None if lifted_in is None or lifted_in > LONGEST_RATE_LIMIT_WAIT_SECONDS else max(pause, lifted_in)

    def _send(self, call: Call, ends_at: float) -> replies.Reply:
        client = self._client()
        request = client.build_request(
            call.method, f"{self._base_url}{call.target}", content=call.body, headers=_headers(call)
        )
        sent_at = time.monotonic()
        try:
            with ending_at(ends_at):
                response = client.send(request, stream=True, auth=_Bearer(self._key))
                self._breaker.heard()
                with contextlib.closing(response):
                    body = b"".join(self._limited(response, call, ends_at))
        except httpx2.RequestError as error:
            self._note_silence(error, time.monotonic() - sent_at)
            raise _failure(error, call) from _without_frames(error)
        self.rate_limit = replies.rate_limit(response.headers)
        self.date = response.headers.get("date", "")
        return replies.Reply(response.status_code, response.headers, self._key.scrubbed(body))

    def _note_silence(self, error: httpx2.RequestError, waited_seconds: float) -> None:
        """One that was cut short, for somebody else's sake or as the last of several, tells nothing of Paystack by
        itself; but while the breaker is open it is another that heard nothing."""
        if not isinstance(error, httpx2.TimeoutException) or isinstance(error, httpx2.PoolTimeout):
            return
        patience = self._patience
        in_full = patience.connect_seconds if isinstance(error, httpx2.ConnectTimeout) else patience.read_seconds
        if waited_seconds >= in_full or self._breaker.is_open:
            self._breaker.heard_nothing()

    def _limited(self, response: httpx2.Response, call: Call, ends_at: float) -> Iterator[bytes]:
        # Decoded bytes are counted, as an answer may come compressed although none was asked for.
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self._patience.max_response_bytes:
                raise PaystackBadResponse(
                    f"Paystack's answer is larger than {self._patience.max_response_bytes} bytes.",
                    outcome_unknown=call.is_write,
                    status_code=response.status_code,
                )
            if time.monotonic() > ends_at:
                raise PaystackTimeout(outcome_unknown=call.is_write)
            yield chunk

    def _client(self) -> httpx2.Client:
        """This process's client. There is no lock, which a fork could copy in its locked state: threads that meet
        here may make two clients, and one of them is dropped before it has opened a connection."""
        process = os.getpid()
        client = self._clients.get(process) or self._clients.setdefault(process, self._new_client())
        for other in self._clients.keys() - {process}:
            # The parent's sockets. Dropped and not closed: closing would wait for locks that no thread holds here.
            self._clients.pop(other, None)
        return client

    def _new_client(self) -> httpx2.Client:
        patience = self._patience
        return httpx2.Client(
            transport=self._transport or Transport(),
            timeout=httpx2.Timeout(
                patience.read_seconds, connect=patience.connect_seconds, pool=patience.connect_seconds
            ),
            limits=LIMITS,
            follow_redirects=False,
            trust_env=False,
        )


class _Bearer(httpx2.Auth):
    """The key is in the request only while it is being sent, not in the exceptions that keep the request."""

    def __init__(self, key: SecretKey) -> None:
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        try:
            yield request
        finally:
            del request.headers["Authorization"]


def _headers(call: Call) -> dict[str, str]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": _user_agent()}
    return headers | {"Content-Type": "application/json"} if call.body is not None else headers


def _user_agent() -> str:
    try:
        return f"{_DISTRIBUTION}/{version(_DISTRIBUTION)}"
    except PackageNotFoundError:
        return _DISTRIBUTION


def _failure(error: httpx2.RequestError, call: Call) -> PaystackError:
    if isinstance(error, httpx2.DecodingError):
        return PaystackBadResponse(outcome_unknown=call.is_write)
    kind = PaystackTimeout if isinstance(error, httpx2.TimeoutException) else PaystackUnavailable
    return kind(outcome_unknown=call.is_write and not isinstance(error, _NOTHING_WAS_SENT))


def _without_frames(error: BaseException) -> BaseException:
    """The error and its causes without their frames: locals of the HTTP library hold the request as sent, with the
    key, and error trackers collect locals."""
    error.__traceback__ = None
    for earlier in (error.__cause__, error.__context__):
        if earlier is not None:
            _without_frames(earlier)
    return error


def _log(call: Call, course: _Course, seconds: float) -> None:
    reference = call.reference if call.reference.isprintable() else repr(call.reference)
    log.info(
        "%s %s %s %.0f ms attempts=%d reference=%s",
        call.method,
        call.template,
        course.outcome,
        seconds * 1000,
        course.attempts,
        reference,
        extra={"reference": reference} if reference else None,
    )
