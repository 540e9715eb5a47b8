"""The laws, checked over everything that is in the database; nothing is changed.

The sums of law 1 to 3 are compared by the database, a range of wallets at a time. Each range is one statement, and a
statement sees one moment: every operation of the ledger is one transaction, so live traffic beside it is either seen
whole or not at all, and cannot raise a false alarm. No snapshot lives longer than its range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import CheckConstraint, Model

from ai_features.billing.sealing import broken_seals
from ai_features.models import Dispute, LedgerEntry, Lot, Purchase, Refund, Reservation, Wallet, entry_laws, triggers
from ai_features.money import to_credits

WALLETS_AT_A_TIME = 1000
ROWS_NAMED = 100
"""Of the rows that break one constraint, at most so many are named."""

OWNERS: dict[type[Model], str] = {
    Wallet: "pk",
    Lot: "wallet_id",
    Reservation: "wallet_id",
    LedgerEntry: "wallet_id",
    Purchase: "wallet_id",
    Refund: "purchase__wallet_id",
    Dispute: "purchase__wallet_id",
}
"""The tables whose constraints the laws are, and whose wallet a row is about."""

FUNCTIONS = (
    "ai_features_apply",
    "ai_features_asker",
    "ai_features_balance",
    "ai_features_charge",
    "ai_features_check_entries",
    "ai_features_keep_referred",
    "ai_features_refuse",
    "ai_features_settle",
    "ai_features_spend",
    "ai_features_spend_and_let_go",
    "ai_features_spend_by_token",
    "ai_features_spend_by_token_and_let_go",
    "ai_features_spend_each",
    "ai_features_spend_from_one",
)
"""On PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Which law of the design, whose wallet (None: it concerns them all), and what was found."""

    law: int
    wallet_id: int | None
    found: str

    def __str__(self) -> str:
        whose = "database" if self.wallet_id is None else f"wallet {self.wallet_id}"
        return f"law {self.law}, {whose}: {self.found}"


@dataclass(frozen=True, slots=True)
class _Equation:
    """Two figures of a wallet that must be equal, as the statement names them; they are micro-credits."""

    law: int
    left: str
    right: str
    found: str


_EQUATIONS = (
    _Equation(1, "w.balance - w.debt", "coalesce(e.amount, 0)", "balance less debt is {}, its entries add up to {}"),
    _Equation(1, "w.debt", "coalesce(e.debt_change, 0)", "debt is {}, its entries add up to {}"),
    _Equation(1, "w.balance", "coalesce(newest.balance_after, 0)", "balance is {}, its last entry says {}"),
    _Equation(2, "w.balance", "coalesce(l.remaining, 0) - w.unallocated", "balance is {}, its lots hold {}"),
    _Equation(3, "w.held", "coalesce(r.credits, 0)", "held is {}, its open reservations hold {}"),
    _Equation(3, "w.overdue", "coalesce(r.overdue, 0)", "overdue is {}, its open reservations say {}"),
    # Only what open reservations keep may be older than the next expiry; anything else would never expire.
    _Equation(3, "w.overdue", "coalesce(l.overdue, 0)", "overdue is {}, lots before the next expiry hold {}"),
)

Progress = Callable[[int, int], None]


def audit(progress: Progress | None = None, *, at_a_time: int = WALLETS_AT_A_TIME) -> Iterator[Breach]:
    """Every breach of laws 1 to 5. `progress` is told how many wallets are done, of how many there were."""
    yield from missing_triggers()
    yield from _broken_constraints()
    total, done = Wallet.objects.count(), 0
    for after, last, wallets in _ranges(at_a_time):
        values = {"after": after, "last": last}
        yield from _unequal_figures(values)
        yield from _broken_chains(values)
        yield from _purchases_not_settled_once(values)
        yield from _refunds_not_taken_once(values)
        done += wallets
        if progress is not None:
            progress(done, max(done, total))
    yield from _not_as_sealed()


def _ranges(at_a_time: int) -> Iterator[tuple[int, int, int]]:
    """Ranges of wallet ids – after, up to and including – and how many wallets are in each."""
    after = 0
    while ids := list(Wallet.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:at_a_time]):
        yield after, ids[-1], len(ids)
        after = ids[-1]


def _unequal_figures(values: dict[str, int]) -> Iterator[Breach]:
    for wallet_id, *figures in _rows(_FIGURES, values):
        for equation, left, right in zip(_EQUATIONS, figures[::2], figures[1::2], strict=True):
            if left != right:
                yield Breach(equation.law, wallet_id, equation.found.format(_credits(left), _credits(right)))


def _broken_chains(values: dict[str, int]) -> Iterator[Breach]:
    for wallet_id, entry_id, balance_after, expected in _rows(_CHAIN, values):
        found = f"entry {entry_id} says balance {_credits(balance_after)} where {_credits(expected)} follows"
        yield Breach(1, wallet_id, found)


def _purchases_not_settled_once(values: dict[str, int]) -> Iterator[Breach]:
    for wallet_id, reference, status, is_settled, entries, elsewhere in _rows(_PURCHASES, values):
        settled = "settled" if is_settled else "not settled"
        found = f"purchase {reference} ({status}, {settled}) has {entries} purchase entries"
        yield Breach(4, wallet_id, f"{found}, {elsewhere} of them in another wallet" if elsewhere else found)


def _not_as_sealed() -> Iterator[Breach]:
    """Law 5 where triggers were dropped: what was changed, removed or inserted since it was sealed."""
    for breach in broken_seals():
        yield Breach(5, breach.wallet_id, f"{breach.where} {breach.found}")


def _refunds_not_taken_once(values: dict[str, int]) -> Iterator[Breach]:
    """Each refund has its take-back, each failed one nets to nothing; what is frozen is what disputes took out."""
    for wallet_id, refund_id, reference, status, expected, entered in _rows(_REFUNDS, values):
        found = (
            f"refund {refund_id} of {reference} ({status}) took {_credits(expected)}, its entries {_credits(entered)}"
        )
        yield Breach(4, wallet_id, found)
    for wallet_id, reference, noted, refunded in _rows(_REFUNDED, values):
        found = f"purchase {reference} says {noted} were refunded, its processed refunds {refunded} (in the subunit)"
        yield Breach(4, wallet_id, found)
    for wallet_id, lots, disputes, entered in _rows(_FROZEN, values):
        found = f"lots say {_credits(lots)} are frozen, disputes {_credits(disputes)}, entries {_credits(entered)}"
        yield Breach(3, wallet_id, found)


def missing_triggers() -> Iterator[Breach]:
    """Law 5, with the functions; what is there but disabled counts as missing."""
    is_postgresql = connection.vendor == "postgresql"
    present = {name for (name,) in _rows(_TRIGGERS if is_postgresql else _TRIGGERS_ON_SQLITE)}
    for name in sorted(triggers.names(connection.vendor) - present):
        yield Breach(5, None, f"the trigger {name} is missing; `manage.py migrate` installs it")
    functions = {name for (name,) in _rows(_FUNCTIONS)} if is_postgresql else set(FUNCTIONS)
    for name in sorted(set(FUNCTIONS) - functions):
        yield Breach(5, None, f"the function {name} is missing; `manage.py migrate` installs it")


def _broken_constraints() -> Iterator[Breach]:
    """That the constraints are in the database, and no row is against them."""
    is_postgresql = connection.vendor == "postgresql"
    for model in OWNERS:
        with connection.cursor() as cursor:
            present = connection.introspection.get_constraints(cursor, model._meta.db_table)
        for constraint in model._meta.constraints:
            law = 4 if model in (LedgerEntry, Purchase, Refund) else 3
            if constraint.name not in present and not (is_postgresql and constraint.name in entry_laws.CONSTRAINTS):
                yield Breach(law, None, f"the constraint {constraint.name} is missing")
            if isinstance(constraint, CheckConstraint):
                yield from _rows_against(model, constraint, law)


def _rows_against(model: type[Model], constraint: CheckConstraint, law: int) -> Iterator[Breach]:
    rows = model._default_manager.exclude(constraint.condition).values_list(OWNERS[model], "pk")
    for wallet_id, pk in rows.order_by("pk")[:ROWS_NAMED]:
        yield Breach(law, wallet_id, f"{model._meta.verbose_name} {pk} is against the constraint {constraint.name}")


def _rows(sql: str, values: dict[str, int] | None = None) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        yield from cursor.fetchall()


def _credits(micro: Any) -> str:
    return f"{to_credits(int(micro)):f}"


_FIGURES = f"""
WITH e AS (
  SELECT wallet_id, sum(amount) AS amount, sum(debt_change) AS debt_change, max(id) AS newest_id
    FROM ai_features_ledgerentry WHERE wallet_id > %(after)s AND wallet_id <= %(last)s GROUP BY wallet_id),
l AS (
  SELECT lot.wallet_id, sum(lot.remaining) AS remaining,
         sum(CASE WHEN w.next_expiry_at <= lot.expires_at OR lot.expires_at IS NULL THEN 0 ELSE lot.remaining END)
           AS overdue
    FROM ai_features_lot AS lot JOIN ai_features_wallet AS w ON w.id = lot.wallet_id
   WHERE lot.remaining > 0 AND lot.wallet_id > %(after)s AND lot.wallet_id <= %(last)s
     AND w.id > %(after)s AND w.id <= %(last)s
   GROUP BY lot.wallet_id),
r AS (
  SELECT wallet_id, sum(credits) AS credits, sum(overdue) AS overdue
    FROM ai_features_reservation
   WHERE status = 'open' AND wallet_id > %(after)s AND wallet_id <= %(last)s GROUP BY wallet_id)
SELECT w.id, {", ".join(f"{equation.left}, {equation.right}" for equation in _EQUATIONS)}
  FROM ai_features_wallet AS w
  LEFT JOIN e ON e.wallet_id = w.id
  LEFT JOIN ai_features_ledgerentry AS newest ON newest.id = e.newest_id
  LEFT JOIN l ON l.wallet_id = w.id
  LEFT JOIN r ON r.wallet_id = w.id
 WHERE w.id > %(after)s AND w.id <= %(last)s
   AND ({" OR ".join(f"{equation.left} <> {equation.right}" for equation in _EQUATIONS)})
 ORDER BY w.id
"""  # noqa: S608  our own words only

# Where a link is broken, that entry is named; the ones after it follow from what it says.
_CHAIN = """
SELECT wallet_id, id, balance_after, balance_before + amount + debt_change FROM (
  SELECT wallet_id, id, amount, debt_change, balance_after,
         lag(balance_after, 1, 0) OVER (PARTITION BY wallet_id ORDER BY id) AS balance_before
    FROM ai_features_ledgerentry WHERE wallet_id > %(after)s AND wallet_id <= %(last)s) AS e
 WHERE balance_after <> balance_before + amount + debt_change
 ORDER BY wallet_id, id
"""

_PURCHASES = """
SELECT * FROM (
  SELECT p.wallet_id, p.reference, p.status, p.completed_at IS NOT NULL AS is_settled, count(e.id) AS entries,
         count(CASE WHEN e.wallet_id <> p.wallet_id THEN 1 END) AS elsewhere
    FROM ai_features_purchase AS p
    LEFT JOIN ai_features_ledgerentry AS e ON e.purchase_id = p.id AND e.kind = 'purchase'
   WHERE p.wallet_id > %(after)s AND p.wallet_id <= %(last)s
   GROUP BY p.id) AS found
 WHERE elsewhere > 0 OR entries <> CASE WHEN is_settled THEN 1 ELSE 0 END
 ORDER BY wallet_id, reference
"""

_REFUNDS = """
SELECT * FROM (
  SELECT p.wallet_id, r.id, r.reference, r.status,
         CASE WHEN r.status = 'failed' THEN 0 ELSE r.credits_taken + r.credits_from_others + r.credits_owed END
           AS expected, -coalesce(sum(e.amount), 0) AS entered
    FROM ai_features_refund AS r
    JOIN ai_features_purchase AS p ON p.id = r.purchase_id
    LEFT JOIN ai_features_ledgerentry AS e ON e.refund_id = r.id AND e.wallet_id = p.wallet_id
   WHERE p.wallet_id > %(after)s AND p.wallet_id <= %(last)s
   GROUP BY p.wallet_id, r.id) AS found
 WHERE expected <> entered
 ORDER BY wallet_id, id
"""

_REFUNDED = """
SELECT p.wallet_id, p.reference, p.refunded_minor, coalesce(sum(r.amount_minor), 0)
  FROM ai_features_purchase AS p
  LEFT JOIN ai_features_refund AS r ON r.purchase_id = p.id AND r.status = 'processed'
 WHERE p.wallet_id > %(after)s AND p.wallet_id <= %(last)s
 GROUP BY p.id
HAVING p.refunded_minor <> coalesce(sum(r.amount_minor), 0)
 ORDER BY p.wallet_id, p.reference
"""

_FROZEN = """
SELECT wallet_id, sum(lots), sum(disputes), sum(entered) FROM (
  SELECT wallet_id, frozen AS lots, 0 AS disputes, 0 AS entered FROM ai_features_lot
   WHERE frozen <> 0 AND wallet_id > %(after)s AND wallet_id <= %(last)s
  UNION ALL
  SELECT p.wallet_id, 0, d.credits_frozen, 0 FROM ai_features_dispute AS d
    JOIN ai_features_purchase AS p ON p.id = d.purchase_id
   WHERE d.credits_frozen <> 0 AND p.wallet_id > %(after)s AND p.wallet_id <= %(last)s
  UNION ALL
  SELECT wallet_id, 0, 0, -amount FROM ai_features_ledgerentry
   WHERE dispute_id IS NOT NULL AND wallet_id > %(after)s AND wallet_id <= %(last)s) AS found
 GROUP BY wallet_id
HAVING sum(lots) <> sum(entered) OR sum(disputes) <> sum(entered)
 ORDER BY wallet_id
"""

_TRIGGERS = """
SELECT t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE t.tgenabled IN ('O', 'A') AND pg_table_is_visible(c.oid) AND starts_with(c.relname::text, 'ai_features_')
"""
_TRIGGERS_ON_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
_FUNCTIONS = """
SELECT proname FROM pg_proc WHERE pg_function_is_visible(oid) AND starts_with(proname::text, 'ai_features_')
"""
