"""A QR code of one fixed kind: version 5, error correction L, bytes, mask 0 (ISO/IEC 18004).

Enough for an address of 106 characters, and one block of codewords, which keeps it short.
"""

from collections.abc import Iterator

SIZE = 37
CAPACITY = 106
_DATA_CODEWORDS, _EC_CODEWORDS = 108, 26
_FORMAT_BITS = 0b111011111000100  # error correction L, mask 0, with their own checksum
_ALIGNMENT = 30
_QUIET = 4

Grid = list[list[bool | None]]


def svg(text: str) -> str | None:
    """The code as an SVG element; None where the text is too long for it."""
    data = text.encode()
    if len(data) > CAPACITY:
        return None
    cells = matrix(data)
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(cells) for x, cell in enumerate(row) if cell)
    whole = SIZE + 2 * _QUIET
    return (
        f'<svg viewBox="-{_QUIET} -{_QUIET} {whole} {whole}" role="img" aria-label="QR code" '
        f'shape-rendering="crispEdges"><path d="{dark}"/></svg>'
    )


def matrix(data: bytes) -> list[list[bool]]:
    """Rows of modules, dark ones true. `data` has at most CAPACITY bytes."""
    grid: Grid = [[None] * SIZE for _ in range(SIZE)]
    _draw_patterns(grid)
    words = _codewords(data)
    bits = (word >> shift & 1 for word in words + _remainder(words) for shift in range(7, -1, -1))
    for x, y in _free_modules(grid):
        # Mask 0 turns every second module; the seven places after the last bit count as light ones.
        grid[y][x] = bool(next(bits, 0)) ^ ((x + y) % 2 == 0)
    return [[bool(cell) for cell in row] for row in grid]


def _draw_patterns(grid: Grid) -> None:
    for x, y in ((3, 3), (SIZE - 4, 3), (3, SIZE - 4)):
        _draw_rings(grid, x, y, 4, light=(2, 4))
    for index in range(8, SIZE - 8):
        grid[6][index] = grid[index][6] = index % 2 == 0
    _draw_rings(grid, _ALIGNMENT, _ALIGNMENT, 2, light=(1,))
    for index in range(15):
        bit = bool(_FORMAT_BITS >> index & 1)
        x, y = _format_place(index)
        grid[y][x] = bit
        if index < 8:
            grid[8][SIZE - 1 - index] = bit
        else:
            grid[SIZE - 15 + index][8] = bit
    grid[SIZE - 8][8] = True


def _draw_rings(grid: Grid, x: int, y: int, radius: int, light: tuple[int, ...]) -> None:
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if 0 <= x + dx < SIZE and 0 <= y + dy < SIZE:
                grid[y + dy][x + dx] = max(abs(dx), abs(dy)) not in light


def _format_place(index: int) -> tuple[int, int]:
    """Where bit `index` stands beside the upper left finder; row and column 6 belong to the timing patterns."""
    if index < 8:
        return 8, index + (index >= 6)
    return (7 if index == 8 else 14 - index), 8


def _free_modules(grid: Grid) -> Iterator[tuple[int, int]]:
    """Up and down in columns two wide, from the lower right, as the standard lays the bits."""
    upwards = True
    for right in (*range(SIZE - 1, 6, -2), 5, 3, 1):
        for step in range(SIZE):
            y = SIZE - 1 - step if upwards else step
            for x in (right, right - 1):
                if grid[y][x] is None:
                    yield x, y
        upwards = not upwards


def _codewords(data: bytes) -> list[int]:
    """Mode 0100 (bytes), the length, the bytes, an end, and padding."""
    bits = f"0100{len(data):08b}" + "".join(f"{byte:08b}" for byte in data) + "0000"
    words = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    padding = (0xEC, 0x11)
    return words + [padding[index % 2] for index in range(_DATA_CODEWORDS - len(words))]


def _remainder(words: list[int]) -> list[int]:
    """The Reed-Solomon codewords: the rest of a division by the generator polynomial."""
    generator = _generator(_EC_CODEWORDS)
    rest = [0] * _EC_CODEWORDS
    for word in words:
        factor = word ^ rest.pop(0)
        rest.append(0)
        rest = [old ^ _multiply(term, factor) for old, term in zip(rest, generator, strict=True)]
    return rest


def _generator(degree: int) -> list[int]:
    """The coefficients of (x - 1)(x - 2)(x - 4)… without the leading one."""
    terms = [0] * (degree - 1) + [1]
    root = 1
    for _ in range(degree):
        for at in range(degree):
            terms[at] = _multiply(terms[at], root) ^ (terms[at + 1] if at + 1 < degree else 0)
        root = _multiply(root, 2)
    return terms


def _multiply(left: int, right: int) -> int:
    """In the field of 256 elements with x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    for shift in range(7, -1, -1):
        product = (product << 1) ^ (product >> 7) * 0x11D
        product ^= (right >> shift & 1) * left
    return product
