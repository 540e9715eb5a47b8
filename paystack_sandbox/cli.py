"""The command `paystack-sandbox`."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from paystack_sandbox.money import CURRENCIES
from paystack_sandbox.sandbox import DEFAULT_SECRET_KEY, InvalidConfiguration, Sandbox
from paystack_sandbox.server import address_of, build_server, listen
from paystack_sandbox.settings import Settings
from paystack_sandbox.state import State, UnusableDataFile

_MAX_PORT = 65535


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
        sys.exit(_complaint(f"can't listen on {options.host} port {options.port}: {reason}"))


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
            currencies=options.currency or ["GHS"],
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
        server = build_server(sandbox, lambda: _say(address, options.webhook_url))
        # The server stops in good order on Ctrl-C and then raises the interrupt again.
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def _say(address: str, webhook_url: str | None) -> None:
    webhooks = webhook_url or "nowhere (no --webhook-url)"
    sys.stdout.write(f"Paystack sandbox on {address}, webhooks to {webhooks}. Ctrl-C stops it.\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="paystack-sandbox",
        description="Paystack on localhost: HTTP API, hosted checkout and signed webhooks. No money moves.",
        epilog="Point your client's base address at the printed one. See docs/SANDBOX.md.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=_port, default=8010, help="port to listen on; 0 takes a free one (default %(default)s)")
    add("--webhook-url", metavar="URL", help="where webhooks are sent")
    add(
        "--secret-key",
        action="append",
        metavar="KEY",
        help=f"the key clients use, sk_test_… or sk_live_…; repeat it for more (default {DEFAULT_SECRET_KEY})",
    )
    add("--data", type=_data_file, metavar="FILE", help="keep everything in this SQLite file, not in memory")
    add(
        "--currency",
        type=_currencies,
        metavar="CODE[,CODE]",
        help=f"currencies the merchant may charge, the default first: {', '.join(CURRENCIES)} (default GHS)",
    )
    add("--merchant-name", default=Settings().merchant_name, metavar="NAME", help="shown on the checkout")
    add("--callback-url", metavar="URL", help="where payers return to when a transaction names no callback")
    add("--pass-fees-to-payer", action="store_true", help="charge Paystack's fee on top of the amount")
    add("--public-url", default="", metavar="URL", help="this server's address as payers' browsers see it")
    add("--seed", type=int, metavar="N", help="make the faults repeatable")
    add(
        "--allow-remote-control",
        action="store_true",
        help="let other machines use the dashboard and the control routes",
    )
    return parser


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
