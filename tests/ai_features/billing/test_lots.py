"""The worked example of docs/LEDGER.md, and what holds for every other."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_features.billing.lots import LotLeft, left_after, order_of_use, take
from tests.docs import ROOT

MAY, JUNE = datetime(2027, 5, 31, tzinfo=UTC), datetime(2027, 6, 30, tzinfo=UTC)
LOTS = [LotLeft(1, 80, JUNE, True), LotLeft(2, 20, JUNE, False), LotLeft(3, 5, MAY, False), LotLeft(4, 30, None, True)]
EXAMPLES = re.findall(
    r"^\| (\d+) \| (\d+ from .+?) \| (\d+, \d+, \d+, \d+) \|$", (ROOT / "docs/LEDGER.md").read_text(), re.MULTILINE
)

lots = st.lists(
    st.builds(
        LotLeft,
        st.integers(1, 10**6),
        st.integers(1, 10**12),
        st.none() | st.datetimes(timezones=st.just(UTC)),
        st.booleans(),
    ),
    unique_by=lambda lot: lot.id,
)


@pytest.mark.parametrize(("amount", "takes", "leaves"), EXAMPLES)
def test_examples_of_the_page(amount: str, takes: str, leaves: str) -> None:
    taken = take(sorted(LOTS, key=order_of_use), int(amount))
    assert ", ".join(f"{one.amount} from {one.lot.id}" for one in taken) == takes
    left = {lot.id: lot.remaining for lot in LOTS} | {one.lot.id: one.left for one in taken}
    assert ", ".join(str(left[number]) for number in sorted(left)) == leaves


def test_page_has_examples() -> None:
    assert len(EXAMPLES) == 4


@given(lots, st.integers(0, 10**13))
def test_taking_loses_and_invents_nothing(found: list[LotLeft], amount: int) -> None:
    in_order = sorted(found, key=order_of_use)
    taken = take(in_order, amount)
    total = sum(lot.remaining for lot in found)
    assert sum(one.amount for one in taken) == min(amount, total)
    assert all(0 < one.amount <= one.lot.remaining for one in taken)
    assert [one.lot for one in taken] == in_order[: len(taken)]
    assert all(not one.left for one in taken[:-1])
    assert sum(lot.remaining for lot in left_after(in_order, amount)) == max(0, total - amount)
