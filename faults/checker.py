"""The sandbox's books, the buyers' notes and the app's tables, compared. Plain SQL; shares no code with the app.

Each check yields what is wrong, in words, with the reference or wallet. No word is good.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg

from faults.books import Books
from faults.notes import Notes

Session = psycopg.Connection[tuple[Any, ...]]

SETTLED = frozenset({"completed", "partially_refunded", "refunded"})


def problems(session: Session, books: Books, notes: Notes) -> Iterator[str]:
    yield from payments_are_credited_once(session, books)
    yield from nothing_else_is_credited(session, books)
    yield from purchases_are_known(session, books, notes)
    yield from spends_are_there_once(session, notes)
    yield from webhooks_are_on_record(session, books)
    yield from strangers_are_shown_to_staff(session, books, notes)
    yield from laws_hold(session)
    yield from what_is_recorded_cannot_change(session)
    yield from refunds_are_taken_back_once(session, books)
    yield from disputes_are_known(session, books)


def payments_are_credited_once(session: Session, books: Books) -> Iterator[str]:
    """Purchase entry, bonus entry and lots of each, with the very credits that were sold, in the buyer's wallet.

    Where all the money went back before anybody told of the payment it may be credited (and taken back), or not at all.
    """
    rows = session.execute(
        """
        SELECT p.reference, p.status, p.completed_at IS NOT NULL, p.amount_minor, p.currency,
               p.credits, p.bonus_credits,
               coalesce(array_agg(e.amount) FILTER (WHERE e.kind = 'purchase'), '{}'),
               coalesce(array_agg(e.amount) FILTER (WHERE e.kind = 'bonus'), '{}'),
               bool_and(e.wallet_id IS NULL OR e.wallet_id = p.wallet_id),
               (SELECT coalesce(sum(l.amount), 0) FROM ai_features_lot l WHERE l.purchase_id = p.id)
          FROM ai_features_purchase p LEFT JOIN ai_features_ledgerentry e ON e.purchase_id = p.id
         GROUP BY p.id
        """
    )
    for reference, status, is_settled, amount, currency, sold, bonus, bought, given, is_own, in_lots in rows:
        payment = books.payments.get(reference)
        agrees = payment is not None and (payment.amount_minor, payment.currency) == (amount, currency)
        found = f"{reference} ({status}): purchase entries {bought}, bonus entries {given}, lots {in_lots}"
        if payment is not None and payment.is_paid and agrees and not is_settled:
            yield f"paid and not credited: {found}"
        if is_settled and not (payment is not None and (payment.is_paid or payment.went_back) and agrees):
            yield f"credited and not paid as sold: {found}; at Paystack {payment}"
        if payment is not None and payment.is_paid and not agrees and status != "review":
            yield f"paid otherwise than sold and not in review: {found}"
        expected = ([sold], [bonus] if bonus else [], sold + bonus) if is_settled else ([], [], 0)
        if (bought, given, in_lots) != expected:
            yield f"not credited exactly once: {found}; expected {expected}"
        if not is_own:
            yield f"credited to another wallet: {found}"


def nothing_else_is_credited(session: Session, books: Books) -> Iterator[str]:
    """Nobody granted anything in this run, so only purchases and what a failed refund gives back may add credits."""
    rows = session.execute(
        """
        SELECT e.id, e.kind, e.amount, p.reference FROM ai_features_ledgerentry e
          LEFT JOIN ai_features_purchase p ON p.id = e.purchase_id WHERE e.amount > 0
        """
    )
    for entry, kind, amount, reference in rows:
        is_from_purchase = kind in ("purchase", "bonus") and reference in books.payments
        if not is_from_purchase and kind not in ("refund_failed", "dispute_release"):
            yield f"entry {entry} ({kind}) adds {amount} micro-credits from nowhere"


def purchases_are_known(session: Session, books: Books, notes: Notes) -> Iterator[str]:
    rows = session.execute(
        """
        SELECT p.reference, u.username, p.amount_minor, p.credits + p.bonus_credits, p.status
          FROM ai_features_purchase p
          JOIN ai_features_wallet w ON w.id = p.wallet_id JOIN auth_user u ON u.id = w.user_id
        """
    )
    known = {reference: tuple(row) for reference, *row in rows}
    for bought in notes.bought.values():
        buyer, amount, credits_, status = known.get(bought.reference, (None, None, None, None))
        if (buyer, amount, credits_) != (bought.buyer, bought.amount_minor, bought.credits):
            yield f"acknowledged purchase is not as it was said: {bought}; found {known.get(bought.reference)}"
        went_back = bought.reference in books.payments and books.payments[bought.reference].went_back
        if bought.paid_at is not None and status not in SETTLED and not went_back:
            yield f"a buyer saw the payment succeed and it is not credited: {bought.reference} ({status})"
    for reference in notes.promises:
        if known.get(reference, (None,))[-1] not in SETTLED:
            yield f"verify said success and now it is not settled: {reference} {known.get(reference)}"


def spends_are_there_once(session: Session, notes: Notes) -> Iterator[str]:
    rows = session.execute(
        """
        SELECT e.id, u.username, e.amount - e.debt_change FROM ai_features_ledgerentry e
          JOIN ai_features_wallet w ON w.id = e.wallet_id JOIN auth_user u ON u.id = w.user_id
         WHERE e.kind IN ('spend', 'capture')
        """
    ).fetchall()
    entries = {entry: (buyer, amount) for entry, buyer, amount in rows}
    told = Counter(spent.entry for spent in notes.spent if spent.entry is not None)
    for spent in notes.spent:
        if spent.entry is None:
            continue
        if told[spent.entry] > 1:
            yield f"two spends were told the same entry: {spent}"
        if entries.get(spent.entry, (None,))[0] != spent.buyer:
            yield f"acknowledged spend is not in the buyer's wallet: {spent}; found {entries.get(spent.entry)}"
    made = Counter(buyer for buyer, _amount in entries.values())
    at_least = Counter(spent.buyer for spent in notes.spent if spent.entry is not None)
    at_most = Counter(spent.buyer for spent in notes.spent)
    for buyer in made | at_most:
        if not at_least[buyer] <= made[buyer] <= at_most[buyer]:
            yield f"{buyer} has {made[buyer]} spends; {at_least[buyer]} were acknowledged, {at_most[buyer]} tried"
    yield from _amounts_differ(session, notes)


def _amounts_differ(session: Session, notes: Notes) -> Iterator[str]:
    """What a spend took: from the balance, or as debt, but in all what was asked for."""
    rows = session.execute(
        "SELECT id, amount FROM ai_features_ledgerentry WHERE kind IN ('spend', 'capture')"
    ).fetchall()
    taken: dict[int, int] = dict(rows)
    for spent in notes.spent:
        if spent.entry is not None and taken.get(spent.entry) != -spent.credits:
            yield f"acknowledged spend took something else: {spent}; found {taken.get(spent.entry)}"


def webhooks_are_on_record(session: Session, books: Books) -> Iterator[str]:
    """Each delivery that was answered 200 is a row of its own, with what was sent, and was processed in the end."""
    recorded: Counter[str] = Counter()
    for body, status, error in session.execute("SELECT body, status, error FROM ai_features_webhookevent"):
        recorded[_canonical(json.loads(bytes(body)))] += 1
        if status in ("received", "failed"):
            yield f"a recorded webhook event is still {status}: {error} {bytes(body)[:120]!r}"
    answered: Counter[str] = Counter()
    for delivery in books.deliveries:
        times = sum(attempt["status"] == 200 for attempt in delivery["attempts"])
        answered[_canonical(delivery["payload"])] += times
    for payload, times in answered.items():
        if recorded[payload] < times:
            yield f"answered 200 {times} times, recorded {recorded[payload]} times: {payload[:160]}"


def strangers_are_shown_to_staff(session: Session, books: Books, notes: Notes) -> Iterator[str]:
    found = {
        reference
        for (reference,) in session.execute("SELECT reference FROM ai_features_finding WHERE kind = 'unknown'")
    }
    for reference in sorted(notes.strangers):
        if books.payments[reference].is_paid and reference not in found:
            yield f"a payment that belongs to no purchase was not found: {reference}"


def laws_hold(session: Session) -> Iterator[str]:
    """Laws 1 to 4 of the design, each as one statement that returns the wallets that break it."""
    for law, sql in LAWS.items():
        for row in session.execute(sql):
            yield f"{law}: {row}"


LAWS = {
    "law 1, balance − debt = Σ entries (wallet, found, expected)": """
        SELECT w.id, w.balance - w.debt, coalesce(sum(e.amount), 0) FROM ai_features_wallet w
          LEFT JOIN ai_features_ledgerentry e ON e.wallet_id = w.id
         GROUP BY w.id HAVING w.balance - w.debt <> coalesce(sum(e.amount), 0)""",
    "law 1, balance_after follows from the entry before (wallet, entry)": """
        SELECT wallet_id, id FROM (
          SELECT wallet_id, id, balance_after, amount + debt_change
                 + lag(balance_after, 1, 0) OVER (PARTITION BY wallet_id ORDER BY id) AS expected
            FROM ai_features_ledgerentry) AS e WHERE balance_after <> expected""",
    "law 2, Σ remaining − unallocated = balance (wallet, found, expected)": """
        SELECT w.id, coalesce(sum(l.remaining), 0) - w.unallocated, w.balance FROM ai_features_wallet w
          LEFT JOIN ai_features_lot l ON l.wallet_id = w.id
         GROUP BY w.id HAVING coalesce(sum(l.remaining), 0) - w.unallocated <> w.balance""",
    "law 3, held = Σ open reservations (wallet, held, expected)": """
        SELECT w.id, w.held, coalesce(sum(r.credits), 0) FROM ai_features_wallet w
          LEFT JOIN ai_features_reservation r ON r.wallet_id = w.id AND r.status = 'open'
         GROUP BY w.id HAVING w.held <> coalesce(sum(r.credits), 0)""",
    "law 3, nothing is negative or more than there is (wallet)": """
        SELECT id FROM ai_features_wallet WHERE held < 0 OR balance < held OR debt < 0 OR unallocated < 0
         UNION SELECT wallet_id FROM ai_features_lot WHERE remaining < 0 OR remaining > amount""",
    "law 4, one settled purchase ⇔ one purchase entry (reference, status, entries)": """
        SELECT p.reference, p.status, count(e.id) FROM ai_features_purchase p
          LEFT JOIN ai_features_ledgerentry e ON e.purchase_id = p.id AND e.kind = 'purchase'
         GROUP BY p.id HAVING count(e.id) <> (p.completed_at IS NOT NULL)::int""",
}


def what_is_recorded_cannot_change(session: Session) -> Iterator[str]:
    """Law 5, tried."""
    for sql in (
        "UPDATE ai_features_ledgerentry SET amount = amount + 1",
        "DELETE FROM ai_features_ledgerentry",
        "TRUNCATE ai_features_ledgerentry CASCADE",
        "UPDATE ai_features_webhookevent SET body = ''",
        "DELETE FROM ai_features_webhookevent",
    ):
        try:
            with session.transaction(force_rollback=True):
                session.execute(sql)
        except psycopg.errors.IntegrityConstraintViolation:
            continue
        yield f"law 5: the database let it happen: {sql}"


def refunds_are_taken_back_once(session: Session, books: Books) -> Iterator[str]:
    """Each refund of Paystack's is one of ours with its amount, and its entries take its credits once or not at all."""
    rows = session.execute(
        """
        SELECT r.paystack_id, r.reference, r.amount_minor, r.status,
               r.credits_taken + r.credits_from_others + r.credits_owed,
               coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refund'), 0),
               coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refund_failed'), 0)
          FROM ai_features_refund r LEFT JOIN ai_features_ledgerentry e ON e.refund_id = r.id GROUP BY r.id
        """
    ).fetchall()
    ours = {row[0]: row for row in rows}
    for refund in books.refunds:
        found = ours.pop(refund.id, None)
        expected = (refund.reference, refund.amount_minor, refund.status.replace("-", "_"))
        if found is None or tuple(found[1:4]) != expected:
            yield f"refund at Paystack {refund} is here {found}"
    for paystack_id, *row in ours.values():
        if row[2] != "failed":
            yield f"a refund that Paystack does not have: {paystack_id} {row}"
    for _id, reference, _amount, status, gone, taken, given_back in rows:
        if taken != -gone or given_back != (gone if status == "failed" else 0):
            yield f"refund of {reference} ({status}) of {gone} micro-credits took {-taken} and gave back {given_back}"
    yield from _refunded_sums(session, books)


def disputes_are_known(session: Session, books: Books) -> Iterator[str]:
    """Each dispute at Paystack is one here, and what is frozen in lots is what open disputes say."""
    rows = session.execute(
        "SELECT p.reference FROM ai_features_dispute d JOIN ai_features_purchase p ON p.id = d.purchase_id"
    )
    known = Counter(reference for (reference,) in rows)
    for reference, times in Counter(books.disputes).items():
        if known[reference] != times:
            yield f"{times} disputes about {reference} at Paystack, {known[reference]} here"
    frozen = session.execute(
        """
        SELECT (SELECT coalesce(sum(frozen), 0) FROM ai_features_lot),
               (SELECT coalesce(sum(credits_frozen), 0) FROM ai_features_dispute WHERE status = 'open')
        """
    ).fetchone()
    if frozen is not None and frozen[0] != frozen[1]:
        yield f"lots have {frozen[0]} micro-credits frozen, open disputes say {frozen[1]}"


def _refunded_sums(session: Session, books: Books) -> Iterator[str]:
    sent_back: Counter[str] = Counter()
    for refund in books.refunds:
        sent_back[refund.reference] += refund.amount_minor if refund.status == "processed" else 0
    for reference, refunded, status in session.execute(
        "SELECT reference, refunded_minor, status FROM ai_features_purchase"
    ):
        if refunded != sent_back[reference]:
            yield f"{reference} ({status}): refunded {refunded} here, {sent_back[reference]} at Paystack"


def _canonical(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True)
