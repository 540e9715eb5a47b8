"""The page for operators: its commands are those that there are, and answer as printed."""

import re
import shlex

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands

from ai_features.billing import AIBillingService
from tests.docs import ROOT, code_blocks, section

PAGE = (ROOT / "docs" / "OPERATIONS.md").read_text()
OURS = {name for name, app in get_commands().items() if app == "ai_features"}


def test_every_command_is_on_the_page_and_every_command_there_exists() -> None:
    assert set(re.findall(r"manage\.py (\w+)", PAGE)) - {"migrate", "check"} == OURS


def test_cron_lines_and_table_name_the_same_commands() -> None:
    (cron,) = code_blocks(PAGE, "cron")
    table = re.findall(r"^\| `(\w+)`", section(PAGE, "By the clock"), re.MULTILINE)
    assert re.findall(r"manage\.py (\w+)", cron) == table


@pytest.mark.parametrize("block", code_blocks(section(PAGE, "By hand"), "console"))
def test_command_answers_as_printed(db: None, capsys, block: str) -> None:
    ama, _demo = (get_user_model().objects.create_user(name) for name in ("ama", "demo"))
    if "grant_credits" in block:
        AIBillingService.grant(ama, "145.5", reason="trial")
    command, _, printed = block.partition("\n")
    call_command(*shlex.split(command.removeprefix("$ python manage.py ")))
    assert capsys.readouterr().out == printed
