"""The README's five minutes, spent on a project that `startproject` has just made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from paystack_sandbox import PaystackSandbox
from tests.docs import README, code_blocks, section

BUY = """
from django.contrib.auth import get_user_model
from django.test import Client

get_user_model().objects.create_user("ama", "ama@example.com", "ama")
client = Client(headers={"Host": "localhost"})
assert client.login(username="ama", password="ama")
started = client.post("/ai/api/credits/purchase/", {"package": "value"}, content_type="application/json").json()
with urllib.request.urlopen(f"{PAYSTACK}/_sandbox/transactions/{started['reference']}/pay", b'{"channel": "ussd"}'):
    pass
page = client.get("/payment/callback", {"reference": started["reference"]}).content.decode()
assert "100 credits added! New balance: 100" in page, page
for address in ("/credits/", "/credits/wallet/", "/accounts/login/", "/ai/api/schema/", "/ai/api/docs/"):
    answer = client.get(address)
    assert answer.status_code == 200 and b"//cdn." not in answer.content, address
print("bought")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project with the README's lines at the end of its files."""
    call_command("startproject", "mysite", str(tmp_path))
    for_settings, for_sqlite, for_urls, _usage = code_blocks(section(README, "Add it to your project"), "python")
    for name, lines in (("settings.py", for_settings + for_sqlite), ("urls.py", for_urls)):
        with (tmp_path / "mysite" / name).open("a") as file:
            file.write(f"\n{lines}")
    return tmp_path


def manage(project: Path, sandbox: PaystackSandbox, *words: str) -> str:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": str(project)}
    environment |= {"PAYSTACK_SECRET_KEY": sandbox.secret_key, "PAYSTACK_BASE_URL": sandbox.url}
    command = [sys.executable, "manage.py", *words]
    run = {"cwd": project, "env": environment, "capture_output": True, "text": True, "timeout": 100}
    done = subprocess.run(command, check=False, **run)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_five_minutes_of_the_readme_sell_credits(project: Path, paystack_sandbox: PaystackSandbox) -> None:
    assert "no issues" in manage(project, paystack_sandbox, "check")
    manage(project, paystack_sandbox, "migrate", "--verbosity=0")
    script = f"import urllib.request\nPAYSTACK = {paystack_sandbox.url!r}\n{BUY}"
    assert "bought" in manage(project, paystack_sandbox, "shell", "--no-imports", "--command", script)
