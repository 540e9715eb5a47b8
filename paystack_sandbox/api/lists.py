"""Lists of everything but transactions and banks: filters, pages both ways, total."""

from collections.abc import Callable
from typing import Any

from paystack_sandbox.api.call import Answer, Call
from paystack_sandbox.api.pages import cursor_rows, given, read_id, read_moment_ms, read_page
from paystack_sandbox.state import AnyRecord


class Filters:
    """Conditions of a WHERE clause, beginning with whose rows they are."""

    def __init__(self, call: Call) -> None:
        self._query = call.query
        self.conditions = ["integration_id = ?"]
        self.values: list[Any] = [call.integration.id]

    @property
    def where(self) -> str:
        return " AND ".join(self.conditions)

    def add(self, condition: str, *values: Any) -> None:
        self.conditions.append(condition)
        self.values.extend(values)

    def equal(self, field: str, column: str) -> None:
        text = given(self._query, field)
        if text is not None:
            self.add(f"{column} = ?", text)

    def number(self, field: str, column: str) -> None:
        """What is no number matches nothing, as a customer's code does where its id is asked for (facts 3.7)."""
        text = given(self._query, field)
        if text is not None:
            self.add(f"{column} = ?", read_id(text))

    def period(self, column: str = "created_at") -> None:
        for field, comparison in (("from", ">="), ("to", "<=")):
            moment = read_moment_ms(self._query, field)
            if moment is not None:
                self.add(f"{column} {comparison} ?", moment)


def list_answer(
    call: Call,
    kind: type[AnyRecord],
    filters: Filters,
    message: str,
    view: Callable[[AnyRecord], dict[str, Any]],
    *,
    cursor_prefix: str | None = None,
    **more_meta: Any,
) -> Answer:
    """Newest first; by cursor where the list has one and the client asks for it (facts 1.6)."""
    page, state = read_page(call.query), call.sandbox.state
    if cursor_prefix is not None and page.by_cursor:

        def fetch(condition: str, ids: list[int], order: str, limit: int) -> list[AnyRecord]:
            where = f"{filters.where} AND {condition}"
            return state.select(kind, where, [*filters.values, *ids], order=order, limit=limit)

        rows, meta = cursor_rows(page, cursor_prefix, "id", fetch)
        return Answer(message, [view(row) for row in rows], meta)
    rows = state.select(kind, filters.where, filters.values, limit=page.per_page, offset=page.offset)
    total = state.count(kind.table, filters.where, filters.values)
    return Answer(message, [view(row) for row in rows], {**page.offset_meta(total), **more_meta})
