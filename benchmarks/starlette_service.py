"""The least that could be put beside the product: Starlette and asyncpg, the same SQL, none of the checks.

It looks the token up as the product does, spends through the same function in the database, and answers the same JSON.
Served by uvicorn with uvloop and httptools.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import orjson
from knox.crypto import hash_token
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONNECTIONS = 8

_ASKER = "SELECT user_id, wallet_id FROM ai_features_asker($1, $2)"
_BALANCE = """
SELECT w.balance, w.held, w.debt FROM knox_authtoken AS t
  JOIN ai_features_wallet AS w ON w.user_id = t.user_id WHERE t.digest = $1 AND t.expiry > now()
"""
_SPEND = "SELECT ids, balance FROM ai_features_spend($1, $2, $3, NULL, NULL, $4, $5)"
_SPEND_WAITING = "SELECT ids, balance FROM ai_features_spend_each($1, $2, $3, '{}', '{}', $4, $5, true)"


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    database = json.loads(os.environ["BENCH_DATABASE"])
    async with asyncpg.create_pool(
        host=database["HOST"],
        user=database["USER"],
        database=database["NAME"],
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
    ) as pool:
        app.state.pool = pool
        yield


async def spend(request: Request) -> Response:
    asked = orjson.loads(await request.body())
    now = datetime.now(UTC)
    async with request.app.state.pool.acquire() as database:
        asker = await database.fetchrow(_ASKER, _digest(request), now)
        if asker is None or asker["wallet_id"] is None:
            return _answer({"error": "not_authenticated"}, 401)
        wallet, member, feature = asker["wallet_id"], int(asker["user_id"]), asked["feature"]
        micro = round(asked["credits"] * 1_000_000)
        spent = await database.fetchrow(_SPEND, wallet, micro, feature, member, now)
        if spent is None:
            spent = await database.fetchrow(_SPEND_WAITING, [wallet], [micro], [feature], [member], now)
    if spent is None:
        return _answer({"error": "insufficient_credits"}, 402)
    return _answer({"entry": spent["ids"][0], "new_balance": spent["balance"] / 1_000_000})


async def balance(request: Request) -> Response:
    async with request.app.state.pool.acquire() as database:
        row = await database.fetchrow(_BALANCE, _digest(request))
    if row is None:
        return _answer({"error": "not_authenticated"}, 401)
    return _answer({name: row[name] / 1_000_000 for name in ("balance", "held", "debt")})


def _digest(request: Request) -> str:
    digest: str = hash_token(request.headers.get("authorization", "").removeprefix("Token "))
    return digest


def _answer(body: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


app = Starlette(
    routes=[
        Route("/ai/api/credits/spend/", spend, methods=["POST"]),
        Route("/ai/api/credits/balance/", balance),
    ],
    lifespan=lifespan,
)
