"""The page on evidence: its run is done as printed."""

import re
import shutil
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from ai_features.billing import AIBillingService
from ai_features.evidence import verify_ledger
from ai_features.models import LedgerEntry, triggers
from tests.docs import ROOT, code_blocks, section

PAGE = (ROOT / "docs" / "EVIDENCE.md").read_text()
HASH = re.compile(r"\b[0-9a-f]{64}\b")


@pytest.fixture
def auditor(wallet, tmp_path: Path, monkeypatch, capsys):
    """Does the commands of a block, and gives what they print, with the head as the page has it."""
    for credits_, reason in ((100, "trial"), (50, "goodwill"), (20, "promotion")):
        AIBillingService.grant(wallet, credits_, reason=reason)
    monkeypatch.chdir(tmp_path)
    shutil.copy(verify_ledger.__file__, tmp_path)
    heads: list[str] = []

    def do(block: str) -> str:
        printed = ""
        for line in block.splitlines():
            if line.startswith("$ python manage.py "):
                call_command(*line.split()[3:])
            elif line.startswith("$ python verify_ledger.py "):
                words = [heads[-1] if HASH.match(word) else word for word in line.split()[3:]]
                assert verify_ledger.main(words) in (0, 1)
            else:
                continue
            said = capsys.readouterr().out
            heads.extend(HASH.findall(said))
            printed += f"{line}\n{HASH.sub(HASH.findall(PAGE)[0], said)}"
        return printed

    return do


def test_run_on_the_page_prints_what_it_says(auditor) -> None:
    for heading in ("What is sealed", "For the auditor"):
        (block,) = code_blocks(section(PAGE, heading), "console")
        assert auditor(block) == block


def test_finding_on_the_page_is_what_the_script_says(auditor) -> None:
    auditor(code_blocks(section(PAGE, "What is sealed"), "console")[0])
    grant = LedgerEntry.objects.get(reason="goodwill")
    with connection.cursor() as cursor:
        for statement in triggers.drop_statements(connection.vendor):
            cursor.execute(statement)
        cursor.execute(f"UPDATE ai_features_ledgerentry SET amount = 500000000 WHERE id = {grant.pk}")
    said = auditor("$ python manage.py export_ledger x.jsonl\n$ python verify_ledger.py x.jsonl\n").splitlines()
    (printed,) = code_blocks(section(PAGE, "When something is found"), "")
    expected = printed.replace("entry 2", f"entry {grant.pk}").replace("wallet 1", f"wallet {grant.wallet_id}")
    assert "\n".join(said[3:5]) + "\n" == expected
