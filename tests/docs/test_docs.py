"""Documentation that fails the build when it is wrong."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from ai_features import conf, errors, exceptions
from paystack_sandbox import PaystackSandbox

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
GUIDE = (ROOT / "docs" / "PAYSTACK_INTEGRATION.md").read_text()
SETTINGS = (ROOT / "docs" / "SETTINGS.md").read_text()


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_setting_is_documented() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", SETTINGS.partition("## Paystack")[0], re.MULTILINE)) == set(conf.KEYS)


def test_every_variable_of_the_reference_project_is_documented() -> None:
    used = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "app" / "settings.py").read_text()))
    assert used - set(re.findall(r"`([A-Z_]+)`", SETTINGS)) == set()
    example = (ROOT / ".env.example").read_text()
    assert (
        used - {"CONN_MAX_AGE", "HSTS_SECONDS"} - set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE)) == set()
    )


def codes_of(family: type[exceptions.AICreditsError]) -> set[str]:
    return {family.code}.union(*(codes_of(kind) for kind in family.__subclasses__()))


def test_every_error_code_is_in_the_guide() -> None:
    roots = {"ai_credits_error", "request_refused", "paystack_error"}
    ours = codes_of(exceptions.AICreditsError) - roots | {errors.DATABASE_UNAVAILABLE["error"], "not_configured"}
    assert {code for code in ours | set(errors._CODES.values()) if f"`{code}`" not in GUIDE} == set()


def test_every_address_of_the_api_is_in_the_guide() -> None:
    routes = [str(pattern.pattern) for pattern in get_resolver("ai_features.urls").url_patterns]
    assert [route for route in routes if route.removeprefix("api").rstrip("/") not in GUIDE] == []


def test_error_tree_is_complete() -> None:
    tree = exceptions.__doc__ or ""
    classes = {kind.__name__ for kind in vars(exceptions).values() if isinstance(kind, type)}
    assert {name for name in classes - {"Any", "ClassVar"} if name not in tree} == set()


def keys_in_guide(beginning: str) -> set[str]:
    answer = GUIDE[GUIDE.index(beginning) :].partition("```")[0].partition("\n$ ")[0]
    return set(re.findall(r'"(\w+)":', answer))


def test_answers_in_the_guide_have_the_real_keys(db: None, sandbox: PaystackSandbox, django_user_model: Any) -> None:
    api = APIClient()
    api.force_authenticate(django_user_model.objects.create_user("demo", "demo@example.com", "demo"))
    package = api.get("/ai/api/credits/packages/").json()[0]
    started = api.post("/ai/api/credits/purchase/", {"package": "value"}, format="json").json()
    sandbox.pay(started["reference"], channel="card", card={"number": "4084084084084081"})
    verified = api.get("/ai/api/credits/verify/", {"reference": started["reference"]}).json()
    balance = api.get("/ai/api/credits/balance/").json()
    assert keys_in_guide('[{"code":"starter"') == package.keys()
    assert keys_in_guide('{"authorization_url"') == started.keys() | started["invoice"].keys()
    assert keys_in_guide('{"status":"success"') == verified.keys()
    assert keys_in_guide('{"balance"') == balance.keys() | balance["expiring"][0].keys()
