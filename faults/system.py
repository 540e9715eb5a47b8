"""The processes: started, watched, killed and started again, each with its log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from faults.database import Database

KEY, OLD_KEY = "sk_test_sandbox", "sk_test_old"
WEB_PROCESSES = 3
STARTS_WITHIN_SECONDS = 90
LOOKS_EVERY_SECONDS = 0.2
MAY_END_BY_THEMSELVES = frozenset({"worker"})
"""django-tasks' worker ends when its database goes away and leaves it to its supervisor."""

_MAKE_BUYERS = """
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
User = get_user_model()
secret = make_password("buyer")
names = [f"buyer{number}" for number in range(HOW_MANY)]
User.objects.bulk_create(User(username=name, email=f"{name}@example.com", password=secret) for name in names)
"""


@dataclass
class Process:
    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    fds: tuple[int, ...] = ()
    child: subprocess.Popen[bytes] | None = None
    killed: bool = False

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command, env=self.environment, pass_fds=self.fds, stdout=log, stderr=subprocess.STDOUT
            )
        self.killed = False

    def kill(self) -> bool:
        """Without warning; says whether there was anything to kill."""
        if self.child is None or self.child.poll() is not None:
            return False
        self.killed = True
        self.child.send_signal(signal.SIGKILL)
        return True


@dataclass
class System:
    """The project and the sandbox, running. `killed` and `ended` count processes by name as they were found dead."""

    folder: Path
    database: Database
    seed: int
    buyers: int
    killed: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        # One of several processes that wake up for one connection must find it gone, not wait for the next.
        self._socket.setblocking(False)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            sandbox_port = probe.getsockname()[1]
        self.site = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.sandbox = f"http://127.0.0.1:{sandbox_port}"
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "faults.settings",
            "FAULTS_DATABASE": json.dumps(self.database.settings),
            "DATABASE_URL": "sqlite:///unused",
            "PAYSTACK_SECRET_KEY": KEY,
            "PAYSTACK_PREVIOUS_SECRET_KEYS": OLD_KEY,
            "PAYSTACK_BASE_URL": self.sandbox,
            "RECONCILE_EVERY_SECONDS": "5",
            "RECONCILE_REQUESTS_A_MINUTE": "1200",
            "CURRENCY": "GHS",
            "HTTPS": "false",
            "SECRET_KEY": "",
            "PYTHONUNBUFFERED": "1",
        }
        self.processes = self._processes(sandbox_port)
        self._is_over = threading.Event()
        self._guard = threading.Thread(target=self._watch, daemon=True)

    def _processes(self, sandbox_port: int) -> dict[str, Process]:
        python, fd = sys.executable, self._socket.fileno()
        webhooks = f"{self.site}/ai/api/webhooks/paystack/"
        sandbox = [f"--port={sandbox_port}", f"--webhook-url={webhooks}", f"--secret-key={KEY}", f"--seed={self.seed}"]
        sandbox.append(f"--data={self.folder / 'sandbox.sqlite3'}")
        commands = {
            "sandbox": [python, "-m", "paystack_sandbox", *sandbox],
            "worker": [python, "manage.py", "db_worker", "--interval", "0.5"],
            "reconcile": [python, "manage.py", "reconcile_paystack", "--every", "5"],
        }
        commands |= {f"web{number}": [python, "-m", "faults.web", str(fd)] for number in range(WEB_PROCESSES)}
        return {
            name: Process(
                name,
                command,
                self.environment,
                self.folder / f"{name}.log",
                (fd,) if name.startswith("web") else (),
            )
            for name, command in commands.items()
        }

    def start(self) -> None:
        self.manage("migrate", "--verbosity", "0")
        self.manage("shell", "--verbosity", "0", "-c", _MAKE_BUYERS.replace("HOW_MANY", str(self.buyers)))
        for process in self.processes.values():
            process.start()
        for address in (f"{self.sandbox}/_sandbox/health", f"{self.site}/readyz"):
            _wait_for(address)
        self._guard.start()

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command as an operator runs it; the last line of what it said goes into the run's own output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        with (self.folder / "commands.log").open("a") as log:
            log.write(f"$ manage.py {' '.join(arguments)}\n{done.stdout}{done.stderr}\n")
        return done

    def _watch(self) -> None:
        """Start again whatever is dead, as a service manager would."""
        while not self._is_over.wait(LOOKS_EVERY_SECONDS):
            for process in self.processes.values():
                self._see_to(process)

    def _see_to(self, process: Process) -> None:
        if process.child is None or process.child.poll() is None:
            return
        (self.killed if process.killed else self.ended)[process.name.rstrip("0123456789")] += 1
        process.start()

    def stop(self) -> None:
        self._is_over.set()
        if self._guard.is_alive():
            self._guard.join()
        for process in self.processes.values():
            if process.child is not None:
                process.child.kill()
                process.child.wait()
        self._socket.close()


def _wait_for(address: str) -> None:
    give_up_at = time.monotonic() + STARTS_WITHIN_SECONDS
    while True:
        try:
            if httpx2.get(address, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{address} did not answer within {STARTS_WITHIN_SECONDS} seconds.")
        time.sleep(0.2)
