from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db import transaction


def rehearsal(is_wanted: bool = True) -> AbstractContextManager[Any]:
    """Where it is wanted, what the block does is undone at its end: a dry run gives the very answer of a real one."""
    return _undone() if is_wanted else nullcontext()


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
