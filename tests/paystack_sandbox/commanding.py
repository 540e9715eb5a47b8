"""The command `paystack-sandbox` in a process of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    status: int
    said: str
    complaint: str


@contextmanager
def command(*options: str, temporary: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running command and its address."""
    environment = os.environ | ({"TMPDIR": str(temporary)} if temporary else {})
    process = subprocess.Popen(
        [sys.executable, "-m", "paystack_sandbox", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout
    assert process.stderr
    try:
        found = re.search(r"http://[0-9.:]+", process.stdout.readline())
        assert found
        yield process, found[0].rstrip(".,")
    finally:
        process.kill()
        process.communicate()


def run(*options: str) -> Ended:
    """The command with options that end it at once."""
    done = subprocess.run(
        [sys.executable, "-m", "paystack_sandbox", *options], check=False, capture_output=True, text=True, timeout=30
    )
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)
