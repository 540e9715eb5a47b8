"""Where the time of one `POST /ai/api/credits/spend/` goes: `python -m benchmarks.profile`.

One client, one process, no concurrency: the requests are handed to the WSGI application directly, with a clock around
each layer that stops while a layer below it runs. What granian, the kernel and wrk add is the difference to the same
request over HTTP, on one connection to one worker. The clocks themselves cost about half a microsecond a layer.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any
from unittest.mock import patch

import django

from benchmarks.postgres import Postgres

REQUESTS = 3000
WARM_UP = 300
SECONDS = 5

LAYERS = {
    "ai_features.lean.TokenRequestsFirst._at_once": "address resolved, the view's own lines",
    "ai_features.lean._asked": "header and body read, JSON parsed",
    "ai_features.lean.hash_token": "token hashed",
    "ai_features.billing.spending.spend_by_token": "input checked, priced, result made",
    "ai_features.billing.ledger.queue.apply": "queue",
    "ai_features.billing.ledger.hot_path.by_token": "statement's parameters written, answer read",
    "ai_features.billing.ledger.hot_path.ask": "PostgreSQL: token and spend, durable, there and back",
    "ai_features.lean.json_response": "answer written as JSON",
}
REST = "Django: handler, request, response, the middleware before"


class Clock:
    """Microseconds of each layer in the request at hand, those of the layers below taken off."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._below = [0.0]

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._below.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = (time.perf_counter() - start) * 1e6
                self.spent[name] += elapsed - self._below.pop()
                self._below[-1] += elapsed

        return timed


def main() -> None:
    server = Postgres.start()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    os.environ["BENCH_DATABASE"] = json.dumps(server.settings)
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    from benchmarks import data, http  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    wallets = data.make_wallets(1, "buyer")
    (token,) = data.make_tokens(wallets)
    layers = _in_process(token)
    over_http = 1e6 / http.one_connection(http.spend_request(token), SECONDS)
    print("| layer | µs, median |\n|---|---|")
    for name, spent in layers.items():
        print(f"| {name} | {spent:.0f} |")
    total = sum(layers.values())
    print(f"| **in the application** | **{total:.0f}** |")
    print(f"| granian, the kernel's sockets, wrk | {over_http - total:.0f} |")
    print(f"| **over HTTP, one connection** | **{over_http:.0f}** |")


def _in_process(token: str) -> dict[str, float]:
    from ai_features.wsgi import get_wsgi_application  # noqa: PLC0415

    clock = Clock()
    samples: list[dict[str, float]] = []
    with _timed(clock):
        serve = clock.around(REST, partial(_serve, get_wsgi_application()))
        for _ in range(REQUESTS):
            clock.spent.clear()
            assert b"new_balance" in serve(_environ(token))
            samples.append(dict(clock.spent))
    return {name: median(sample[name] for sample in samples[WARM_UP:]) for name in [REST, *LAYERS.values()]}


def _serve(application: Any, environ: dict[str, Any]) -> bytes:
    answer = application(environ, lambda _status, _headers: None)
    return b"".join(answer)


@contextmanager
def _timed(clock: Clock) -> Iterator[None]:
    patches = []
    for path, name in LAYERS.items():
        owner, attribute = _found(path)
        patches.append(patch.object(owner, attribute, clock.around(name, getattr(owner, attribute))))
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _found(path: str) -> tuple[Any, str]:
    """What holds the attribute: a module, or a class in one."""
    parent, _, attribute = path.rpartition(".")
    try:
        return import_module(parent), attribute
    except ModuleNotFoundError:
        module, _, name = parent.rpartition(".")
        return getattr(import_module(module), name), attribute


def _environ(token: str) -> dict[str, Any]:
    body = b'{"credits": 0.5, "feature": "chat"}'
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/ai/api/credits/spend/",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"Token {token}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
    }


if __name__ == "__main__":
    main()
