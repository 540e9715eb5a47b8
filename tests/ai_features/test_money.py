from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_features.exceptions import AmountOutOfRange, CreditsOutOfRange
from ai_features.money import MAX_MICRO, Tax, tax_lines, to_credits, to_major, to_micro, to_minor


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("80", "GHS", 8000),
        (Decimal("0.10"), "GHS", 10),
        (1, "GHS", 100),
        ("10000000", "GHS", 10**9),
        ("500", "XOF", 50000),
    ],
)
def test_major_units_become_the_subunit(amount, currency: str, minor: int) -> None:
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0.09", "GHS"),
        ("49.99", "NGN"),
        ("10000000.01", "GHS"),
        ("1.001", "GHS"),
        ("500.5", "XOF"),
        ("80", "EUR"),
        ("-80", "GHS"),
        ("NaN", "GHS"),
        ("sNaN", "GHS"),
        ("Infinity", "GHS"),
        ("1e999999", "GHS"),
        ("80." + "0" * 60 + "1", "GHS"),
        ("eighty", "GHS"),
        (None, "GHS"),
    ],
)
def test_other_amounts_are_refused(amount, currency: str) -> None:
    with pytest.raises(AmountOutOfRange):
        to_minor(amount, currency)


@pytest.mark.parametrize(
    "credits_", ["0", "-1", "0.0000001", "NaN", "Infinity", "1e30", "1." + "0" * 70 + "1", "x", None]
)
def test_unusable_credits_are_refused(credits_) -> None:
    with pytest.raises(CreditsOutOfRange):
        to_micro(credits_)


@given(st.integers(min_value=1, max_value=MAX_MICRO))
def test_credits_survive_the_way_there_and_back(micro: int) -> None:
    assert to_micro(to_credits(micro)) == micro


@pytest.mark.parametrize(
    ("micro", "shown"),
    [(100_000_000, "100.0"), (145_500_000, "145.5"), (1, "0.000001"), (0, "0.0"), (10**16, "10000000000.0")],
)
def test_credits_are_shown_short(micro: int, shown: str) -> None:
    assert format(to_credits(micro), "f") == shown


def test_amounts_are_shown_with_two_places() -> None:
    assert str(to_major(3270)) == "32.70"


def test_taxes_round_half_up_each_on_the_price_alone() -> None:
    lines = tax_lines(3050, (Tax("VAT", Decimal("0.15")), Tax("Levy", Decimal("0.05"))), "GHS")
    assert [line.amount_minor for line in lines] == [458, 153]


def test_taxes_in_francs_are_whole_francs() -> None:
    (line,) = tax_lines(50_500, (Tax("TVA", Decimal("0.18")),), "XOF")
    assert line.amount_minor == 9100
