"""Whether this installation is ready to take money, line by line; nothing is changed, nothing created at Paystack.

lines.py         what a line says
installation.py  settings, database, migrations, triggers, cache
gateway.py       the key, Paystack's answer and clock, currencies
running.py       reconciliation, webhooks, what waits for a person, what should have expired
site.py          the webhook address and the certificate, from outside
"""

from __future__ import annotations

from collections.abc import Iterator

from ai_features.doctor import gateway, installation, running, site
from ai_features.doctor.lines import Level, Line

__all__ = ["Level", "Line", "examine"]


def examine(*, address: str = "", for_live: bool = False) -> Iterator[Line]:
    """Each line as soon as it is known. `address` is this site's, such as https://credits.example.com."""
    yield from installation.examine()
    if installation.is_usable():
        yield from running.examine()
    yield from gateway.examine(for_live=for_live)
    yield from site.examine(address)
