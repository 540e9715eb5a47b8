import pytest

from paystack_sandbox.checkout.qr import CAPACITY, SIZE, matrix, svg

KNOWN = [
    "#######..#.#.#.#.#.#.#.#.#.#..#######",
    ".#.#########.#.#.#.#.#.#.#.#.###.#...",
    "#######.##.#.#.#.#.#.#.#.#.##.#..#.##",
]


def test_version_five_with_its_three_finders() -> None:
    cells = matrix(b"http://127.0.0.1:8010/checkout/abcdefghijklmno/phone")
    assert (len(cells), {len(row) for row in cells}) == (SIZE, {SIZE})
    finder = [cells[0][:7], cells[0][-7:], cells[-1][:7]]
    assert finder == [[True] * 7] * 3


def test_known_code() -> None:
    """The first and last rows of the code that the library segno draws for the same text, level and mask."""
    cells = matrix(b"x" * CAPACITY)
    as_text = ["".join("#" if cell else "." for cell in row) for row in (cells[0], cells[20], cells[-1])]
    assert as_text == KNOWN


@pytest.mark.parametrize(("length", "fits"), [(0, True), (CAPACITY, True), (CAPACITY + 1, False)])
def test_capacity(length: int, fits: bool) -> None:
    assert (svg("x" * length) is not None) == fits
