"""`make demo`: the whole system on this machine, Paystack included."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from ai_features.billing import AIBillingService
from ai_features.billing.reconcile import ensure_scheduled

Children = dict[str, subprocess.Popen[bytes]]

SANDBOX_KEY = "sk_test_sandbox"
STARTS_WITHIN_SECONDS = 60

# Its own limits let a hundred idle connections keep everybody out, and put bodies of a gigabyte on the disk.
WAITRESS = ("--connection-limit=2000", "--asyncore-use-poll", "--channel-timeout=30", "--max-request-body-size=2100000")

# username, is staff, credits to start with
LOGINS = (("demo", False, "45.5"), ("other", False, None), ("admin", True, None))

BANNER = """
  AI credits      {site}/credits/
  API             {site}/ai/api/docs/
  Admin           {site}/admin/
  Paystack        {paystack}

  Log in as demo / demo (45.5 credits to start with), other / other, or admin / admin (staff).
  Test card 4084 0840 8408 4081, any future date, CVV 408. Mobile money 055 123 4987.

  Ctrl-C stops everything.
"""


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Migrate, make the demo logins, and serve the site with the Paystack sandbox until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
        parser.add_argument("--sandbox-port", type=int, default=int(os.environ.get("SANDBOX_PORT", "8010")))
        parser.add_argument("--sandbox-data", type=Path, default=settings.BASE_DIR / ".demo" / "sandbox.sqlite3")

    def handle(self, *args: Any, port: int, sandbox_port: int, sandbox_data: Path, **options: Any) -> None:
        for wanted, variable in ((port, "PORT"), (sandbox_port, "SANDBOX_PORT")):
            ensure_free(wanted, variable)
        call_command("migrate", interactive=False, verbosity=0)
        make_logins()
        ensure_scheduled()
        site, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
        commands = {"web": web_command(port), "tasks": [sys.executable, "manage.py", "db_worker"]}
        environment = dict(os.environ)
        if wants_sandbox():
            key = settings.PAYSTACK_SECRET_KEY or SANDBOX_KEY
            environment |= {"PAYSTACK_SECRET_KEY": key, "PAYSTACK_BASE_URL": sandbox}
            commands["sandbox"] = sandbox_command(sandbox_port, key, f"{site}/ai/api/webhooks/paystack/", sandbox_data)
        # A shell starts what runs in its background with SIGINT ignored; the children listen to it all the same.
        for stops in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stops, _interrupt)
        children = {name: subprocess.Popen(command, env=environment) for name, command in commands.items()}  # noqa: S603
        try:
            wait_until_ready(children, [f"{site}/readyz", *([f"{sandbox}/_sandbox/health"] if wants_sandbox() else [])])
            self.stdout.write(BANNER.format(site=site, paystack=sandbox if wants_sandbox() else "the real one"))
            self.stdout.flush()
            watch(children)
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        finally:
            stop(children.values())


def wants_sandbox() -> bool:
    """With a key of your own and Paystack's address left alone, the demo talks to Paystack itself."""
    host = urlsplit(settings.PAYSTACK_BASE_URL).hostname
    return not settings.PAYSTACK_SECRET_KEY or host in ("127.0.0.1", "localhost")


def ensure_free(port: int, variable: str) -> None:
    """Say so before anything is started and half of it fails."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} is taken. Choose another: make demo {variable}=…") from error


def make_logins() -> None:
    """The three demo logins, in an empty database only: their passwords are known to everybody."""
    users = get_user_model().objects
    if not users.filter(username="demo").exists():
        if users.exists():
            raise CommandError(
                "This database has users already. The demo makes logins with known passwords; give it another."
            )
        for username, is_staff, _credits in LOGINS:
            create = users.create_superuser if is_staff else users.create_user
            create(username, f"{username}@example.com", username)
    for username, _is_staff, credits_ in LOGINS:
        if credits_ is not None:
            user = users.get(username=username)
            AIBillingService.grant(user, credits_, reason="Demo", idempotency_key="demo-start")


def web_command(port: int) -> list[str]:
    """One process with threads: whatever stops it leaves no worker behind that holds the port."""
    server = [sys.executable, "-m", "waitress", "--threads=16", *WAITRESS]
    return [*server, f"--listen=127.0.0.1:{port}", "app.wsgi:application"]


def sandbox_command(port: int, key: str, webhook_url: str, data: Path) -> list[str]:
    """State in a file, so that a demo stopped in the middle of a payment goes on where it was."""
    data.parent.mkdir(parents=True, exist_ok=True)
    server = [sys.executable, "-m", "paystack_sandbox", "--port", str(port), "--secret-key", key]
    return [*server, "--webhook-url", webhook_url, "--data", str(data)]


def wait_until_ready(children: Children, addresses: list[str]) -> None:
    give_up_at = time.monotonic() + STARTS_WITHIN_SECONDS
    for address in addresses:
        while not answers(address):
            check_alive(children)
            if time.monotonic() > give_up_at:
                raise CommandError(f"{address} did not answer within {STARTS_WITHIN_SECONDS} seconds.")
            time.sleep(0.2)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310  our own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def watch(children: Children) -> None:
    while True:
        check_alive(children)
        time.sleep(0.5)


def check_alive(children: Children) -> None:
    for name, child in children.items():
        if child.poll() is not None:
            raise CommandError(f"The {name} process ended (exit status {child.returncode}); is its port taken?")


def stop(children: Iterable[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
