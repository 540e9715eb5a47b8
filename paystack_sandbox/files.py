"""Files at addresses of their own: CSV exports (facts 3.8), and what is uploaded for a dispute (facts 6).

The name is the secret, as in the signed addresses Paystack answers with, and it is good for a while only.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from paystack_sandbox.api.endpoint import json_response
from paystack_sandbox.bodies import raw_body
from paystack_sandbox.clock import iso
from paystack_sandbox.errors import PaystackError
from paystack_sandbox.records import Dispute
from paystack_sandbox.state import Record, Transaction, random_code

if TYPE_CHECKING:
    from paystack_sandbox.sandbox import Sandbox

_BATCH = 1000
_TRANSACTION_COLUMNS = (
    *("id", "reference", "amount", "currency", "status", "channel", "gateway_response", "fees", "email"),
    *("customer_code", "created_at", "paid_at", "settlement_id"),
)
_DISPUTE_COLUMNS = (
    *("id", "transaction_id", "refund_amount", "status", "resolution", "category", "due_at", "resolved_at"),
    "created_at",
)
_MOMENTS = frozenset({"created_at", "paid_at", "due_at", "resolved_at"})


@dataclass(frozen=True, slots=True)
class StoredFile(Record):
    """An export, which is its query, or an upload, which is its content. Has no id but its name."""

    table: ClassVar[str] = "files"
    name: str
    integration_id: int
    kind: str
    query: str | None
    content: bytes | None
    expires_at: int


def offer(sandbox: "Sandbox", integration_id: int, kind: str, query: Any, valid_seconds: int) -> StoredFile:
    """A new address. `kind` is transactions, disputes or upload."""
    expires_at = sandbox.clock.now_ms() + valid_seconds * 1000
    name = random_code(20) + ("" if kind == "upload" else ".csv")
    sandbox.state.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?, NULL, ?)", name, integration_id, kind, json.dumps(query), expires_at
    )
    return _find(sandbox, name)


def expiry_text(stored: StoredFile) -> str:
    """`2024-08-22 11:01:23`, as the export's answer has it."""
    return datetime.fromtimestamp(stored.expires_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _find(sandbox: "Sandbox", name: str) -> StoredFile:
    found = sandbox.state.find(StoredFile, "name = ?", name)
    if found is None:
        raise PaystackError("file_not_found")
    return found


def _valid(sandbox: "Sandbox", request: Request, *, upload: bool) -> StoredFile:
    stored = _find(sandbox, request.path_params["name"])
    if (stored.kind == "upload") is not upload:
        raise PaystackError("file_not_found")
    if sandbox.clock.now_ms() > stored.expires_at:
        raise PaystackError("file_expired")
    return stored


async def download(request: Request) -> Response:
    """An export: the rows as they are now, a batch at a time."""
    sandbox: Sandbox = request.app.state.sandbox
    try:
        stored = _valid(sandbox, request, upload=False)
    except PaystackError as error:
        return json_response(error.http_status, error.body())
    headers = {"content-disposition": f'attachment; filename="{stored.name}"'}
    return StreamingResponse(_csv(sandbox, stored), 200, headers, "text/csv; charset=utf-8")


async def upload(request: Request) -> Response:
    """Evidence for a dispute: whatever bytes are put here are kept under the name."""
    sandbox: Sandbox = request.app.state.sandbox
    try:
        stored = _valid(sandbox, request, upload=True)
        sandbox.state.execute("UPDATE files SET content = ? WHERE name = ?", await raw_body(request), stored.name)
    except PaystackError as error:
        return json_response(error.http_status, error.body())
    return Response(status_code=200)


def _csv(sandbox: "Sandbox", stored: StoredFile) -> Iterator[str]:
    columns = _TRANSACTION_COLUMNS if stored.kind == "transactions" else _DISPUTE_COLUMNS
    yield _lines([list(columns)])
    where, values = json.loads(stored.query or '["0", []]')
    before = None
    while True:
        rows = _batch(sandbox, stored.kind, where, values, before)
        if not rows:
            return
        yield _lines([[_cell(row, column) for column in columns] for row in rows])
        before = rows[-1].id


def _batch(
    sandbox: "Sandbox", kind: str, where: str, values: list[Any], before: int | None
) -> list[Transaction] | list[Dispute]:
    column = "t.id" if kind == "transactions" else "id"
    condition = f"{where} AND {column} < ?" if before is not None else where
    narrowed = [*values, before] if before is not None else values
    if kind == "transactions":
        return sandbox.state.transactions(condition, narrowed, f"{column} DESC", _BATCH)
    return sandbox.state.select(Dispute, condition, narrowed, limit=_BATCH)


def _cell(row: Transaction | Dispute, column: str) -> Any:
    value = getattr(row, column)
    return iso(value) if column in _MOMENTS else value


def _lines(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def routes() -> list[Route]:
    return [
        Route("/files/exports/{name}", download, methods=["GET"]),
        Route("/files/uploads/{name}", upload, methods=["PUT"]),
    ]
