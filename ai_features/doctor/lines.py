from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing looked at: what was found, and, unless all is well, what to do."""

    level: Level
    about: str
    found: str
    todo: str = ""


def ok(about: str, found: str) -> Line:
    return Line(Level.OK, about, found)


def warn(about: str, found: str, todo: str) -> Line:
    return Line(Level.WARN, about, found, todo)


def fail(about: str, found: str, todo: str) -> Line:
    return Line(Level.FAIL, about, found, todo)


def not_checked(about: str, found: str, todo: str) -> Line:
    return Line(Level.NOT_CHECKED, about, found, todo)
