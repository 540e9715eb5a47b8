"""The command `paystack-sandbox`."""

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2

from paystack_sandbox.money import COUNTRIES, CURRENCIES
from paystack_sandbox.sandbox import DEFAULT_SECRET_KEY, InvalidConfiguration, Sandbox
from paystack_sandbox.server import address_of, build_server, listen
from paystack_sandbox.settings import Settings
from paystack_sandbox.state import State, UnusableDataFile

_MAX_PORT = 65535
_REACH_SECONDS = 3.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted. Exits 0 then, 2 where an option is wrong or the port is taken."""
    options = _parser().parse_args(arguments)
    try:
        _serve(options)
    except (InvalidConfiguration, UnusableDataFile) as error:
        sys.exit(_complaint(str(error)))
    except OSError as error:
        # A name that can't be resolved has a negative number, which the system's table doesn't know.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or error
        sys.exit(_complaint(f"can't listen on {options.host} port {options.port}: {reason}. Try another --port."))


def _complaint(message: str) -> int:
    sys.stderr.write(f"paystack-sandbox: {message}\n")
    return 2


def _serve(options: argparse.Namespace) -> None:
    listener = listen(options.host, options.port)
    address = address_of(listener, options.host)
    with contextlib.closing(listener), contextlib.closing(State(options.data or ":memory:")) as state:
        sandbox = Sandbox(
            state,
            secret_keys=options.secret_key or [DEFAULT_SECRET_KEY],
            currencies=options.currency or COUNTRIES[options.country],
            webhook_url=options.webhook_url,
            public_url=options.public_url.rstrip("/"),
            seed=options.seed,
            allow_remote_control=options.allow_remote_control,
            settings=Settings(
                merchant_name=options.merchant_name,
                callback_url=options.callback_url,
                pass_fees_to_payer=options.pass_fees_to_payer,
            ),
        )
        server = build_server(sandbox, lambda: _say(address, sandbox, options.webhook_url))
        # The server stops in good order on Ctrl-C or SIGTERM, and then raises the same again.
        signal.signal(signal.SIGTERM, _interrupt)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(address: str, sandbox: Sandbox, webhook_url: str | None) -> None:
    webhooks = webhook_url or "nowhere (no --webhook-url)"
    who = "any machine" if sandbox.allow_remote_control else "this machine only"
    sys.stdout.write(
        f"Paystack sandbox on {address}, webhooks to {webhooks}.\n"
        f"Dashboard at the same address; it and the control routes serve {who}. Ctrl-C stops it.\n"
    )
    sys.stdout.flush()
    if webhook_url is not None:
        # Aside: looking up a name may take longer than anyone would wait for the start.
        threading.Thread(target=_warn_where_nobody_listens, args=(webhook_url,), daemon=True).start()


def _warn_where_nobody_listens(webhook_url: str) -> None:
    url = httpx2.URL(webhook_url)
    try:
        socket.create_connection((url.host, url.port or {"https": 443}.get(url.scheme, 80)), _REACH_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        _complaint(f"nothing listens at {webhook_url} yet ({reason}). Webhooks are kept, and tried again by the clock.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="paystack-sandbox",
        description="Paystack on localhost: HTTP API, hosted checkout and signed webhooks. No money moves.",
        epilog="Point your client's base address at the printed one, and open that in a browser to watch.",
    )
    _add_serving(parser)
    _add_merchant(parser)
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh", "fish", "tcsh", "powershell"),
        help="print a script with which the shell completes these options",
    )
    return parser


def _add_serving(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=_port, default=8010, help="port to listen on; 0 takes a free one (default %(default)s)")
    add("--webhook-url", metavar="URL", help="where webhooks are sent")
    add("--data", type=_data_file, metavar="FILE", help="keep everything in this SQLite file, not in memory")
    add("--public-url", default="", metavar="URL", help="this server's address as payers' browsers see it")
    add("--seed", type=int, metavar="N", help="make the faults repeatable")
    add(
        "--allow-remote-control",
        action="store_true",
        help="let other machines use the dashboard and the control routes",
    )


def _add_merchant(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--secret-key",
        action="append",
        metavar="KEY[:COUNTRY]",
        help="the key clients use, sk_test_… or sk_live_…, and its own country where several have different ones; "
        f"repeat it for more (default {DEFAULT_SECRET_KEY})",
    )
    money = parser.add_mutually_exclusive_group()
    money.add_argument(
        "--country",
        choices=tuple(COUNTRIES),
        default="ghana",
        help="the merchant's, with its currency, channels and deadlines (default %(default)s)",
    )
    money.add_argument(
        "--currency",
        type=_currencies,
        metavar="CODE[,CODE]",
        help=f"instead: the currencies the merchant may charge, the default first, of {', '.join(CURRENCIES)}",
    )
    add("--merchant-name", default=Settings().merchant_name, metavar="NAME", help="shown on the checkout")
    add("--callback-url", metavar="URL", help="where payers return to when a transaction names no callback")
    add("--pass-fees-to-payer", action="store_true", help="charge Paystack's fee on top of the amount")


class _PrintCompletion(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        # Not at the top: no start of the server needs it.
        import shtab  # noqa: PLC0415

        for action in parser._actions:
            if action.metavar == "FILE":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        sys.stdout.write(shtab.complete(parser, str(values)) + "\n")
        parser.exit()


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return port


def _data_file(text: str) -> str:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} can't be written: no such folder, or a folder itself")
    return text


def _currencies(text: str) -> list[str]:
    return [code.strip().upper() for code in text.split(",")]
