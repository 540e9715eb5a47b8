"""Who runs a command that changes something, and why: kept where the admin keeps it."""

from __future__ import annotations

import getpass
import logging
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import Model

from ai_features.management.owners import member_of_staff

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Operator:
    """`staff` is whom `--by` names; a schedule names nobody."""

    staff: AbstractBaseUser | None
    reason: str

    def note(self, row: Model, what: str) -> None:
        """In the row's history; where nobody was named, the operating system's user stands in the log."""
        if self.staff is None:
            about = (row._meta.verbose_name, row.pk, what, _system_user())
            transaction.on_commit(lambda: log.info("%s %s: %s, on the command line by %s", *about))
        elif apps.is_installed("django.contrib.admin"):
            from django.contrib.admin.models import CHANGE, LogEntry  # noqa: PLC0415  a host may lack its table

            why = f": {self.reason}" if self.reason else ""
            text = f"{what}, on the command line{why}"
            LogEntry.objects.log_actions(self.staff.pk, [row], CHANGE, text, single_object=True)


def ask_who_and_why(parser: ArgumentParser) -> None:
    parser.add_argument("--by", metavar="USERNAME", help="The member of staff who does it; kept in the history.")
    parser.add_argument("--reason", default="", help="Why; kept there too.")


def operator_of(options: Mapping[str, Any]) -> Operator:
    """Raises CommandError for a name that is nobody's on the staff, and for a reason without a name."""
    name, reason = options["by"], options["reason"]
    if reason and name is None:
        raise CommandError("A reason is kept with a name: say who does it, with --by.")
    return Operator(None if name is None else member_of_staff(name), reason)


def _system_user() -> str:
    """In a container the user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
