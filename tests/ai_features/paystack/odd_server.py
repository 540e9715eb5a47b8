"""A server on a real socket that answers what it is told, byte by byte: what the sandbox is too well-behaved for."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Self

Act = Callable[[socket.socket], None]


def reply(body: Any, status: int = 200, **headers: str) -> bytes:
    """A complete HTTP answer; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Odd", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def accepted(data: Any, meta: Any = None) -> bytes:
    return reply({"status": True, "message": "ok", "data": data, "meta": meta})


def refused(message: str, code: str = "", status: int = 400) -> bytes:
    return reply({"status": False, "message": message, "code": code}, status)


class OddServer:
    """`answers` are given in order, the last one for good: bytes, or a function that does as it likes with the
    socket. After bytes the connection stays open."""

    def __init__(self) -> None:
        self.answers: list[bytes | Act] = [accepted({})]
        self.requests: list[bytes] = []
        self.connections = 0
        self._listeners: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self.url = ""

    @property
    def request_lines(self) -> list[str]:
        return [request.split(b"\r\n")[0].decode() for request in self.requests]

    def body(self, index: int = -1) -> Any:
        return json.loads(self.requests[index].split(b"\r\n\r\n", 1)[1])

    def listen_at(self, address: tuple[str, int]) -> None:
        listener = socket.create_server(address)
        self._listeners.append(listener)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def __enter__(self) -> Self:
        self.listen_at(("127.0.0.1", 0))
        return self

    def __exit__(self, *_: object) -> None:
        for end in (*self._listeners, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Closed here too: one that comes as the server ends is on no list yet.
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as stream:
            for request in _requests(stream):
                self.requests.append(request)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                else:
                    answer(connection)
                    connection.shutdown(socket.SHUT_RDWR)
                    return


def _requests(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline():
        head = [line]
        length = 0
        while head[-1] != b"\r\n":
            head.append(stream.readline())
            name, _, value = head[-1].partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        yield b"".join(head) + stream.read(length)
