"""Bodies that are too long, too slow, or not what they say."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from app.management.commands.demo import web_command

ROOT = Path(__file__).parents[3]
LONG = b'{"credits": 1, "metadata": {"note": "' + b"x" * 70_000 + b'"}}'


@pytest.mark.parametrize("path", ["spend/", "purchase/", "reservations/", "reservations/1/capture/", "verify/"])
def test_long_body_is_refused_whatever_it_says(api: APIClient, path: str) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        answer = api.post(f"/ai/api/credits/{path}", LONG, content_type=content_type)
        assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")


def test_long_body_is_refused_before_the_password_is_looked_at(db: None) -> None:
    assert Client().post("/ai/api/token/", LONG, content_type="application/json").status_code == 413


@pytest.mark.parametrize("path", ["/credits/", "/accounts/login/", "/admin/login/"])
def test_page_with_an_endless_form_is_refused(db: None, path: str) -> None:
    form = "&".join(f"field{n}=1" for n in range(2000))
    many = Client().post(path, form, content_type="application/x-www-form-urlencoded")
    long = Client().post(path, b"a=" + b"x" * 3_000_000, content_type="application/x-www-form-urlencoded")
    assert many.status_code == 400
    assert long.status_code in (400, 413)  # by Django's version


@pytest.fixture
def server(free_port: int) -> Iterator[int]:
    """The reference project as `make demo` serves it."""
    process = subprocess.Popen(web_command(free_port), cwd=ROOT, env={**os.environ, "SECRET_KEY": "x"})
    wait_for(lambda: answers(free_port), seconds=30)
    yield free_port
    process.terminate()
    process.wait()


@pytest.fixture
def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30).status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_for(what: Any, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


HEAD = b"POST /ai/api/webhooks/paystack/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"\r\n{"], ids=["nothing", "half a head", "half a body"])
def test_slow_requests_keep_nobody_else_waiting(server: int, sent: bytes) -> None:
    slow = [socket.create_connection(("127.0.0.1", server)) for _ in range(300)]
    try:
        for connection in slow:
            connection.sendall(sent)
        time.sleep(0.5)
        assert all(answers(server) for _ in range(5))
    finally:
        for connection in slow:
            connection.close()


def test_body_of_a_gigabyte_is_refused_before_it_is_sent(server: int) -> None:
    with socket.create_connection(("127.0.0.1", server), timeout=10) as connection:
        connection.sendall(HEAD.replace(b"1000", b"1000000000") + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 413"
