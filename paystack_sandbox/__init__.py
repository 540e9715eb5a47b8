"""Paystack on localhost: its HTTP API, hosted checkout and signed webhooks, for tests and development.

Knows nothing of any application: everything a client sees goes over HTTP.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paystack_sandbox.server import PaystackSandbox as PaystackSandbox
    from paystack_sandbox.settings import Settings as Settings

__all__ = ["PaystackSandbox", "Settings"]


def __getattr__(name: str) -> object:
    # Imported late: pytest loads this package for its plugin in every run, with or without a sandbox.
    if name == "PaystackSandbox":
        from paystack_sandbox.server import PaystackSandbox  # noqa: PLC0415

        return PaystackSandbox
    if name == "Settings":
        from paystack_sandbox.settings import Settings  # noqa: PLC0415

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
