"""Settings of a measurement: the reference project's, on the database that BENCH_DATABASE names."""

import json
import os

# What a developer keeps in .env must not reach a measurement.
os.environ.update(PAYSTACK_SECRET_KEY="", PAYSTACK_BASE_URL="http://127.0.0.1:9", SECRET_KEY="", DEBUG="false")
os.environ.update(HTTPS="false", PROXY_COUNT="0", CURRENCY="GHS", SUPPORT_EMAIL="", LOG_LEVEL="ERROR")
os.environ["DATABASE_URL"] = f"sqlite:///{os.environ.get('BENCH_SQLITE', 'unused')}"

from app.settings import *  # noqa: F403
from app.settings import DATABASES

PAYSTACK_SECRET_KEY = "sk_test_sandbox"  # noqa: S105  the sandbox's own, known to all

if "BENCH_SQLITE" not in os.environ:
    DATABASES["default"] = json.loads(os.environ["BENCH_DATABASE"]) | {
        "CONN_MAX_AGE": None,
        "OPTIONS": {"prepare_threshold": 5},
    }
