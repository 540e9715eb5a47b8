"""The sandbox's pages: their options exist, and their examples run as they stand there."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from paystack_sandbox import cli
from tests.docs import ROOT, code_blocks, section

REFERENCE = (ROOT / "docs" / "SANDBOX.md").read_text()
TOUR = (ROOT / "paystack_sandbox" / "README.md").read_text()
OPTIONS = {option for action in cli._parser()._actions for option in action.option_strings}
WITH_PAYSTACK, *_ = (block for block in code_blocks(REFERENCE, "sh") if block.startswith("#!/bin/sh"))


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """With the installed command on the path, as the reader has it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **environment}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=60)


def test_every_option_is_in_the_reference() -> None:
    first_cells = re.findall(r"^\| (`--[^|]+)\|", section(REFERENCE, "Start it"), re.MULTILINE)
    documented = {option for cell in first_cells for option in re.findall(r"--[a-z-]+", cell)}
    assert documented == {option for option in OPTIONS if option.startswith("--")} - {"--help"}


@pytest.mark.parametrize("page", [REFERENCE, TOUR], ids=["reference", "tour"])
def test_commands_on_the_page_are_understood(page: str) -> None:
    lines = re.findall(r"paystack-sandbox (--[^\n&)`\"]+)", "".join(code_blocks(page, "console")))
    assert lines
    for line in lines:
        options = cli._parser().parse_args(shlex.split(line))
        assert options.secret_key is None or all(":" in key for key in options.secret_key)


def test_script_runs_a_command_beside_a_sandbox_and_stops_it(tmp_path: Path) -> None:
    (tmp_path / "with-paystack.sh").write_text(WITH_PAYSTACK)
    port = free_port()
    client = 'curl -sf "$PAYSTACK_BASE_URL/bank?perPage=1" -H "Authorization: Bearer $PAYSTACK_SECRET_KEY"; exit 7'
    done = run(tmp_path, "sh", "with-paystack.sh", "sh", "-c", client, PAYSTACK_PORT=port)
    assert "Banks retrieved" in done.stdout
    assert done.returncode == 7
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))


def test_script_ends_where_the_sandbox_can_not_start(tmp_path: Path) -> None:
    (tmp_path / "with-paystack.sh").write_text(WITH_PAYSTACK)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        done = run(tmp_path, "sh", "with-paystack.sh", "echo", "ran", PAYSTACK_PORT=port)
    assert done.returncode != 0
    assert "ran" not in done.stdout.split()


def test_test_in_javascript_passes(tmp_path: Path) -> None:
    if shutil.which("node") is None and not os.environ.get("CI"):
        pytest.skip("no Node on this machine; CI runs this")
    (script,) = code_blocks(REFERENCE, "js")
    (tmp_path / "order.test.mjs").write_text(script)
    (tmp_path / "with-paystack.sh").write_text(WITH_PAYSTACK)
    port = free_port()
    environment = {"PAYSTACK_PORT": free_port(), "WEBHOOK_PORT": port, "WEBHOOK_URL": f"http://127.0.0.1:{port}/hooks"}
    done = run(tmp_path, "sh", "with-paystack.sh", "node", "--test", "order.test.mjs", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"pass 1$", done.stdout, re.MULTILINE)


def test_pytest_example_passes(tmp_path: Path) -> None:
    _, example = code_blocks(section(REFERENCE, "In tests"), "python")
    (tmp_path / "test_order.py").write_text(example)
    done = run(
        tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider", "test_order.py"
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_tour_does_what_it_tells(tmp_path: Path) -> None:
    blocks = code_blocks(section(TOUR, "Five minutes"), "console")
    script = re.sub(r"^\$ (.*(?:\n    .*)*)", r"\1; echo", "".join(blocks), flags=re.MULTILINE)
    port = free_port()
    (tmp_path / "tour.sh").write_text(script.replace("8010", port))
    (tmp_path / "with-paystack.sh").write_text(WITH_PAYSTACK)
    done = run(tmp_path, "sh", "with-paystack.sh", "sh", "tour.sh", PAYSTACK_PORT=port)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    started, waiting, approved, verified, dispute, clock, disputed, faults, emptied = answers
    assert started["data"]["authorization_url"].startswith(f"http://localhost:{port}/checkout/")
    assert (waiting["waiting_for"], approved["status"], verified["data"]["status"]) == (
        "phone_prompt",
        *["success"] * 2,
    )
    assert (dispute["status"], disputed["status"]) == ("awaiting-merchant-feedback", "reversed")
    assert (clock["advanced_seconds"], faults["webhook"]["duplicate"], emptied) == (432000, 1, {"status": "empty"})
