"""Sockets that know when the whole call must be over.

A client's read timeout starts anew with every byte, so a server that sends one byte a second holds a worker for
hours; and a connect timeout holds for each of a host's addresses. Here every wait is cut to what is left of the
call. Only the look-up of the host's name is outside it: the system's resolver has its own timeout.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2
from httpcore2 import SOCKET_OPTION

_ends_at: ContextVar[float] = ContextVar("paystack_call_ends_at")

LIMITS = httpx2.Limits(
    max_connections=50,
    max_keepalive_connections=10,
    # Well under the minute after which load balancers drop an idle connection, so a write seldom meets a dead one.
    keepalive_expiry=20,
)


@contextlib.contextmanager
def ending_at(moment: float) -> Iterator[None]:
    """Every wait inside ends by this moment of `time.monotonic()`."""
    token = _ends_at.set(moment)
    try:
        yield
    finally:
        _ends_at.reset(token)


class Transport(httpx2.HTTPTransport):
    """httpx2's own transport on deadline-aware sockets.

    No proxy is taken from the environment: every request carries the secret key, so its way is configured in code
    (`PaystackService(transport=httpx2.HTTPTransport(proxy=…))`). SSL_CERT_FILE and SSL_CERT_DIR are honoured.
    """

    def __init__(self) -> None:
        context = httpx2.create_ssl_context()
        super().__init__(verify=context, trust_env=False, limits=LIMITS)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=LIMITS.max_connections,
            max_keepalive_connections=LIMITS.max_keepalive_connections,
            keepalive_expiry=LIMITS.keepalive_expiry,
            network_backend=_Backend(),
        )


class _Backend(httpcore2.NetworkBackend):
    def __init__(self) -> None:
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        failure: Exception = httpcore2.ConnectError(f"{host} has no address.")
        for address in _addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(address, port, _left(timeout), local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream)
        raise failure


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _left(timeout: float | None) -> float:
    left = _ends_at.get() - time.monotonic()
    # Not zero, which would mean "do not block"; a millisecond makes the socket itself say that time is up.
    return max(left if timeout is None else min(timeout, left), 0.001)
