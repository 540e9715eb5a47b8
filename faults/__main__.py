"""`python -m faults`: start everything, break everything, wait until it is quiet, and compare the books."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

import httpx2

from faults import books, checker, report
from faults.buyers import buy_and_spend
from faults.database import Database
from faults.notes import Notes
from faults.system import MAY_END_BY_THEMSELVES, System
from faults.trouble import Troublemaker

QUIET_WITHIN_SECONDS = 180
COMMAND_WITHIN_SECONDS = 900
"""After half an hour of trouble reconciliation is at work for minutes, at the pace that Paystack allows."""
RETRY_HOURS = 11
"""A webhook is retried hourly for ten hours; afterwards none is left."""
PROBLEMS_PRINTED = 40


def main() -> int:
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="ai-credits-faults-"))
    system = System(folder, Database(), arguments.seed, arguments.buyers)
    print(f"seed {arguments.seed}: {arguments.minutes:g} minutes of trouble, {arguments.buyers} buyers", flush=True)
    try:
        system.start()
        problems = _run(system, arguments.minutes * 60)
    finally:
        system.stop()
    if problems:
        print(f"\nFAILED: {len(problems)} problems. Logs: {folder}. Again: make faults SEED={arguments.seed} …")
        return 1
    shutil.rmtree(folder)
    print("\nEvery payment was credited once, nothing else was, and every law holds.")
    return 0


def _run(system: System, seconds: float) -> list[str]:
    notes = Notes()
    asyncio.run(_trouble(system, notes, seconds))
    complaints = [*_reconcile(system), *_deliver_the_rest(system), *_reconcile(system)]
    complaints += _run_command(system, "audit_ledger")
    found = books.read(system.sandbox)
    with system.database.connect() as session:
        problems = [*complaints, *checker.problems(session, found, notes)]
        counts = report.happened(system, found)
        _print_table("What the buyers did", notes.did)
        _print_table("What they felt of it", notes.felt)
        _print_table("Faults that really happened", counts)
        print("\nFrom paid to credited")
        print("\n".join(f"  {line}" for line in report.waiting(session, notes)))
    problems += [
        f"this fault never happened, so nothing is proved about it: {name}" for name, n in counts.items() if not n
    ]
    if notes.felt["500"]:
        problems.append(
            f"{notes.felt['500']} requests were answered 500, which no fault excuses; see web*.log and sandbox.log"
        )
    problems += [
        f"{name} ended by itself {times} times"
        for name, times in system.ended.items()
        if name not in MAY_END_BY_THEMSELVES
    ]
    _print_problems(problems)
    return problems


async def _trouble(system: System, notes: Notes, seconds: float) -> None:
    await asyncio.gather(buy_and_spend(system, notes, seconds), Troublemaker(system, seconds).run())


def _reconcile(system: System) -> Iterable[str]:
    """As an operator would after a bad day. Status 1 of the first is right where staff must look."""
    yield from _run_command(system, "reconcile_paystack", unless="Staff must look", wait_while="still at work")
    for command in ("replay_webhooks", "release_reservations", "expire_credits"):
        yield from _run_command(system, command)


def _run_command(
    system: System, command: str, *, unless: str | None = None, wait_while: str | None = None
) -> Iterable[str]:
    """Where it says `unless`, a status of 1 is right; where it says `wait_while`, it is tried again for a time."""
    give_up_at = time.monotonic() + COMMAND_WITHIN_SECONDS
    done = system.manage(command)
    while done.returncode and wait_while and wait_while in done.stderr and time.monotonic() < give_up_at:
        done = system.manage(command)
    if done.returncode and not (unless and unless in done.stderr):
        yield f"manage.py {command} ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-2000:]}"


def _deliver_the_rest(system: System) -> Iterable[str]:
    """What reconciliation has settled is told once more: all webhooks that are still to be retried arrive now."""
    with httpx2.Client(base_url=system.sandbox, timeout=60, trust_env=False) as sandbox:
        for _ in range(RETRY_HOURS):
            sandbox.post("/_sandbox/clock", json={"advance": {"hours": 1}}).raise_for_status()
            time.sleep(0.5)
    give_up_at = time.monotonic() + QUIET_WITHIN_SECONDS
    while time.monotonic() < give_up_at:
        if all(row["delivered"] or row["next_attempt_at"] is None for row in books.read(system.sandbox).deliveries):
            return
        time.sleep(1)
    yield f"webhooks are still being delivered after {QUIET_WITHIN_SECONDS} seconds"


def _print_table(heading: str, counts: dict[str, int]) -> None:
    print(f"\n{heading}")
    for name, count in counts.items():
        print(f"  {count:>6}  {name}")


def _print_problems(problems: list[str]) -> None:
    if problems:
        print(f"\nProblems, {min(len(problems), PROBLEMS_PRINTED)} of {len(problems)}")
        print("\n".join(f"  {problem}" for problem in problems[:PROBLEMS_PRINTED]))


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of trouble; the start and the end come on top")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--buyers", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
