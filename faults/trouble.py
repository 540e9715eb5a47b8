"""What breaks when: a plan drawn from the seed before the run, and its execution."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from faults.system import OLD_KEY, System

# Few, mixed and repeated, so that in a short run each kind of fault meets many calls.
API_TROUBLES: tuple[dict[str, Any], ...] = (
    {"timeout_rate": 0.05, "error_rate": 0.3},
    {"timeout_rate": 0.05, "drop_before_commit": 0.3, "drop_after_commit": 0.3},
    {"timeout_rate": 0.05, "html_rate": 0.3, "status": 502, "malformed_rate": 0.3, "truncated_rate": 0.3},
    {"timeout_rate": 0.05, "rate_limit_rate": 0.3, "latency_seconds": [0.1, 1]},
)
_OLD_KEY = {"old_key": 0.4, "old_secret_key": OLD_KEY}
WEBHOOK_TROUBLES: tuple[dict[str, Any], ...] = (
    {"drop": 0.4, "duplicate": 0.5, **_OLD_KEY},
    {"drop": 0.2, "delay_seconds": [1, 5], "corrupt_signature": 0.4},
    {"duplicate": 0.3, "reorder": True, "corrupt_signature": 0.2, **_OLD_KEY},
    {"down_seconds": 1800},
)
MOODS_LAST_SECONDS = 15.0
# action, seconds between two of it on average, how many at the least
ACTIONS = (("kill web", 7.0, 4), ("kill worker", 15.0, 2), ("kill reconcile", 30.0, 1), ("restart database", 40.0, 1))
CLOCK_STEP_SECONDS = 3600
CLOCK_EVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True, order=True)
class Step:
    at: float
    action: str
    detail: Any = field(default=None, compare=False)


def plan(seed: int, seconds: float) -> list[Step]:
    """The same for the same seed and length. Pure."""
    dice = random.Random(f"trouble:{seed}")
    steps = list(_faults(dice, seconds))
    for action, every, at_least in (*ACTIONS, ("move clock", CLOCK_EVERY_SECONDS, 2)):
        count = max(at_least, round(seconds / every))
        steps += [Step(seconds * (number + dice.random()) / count, action, dice.random()) for number in range(count)]
    return sorted(steps)


def _faults(dice: random.Random, seconds: float) -> Iterator[Step]:
    """Every kind of trouble at least once, two at a time, in an order of the seed's."""
    rounds = max(2, round(seconds / MOODS_LAST_SECONDS / len(API_TROUBLES)))
    api = [one for _ in range(rounds) for one in dice.sample(API_TROUBLES, len(API_TROUBLES))]
    webhook = [one for _ in range(rounds) for one in dice.sample(WEBHOOK_TROUBLES, len(WEBHOOK_TROUBLES))]
    for number, both in enumerate(zip(api, webhook, strict=True)):
        faults = dict(zip(("api", "webhook"), both, strict=True)) | {"seed": dice.randrange(2**31)}
        yield Step(seconds * number / len(api), "set faults", faults)


@dataclass
class Troublemaker:
    system: System
    seconds: float
    happened: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        began = time.monotonic()
        async with httpx2.AsyncClient(base_url=self.system.sandbox, timeout=60, trust_env=False) as sandbox:
            for step in plan(self.system.seed, self.seconds):
                await asyncio.sleep(max(0.0, began + step.at - time.monotonic()))
                await self._take(step, sandbox)
            await asyncio.sleep(max(0.0, began + self.seconds - time.monotonic()))
            (await sandbox.put("/_sandbox/faults", json={})).raise_for_status()

    async def _take(self, step: Step, sandbox: httpx2.AsyncClient) -> None:
        match step.action:
            case "set faults":
                (await sandbox.put("/_sandbox/faults", json=step.detail)).raise_for_status()
            case "move clock":
                moved = await sandbox.post("/_sandbox/clock", json={"advance_seconds": CLOCK_STEP_SECONDS})
                moved.raise_for_status()
            case "restart database":
                await asyncio.to_thread(self.system.database.restart)
            case _:
                self._kill(step.action.removeprefix("kill "), step.detail)

    def _kill(self, name: str, luck: float) -> None:
        alive = [process for process in self.system.processes.values() if process.name.startswith(name)]
        alive[int(luck * len(alive))].kill()
