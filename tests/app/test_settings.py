import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def deploy_check(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(
        command, check=False, cwd=ROOT, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True
    )


PRODUCTION = {
    "HTTPS": "true",
    "SECRET_KEY": "k" * 25 + "0123456789abcdefghijklmnopqrstuvwxyz",
    "PAYSTACK_SECRET_KEY": "sk_live_x",
}


def test_production_settings_pass_the_deploy_check() -> None:
    done = deploy_check(**PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"SECRET_KEY": ""}, "security.W009"),
        ({"HTTPS": "false"}, "security.W008"),
        ({"PAYSTACK_SECRET_KEY": ""}, "ai_features.W003"),
        ({"DEBUG": "true"}, "ai_features.E007"),
    ],
)
def test_what_is_missing_is_named(change: dict[str, str], complaint: str) -> None:
    done = deploy_check(**PRODUCTION | change)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "sk_live_x" not in done.stderr


@pytest.mark.parametrize("address", ["", "db.internal", "/srv/db", "postgres://ama:pass@host:port/name"])
def test_what_is_no_address_of_a_database_is_named_and_not_shown(address: str) -> None:
    done = deploy_check(**PRODUCTION, DATABASE_URL=address)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("DATABASE_URL is not like postgres://user:password@host:5432/name.")
    assert "ama:pass" not in done.stderr
