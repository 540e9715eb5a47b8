"""The user model is the project's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.timeout(360)
def test_users_may_have_uuids_for_keys(db: None) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--ds=tests.uuid_users.settings", "tests/uuid_users/checks.py"]
    # Settings are found by the option alone; what this run has in its environment is for this run.
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    ran = subprocess.run(
        command, check=False, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stdout
