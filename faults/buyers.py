"""Hundreds of people who buy and spend over HTTP, each with habits of their own and no patience to spare."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from faults.notes import MICRO, Bought, Notes, Spent
from faults.system import KEY, System

ASKS_AT_MOST = 6
ANSWER_WITHIN_SECONDS = 30
THINKS_SECONDS = 1.5
CROWD = 6
MONEY_BACK_RATE, DISPUTE_RATE = 0.2, 0.05
GOOD_CARD = {"channel": "card", "card": {"number": "4084 0840 8408 4081"}}
BAD_CARD = {"channel": "card", "card": {"number": "4084 0800 0000 5408"}}
PIN_CARD = {"channel": "card", "card": {"number": "5060 6666 6666 6666 666", "pin": "1234", "otp": "123456"}}
PHONE = {"channel": "mobile_money", "phone": "0241234567", "provider": "mtn"}
TRANSFER = {"channel": "bank_transfer"}
ORDERS: tuple[dict[str, Any], ...] = (
    {"package": "starter"},
    {"package": "value"},
    {"package": "premium"},
    {"package": "custom", "custom_amount": "12.34"},
)
# How people pay: one attempt after another, whatever came of the one before; None is a pause.
WAYS: tuple[tuple[str, tuple[dict[str, Any] | None, ...]], ...] = (
    ("card", (GOOD_CARD,)),
    ("card with PIN", (PIN_CARD,)),
    ("mobile money", (PHONE,)),
    (
        "mobile money, approved late",
        ({**PHONE, "outcome": "wait"}, None, {"channel": "mobile_money", "outcome": "approve"}),
    ),
    ("declined on the phone, then paid", ({**PHONE, "outcome": "decline"}, None, GOOD_CARD)),
    ("declined card, then mobile money", (BAD_CARD, PHONE)),
    ("bank transfer", (TRANSFER,)),
    ("wrong sum, then the right one", ({**TRANSFER, "amount": 100}, TRANSFER)),
    ("wrong sum only", ({**TRANSFER, "amount": 100},)),
    ("USSD", ({"channel": "ussd"},)),
    ("twice", (GOOD_CARD, PHONE)),
    ("late", (None, None, GOOD_CARD)),
    ("never", ()),
)


@dataclass
class Buyer:
    name: str
    system: System
    site: httpx2.AsyncClient
    sandbox: httpx2.AsyncClient
    notes: Notes
    dice: random.Random
    stop_at: float
    token: str = ""
    _refused: bool = False

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.stop_at

    async def live(self) -> None:
        await asyncio.sleep(self.dice.uniform(0, THINKS_SECONDS))
        while not self.token and not self.is_over:
            answer = await self._ask("POST", "/ai/api/token/", {"username": self.name, "password": "buyer"})
            self.token = answer["token"] if answer else ""
        while not self.is_over:
            bought = await self._buy()
            if bought is None:
                await self._haunt_a_failed_one()
            else:
                await self._pay(bought)
                await self._come_back(bought)
                await self._want_it_back(bought)
            for use in self.dice.choices(
                (self._spend, self._spend_in_a_crowd, self._reserve, self._look),
                (4, 1, 2, 1),
                k=self.dice.randrange(1, 6),
            ):
                await self._think()
                await use()

    async def _think(self) -> None:
        if not self.is_over:
            await asyncio.sleep(self.dice.expovariate(1 / THINKS_SECONDS))

    async def _buy(self) -> Bought | None:
        order = {**self.dice.choice(ORDERS), "callback_url": f"{self.system.site}/payment/callback"}
        answer = await self._ask("POST", "/ai/api/credits/purchase/", order, key=self._key())
        if answer is None:
            return None
        self.notes.did["purchases acknowledged"] += 1
        bought = Bought(
            self.name,
            answer["reference"],
            round(answer["amount"] * 100),
            round(answer["credits_to_add"] * MICRO),
        )
        return self.notes.bought.setdefault(bought.reference, bought)

    async def _pay(self, bought: Bought) -> None:
        way, attempts = self.dice.choice(WAYS)
        self.notes.did[f"paid: {way}"] += 1
        for attempt in attempts:
            if attempt is None:
                await self._think()
            else:
                await self._attempt(bought, attempt)

    async def _attempt(self, bought: Bought, attempt: dict[str, Any]) -> None:
        answer = await self._control(f"/_sandbox/transactions/{bought.reference}/pay", attempt)
        if (
            answer is not None
            and answer.status_code == 200
            and answer.json()["status"] == "success"
            and bought.paid_at is None
        ):
            bought.paid_at = time.time()

    async def _come_back(self, bought: Bought) -> None:
        """To the callback page, by `verify`, by both at once, or not at all."""
        ways = ((), (self._open_callback,), (self._verify,), (self._open_callback, self._verify, self._verify))
        chosen = self.dice.choice(ways)
        if not chosen:
            self.notes.did["closed the browser"] += 1
        await asyncio.gather(*(way(bought) for way in chosen))

    async def _open_callback(self, bought: Bought) -> None:
        await self._send(self.site.get, "/payment/callback", params={"reference": bought.reference})
        self.notes.did["opened the callback page"] += 1

    async def _verify(self, bought: Bought) -> None:
        answer = await self._ask("POST", "/ai/api/credits/verify/", {"reference": bought.reference})
        self.notes.did["verified"] += 1
        if answer is not None and answer["status"] == "success":
            self.notes.promises[bought.reference] = f"{answer['credits_added']}"

    async def _want_it_back(self, bought: Bought) -> None:
        """Some payments are refunded in Paystack's dashboard, whole or in parts; some payers go to their bank."""
        luck = self.dice.random()
        if bought.paid_at is None or luck > MONEY_BACK_RATE:
            return
        await self._think()
        if luck < DISPUTE_RATE:
            self.notes.did["disputes"] += 1
            await self._control("/_sandbox/disputes", {"transaction": bought.reference})
            return
        half = {"transaction": bought.reference, "amount": bought.amount_minor // 2}
        for refund in self.dice.choice(([{"transaction": bought.reference}], [half], [half, half])):
            self.notes.did["refunds"] += 1
            await self._control("/_sandbox/refunds", refund)

    async def _spend(self) -> None:
        await self._spend_up_to(8 * MICRO, key=self._key())

    async def _spend_in_a_crowd(self) -> None:
        await asyncio.gather(*[self._spend_up_to(MICRO, key=None) for _ in range(CROWD)])

    async def _spend_up_to(self, most: int, *, key: str | None) -> None:
        """Without a key it is asked for once, or it might be done twice."""
        micro, times = self.dice.randrange(1, most), ASKS_AT_MOST if key else 1
        asked = {"credits": _credits(micro)}
        answer = await self._ask("POST", "/ai/api/credits/spend/", asked, key=key, times=times)
        self._note_spent(micro, answer)

    async def _reserve(self) -> None:
        asked = {"credits": _credits(self.dice.randrange(1, 8 * MICRO)), "ttl_seconds": self.dice.choice((5, 600))}
        reserved = await self._ask("POST", "/ai/api/credits/reservations/", asked, key=self._key())
        if reserved is None:
            return
        await self._think()
        address = f"/ai/api/credits/reservations/{reserved['id']}"
        match self.dice.randrange(3):
            case 0:
                await self._ask("POST", f"{address}/release/", {})
                self.notes.did["reservations released"] += 1
            case 1:
                micro = self.dice.randrange(1, 10 * MICRO)
                captured = await self._ask("POST", f"{address}/capture/", {"credits": _credits(micro)}, key=self._key())
                self._note_spent(micro, captured)
            case _:
                self.notes.did["reservations forgotten"] += 1

    def _note_spent(self, micro: int, answer: dict[str, Any] | None) -> None:
        if answer is not None:
            self.notes.did["spends acknowledged"] += 1
            self.notes.spent.append(Spent(self.name, micro, answer["entry"]))
        elif self._refused:
            self.notes.did["spends refused"] += 1
        else:
            self.notes.did["spends without an answer"] += 1
            self.notes.spent.append(Spent(self.name, micro, None))

    async def _look(self) -> None:
        await self._ask("GET", "/ai/api/credits/balance/", None)

    async def _haunt_a_failed_one(self) -> None:
        """Pay what the app gave up: in full where Paystack has it, and otherwise as a cheat would, for one cedi."""
        page = await self._ask("GET", "/ai/api/credits/purchases/", None)
        failed = [row for row in (page or {"results": []})["results"] if row["status"] == "failed"]
        if not failed:
            return
        reference = self.dice.choice(failed)["reference"]
        known = await self._send(self.sandbox.get, f"/_sandbox/transactions/{reference}")
        if known is None:
            return
        if known.status_code == 404:
            cheat = {"email": "cheat@example.com", "amount": 100, "reference": reference}
            await self._send(self.sandbox.post, "/transaction/initialize", json=cheat, headers=_with_key())
        self.notes.did["paid after the app gave up" if known.status_code == 200 else "paid one cedi instead"] += 1
        await self._control(f"/_sandbox/transactions/{reference}/pay", GOOD_CARD)

    def _key(self) -> str:
        return str(uuid.UUID(int=self.dice.getrandbits(128)))

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, *, key: str | None = None, times: int = ASKS_AT_MOST
    ) -> dict[str, Any] | None:
        """The answer to a request that is repeated while it fails; None where it was refused or never answered."""
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        for _ in range(times):
            answer = await self._send(self.site.request, method, path, json=body, headers=headers)
            # 409: the first request of this purchase is still at work, or was killed a moment ago.
            if answer is not None and answer.status_code < 500 and answer.status_code not in (409, 429):
                self._refused = answer.status_code >= 400
                found: dict[str, Any] | None = None if self._refused else answer.json()
                return found
            await asyncio.sleep(self.dice.uniform(0.2, 1.5))
        # Here and not above: another of a crowd may have been refused meanwhile.
        self._refused = False
        return None

    async def _control(self, path: str, body: dict[str, Any]) -> httpx2.Response | None:
        """What a payer or a merchant does without us; a busy machine is no reason to end the run."""
        return await self._send(self.sandbox.post, path, json=body)

    async def _send(
        self, send: Callable[..., Awaitable[httpx2.Response]], *args: Any, **kwargs: Any
    ) -> httpx2.Response | None:
        try:
            answer = await send(*args, **kwargs)
        except httpx2.HTTPError as error:
            self.notes.felt[type(error).__name__] += 1
            return None
        if answer.status_code >= 400:
            self.notes.felt[str(answer.status_code)] += 1
        return answer


async def buy_and_spend(system: System, notes: Notes, seconds: float) -> None:
    """All buyers at once, and a stranger who pays the same merchant for something else."""
    limits = httpx2.Limits(max_connections=system.buyers, max_keepalive_connections=32)
    timeout = httpx2.Timeout(ANSWER_WITHIN_SECONDS)
    async with (
        httpx2.AsyncClient(base_url=system.site, limits=limits, timeout=timeout, trust_env=False) as site,
        httpx2.AsyncClient(base_url=system.sandbox, limits=limits, timeout=timeout, trust_env=False) as sandbox,
    ):
        stop_at = time.monotonic() + seconds
        buyers = [
            Buyer(f"buyer{n}", system, site, sandbox, notes, random.Random(f"buyer:{system.seed}:{n}"), stop_at)
            for n in range(system.buyers)
        ]
        await asyncio.gather(_stranger(system, notes, sandbox, stop_at), *(buyer.live() for buyer in buyers))


async def _stranger(system: System, notes: Notes, sandbox: httpx2.AsyncClient, stop_at: float) -> None:
    dice, number = random.Random(f"stranger:{system.seed}"), 0
    while time.monotonic() < stop_at:
        await asyncio.sleep(dice.uniform(1, 4))
        number += 1
        reference = f"OTHER-SHOP-{number}"
        asked = {"email": "stranger@example.com", "amount": 8000, "reference": reference}
        try:
            await sandbox.post("/transaction/initialize", json=asked, headers=_with_key())
            paid = await sandbox.post(f"/_sandbox/transactions/{reference}/pay", json=GOOD_CARD)
        except httpx2.HTTPError:
            notes.felt["stranger's call cut"] += 1
            continue
        if paid.status_code == 200:
            notes.strangers.add(reference)


def _credits(micro: int) -> float:
    """As JSON shows them; a double holds six places of such small numbers exactly enough to be read back."""
    return micro / MICRO


def _with_key() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}
