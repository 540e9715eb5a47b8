"""What really happened, counted by its effects, and how long payers waited."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from faults.books import Books
from faults.checker import Session
from faults.notes import Notes
from faults.system import System

LATE_SECONDS = 0.5

API_FAULTS = {
    "no answer": "Paystack: no answer at all",
    "cut before the work": "Paystack: cut before the work",
    "cut after the work": "Paystack: cut after the work",
    "error": "Paystack: 503",
    "HTML": "Paystack: HTML page",
    "malformed": "Paystack: malformed answer",
    "truncated": "Paystack: half an answer",
    "rate limit": "Paystack: 429",
}
WEBHOOK_FAULTS = {
    "dropped": "webhook: dropped",
    "doubled": "webhook: doubled",
    "signature": "webhook: signature corrupted",
    "old key": "webhook: signed with the old key",
    "receiver down": "webhook: receiver down",
}


def happened(system: System, books: Books) -> dict[str, int]:
    """Every fault class, and what must be met by them, with how often it was; a zero says that the run has proved
    nothing about it."""
    attempts = [attempt for delivery in books.deliveries for attempt in delivery["attempts"]]
    struck = Counter(word for attempt in attempts for word in (attempt["fault"] or "").split(", ") if word)
    return {
        "server processes killed": system.killed["web"],
        "task worker killed": system.killed["worker"],
        "reconciliation killed": system.killed["reconcile"],
        "database torn down and recovered": system.database.restarts,
        "wallet let go of before the disk had its spends": system.database.times_let_go(),
        "hours the sandbox's clock was moved": round(books.clock_moved_seconds / 3600),
        **{words: books.struck.get(name, 0) for name, words in API_FAULTS.items()},
        **{words: struck[name] for name, words in WEBHOOK_FAULTS.items()},
        "webhook: refused for its signature": sum(attempt["status"] == 400 for attempt in attempts),
        "webhook: late": sum(_is_late(delivery) for delivery in books.deliveries),
        "refunds that Paystack has": len(books.refunds),
        "disputes that Paystack has": len(books.disputes),
        "webhook: overtaken by a later one": _overtaken(books),
    }


def _is_late(delivery: dict[str, object]) -> bool:
    return bool(delivery["attempts"]) and _first(delivery) - _moment(delivery["created_at"]) > LATE_SECONDS


def _overtaken(books: Books) -> int:
    """Of two neighbours, in the order in which they were made, the second was sent first."""
    tried = [delivery for delivery in reversed(books.deliveries) if delivery["attempts"]]
    return sum(_first(earlier) > _first(later) for earlier, later in pairwise(tried))


def _first(delivery: dict[str, object]) -> float:
    attempts = delivery["attempts"]
    assert isinstance(attempts, list)
    return _moment(attempts[0]["at"])


def _moment(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def waiting(session: Session, notes: Notes) -> Iterator[str]:
    """From Paystack's yes to the credits, by whom; the payments that buyers saw succeed."""
    rows = session.execute(
        "SELECT reference, settled_by, extract(epoch FROM completed_at) FROM ai_features_purchase"
        " WHERE completed_at IS NOT NULL"
    ).fetchall()
    waited: dict[str, list[float]] = {}
    for reference, settled_by, completed_at in rows:
        bought = notes.bought.get(reference)
        if bought is not None and bought.paid_at is not None:
            seconds = max(0.0, float(completed_at) - bought.paid_at)
            waited.setdefault(settled_by, []).append(seconds)
            waited.setdefault("all", []).append(seconds)
    for name, times in sorted(waited.items()):
        yield f"{name:<10} {len(times):>6}   median {statistics.median(times):7.2f} s   p99 {_p99(times):7.2f} s"


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.99))]
