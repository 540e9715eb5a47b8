from pathlib import Path

import pytest

from paystack_sandbox.api.call import Route
from paystack_sandbox.api.operations import ROUTES
from paystack_sandbox.api.reference import page

PAGE = Path(__file__).parents[3] / "docs" / "SANDBOX_API.md"


def test_page_is_what_the_command_writes() -> None:
    hint = "write it anew: python -m paystack_sandbox.api.reference > docs/SANDBOX_API.md"
    assert PAGE.read_text(encoding="utf-8") == page(), hint


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_operation_says_what_it_does_and_how_sure_we_are(route: Route) -> None:
    assert route.operation.__doc__
    assert route.sure.split()[0].rstrip(";,") in ("seen", "documented", "OpenAPI", "unconfirmed")
