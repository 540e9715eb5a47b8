"""Settings of the test run: the reference project's, on the database that TEST_DATABASE names.

`sqlite` (default) or `postgresql`; the latter is a real server that lives as long as the run.
"""

import os
import tempfile
from pathlib import Path

# What a developer keeps in .env must not reach the tests.
os.environ.update(PAYSTACK_SECRET_KEY="", PAYSTACK_BASE_URL="http://127.0.0.1:9", DATABASE_URL="sqlite:///unused")
os.environ.update(SECRET_KEY="tests", DEBUG="false", HTTPS="false", PROXY_COUNT="0", CURRENCY="GHS", SUPPORT_EMAIL="")
os.environ.update(METRICS_TOKEN="", RECEIPT_EMAILS="false", LOG_FORMAT="line", LOG_LEVEL="INFO")

from app.settings import *  # noqa: F403
from app.settings import DATABASES

TEST_DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
PAYSTACK_SECRET_KEY = "sk_test_sandbox"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}

if TEST_DATABASE == "postgresql":
    from tests.postgresql import start_server

    DATABASES = {"default": start_server()}
else:
    # A file, not memory: concurrent tests need connections of their own.
    _folder_until_exit = tempfile.TemporaryDirectory(prefix="ai-credits-tests-")
    _folder = Path(_folder_until_exit.name)
    DATABASES["default"]["NAME"] = _folder / "unused.sqlite3"
    DATABASES["default"]["TEST"] = {"NAME": _folder / "test.sqlite3"}
