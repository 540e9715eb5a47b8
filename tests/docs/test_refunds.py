"""The Python of docs/REFUNDS.md, run from top to bottom, and its table of examples."""

import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from ai_features.billing import AIBillingService
from ai_features.models import Purchase, Wallet
from paystack_sandbox import PaystackSandbox
from tests.docs import ROOT, code_blocks, section
from tests.laws import assert_laws
from tests.money_back import buy, deliver
from tests.paystack_facts import charge

PAGE = (ROOT / "docs" / "REFUNDS.md").read_text()
TABLE = section(PAGE, "Which credits go with it")
EXAMPLES = re.findall(r"^\| (spent .+) \| GHS (\S+) \| `?(\w+)`? \| (\d+) \| (\d+) \|$", TABLE, re.MULTILINE)


@pytest.fixture
def purchase(buyer: User, sandbox: PaystackSandbox) -> Purchase:
    return buy(buyer, sandbox)


def test_every_example_runs_as_it_is_printed(purchase: Purchase, buyer: User, sandbox: PaystackSandbox) -> None:
    staff = User.objects.create_superuser("boss", "boss@example.com", "boss")
    deliver("charge.success", charge(reference="SHOP-7"))
    names = {"user": buyer, "staff": staff, "purchase": purchase, "sandbox": sandbox}
    for block in code_blocks(PAGE, "python"):
        exec(block, names)  # noqa: S102  our own page
    assert not AIBillingService.review_items().exists()
    assert_laws(Wallet.objects.get(user=buyer))


def test_table_has_its_examples() -> None:
    assert len(EXAMPLES) == 8


@pytest.mark.parametrize(("story", "amount", "policy", "balance", "debt"), EXAMPLES)
def test_every_row_of_the_table_is_true(
    purchase: Purchase, buyer: User, settings, story: str, amount: str, policy: str, balance: str, debt: str
) -> None:
    if "spent 30" in story:
        AIBillingService.spend(buyer, 30)
    if "granted 10" in story:
        AIBillingService.grant(buyer, 10, reason="trial")
    settings.AI_CREDITS = {"REFUND_POLICY": "debt" if policy == "any" else policy}
    AIBillingService.refund(purchase, amount, reason="example")
    now = AIBillingService.balance(buyer)
    assert (now.balance, now.debt) == (Decimal(balance), Decimal(debt))
