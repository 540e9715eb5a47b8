"""The Python of docs/SPENDING.md, run from top to bottom."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from ai_features.billing import AIBillingService
from ai_features.models import Wallet
from ai_features.signals import credits_low
from tests.docs import ROOT, code_blocks
from tests.laws import assert_laws

PAGE = (ROOT / "docs" / "SPENDING.md").read_text()


@pytest.mark.django_db
def test_every_example_runs_as_it_is_printed(buyer: User) -> None:
    AIBillingService.grant(buyer, 100, reason="trial")
    names = {"user": buyer, "Decimal": Decimal}
    for block in code_blocks(PAGE, "python"):
        exec(block, names)  # noqa: S102  our own page
    credits_low.disconnect(names["tell"])
    assert names["missing"] == 500 - AIBillingService.balance(buyer).available - 1
    assert_laws(Wallet.objects.get(user=buyer))
