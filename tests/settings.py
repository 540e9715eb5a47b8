"""Settings of the test run; the reference project's, with test databases and fast password hashes."""

from app.settings import *  # noqa: F403
