"""The pages, read once for the tests beside this file."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README, GUIDE, SETTINGS = (
    (ROOT / name).read_text() for name in ("README.md", "docs/PAYSTACK_INTEGRATION.md", "docs/SETTINGS.md")
)


def section(page: str, heading: str) -> str:
    """From one heading of the second level to the next."""
    return re.split(r"^## ", page.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
