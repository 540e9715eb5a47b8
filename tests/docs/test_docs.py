"""Documentation that fails the build when it is wrong: links, tables, and names."""

import re
from pathlib import Path

import pytest
from django.conf import settings as project
from django.urls import URLPattern, get_resolver

from ai_features import conf, errors, exceptions
from tests.docs import GUIDE, README, ROOT, SETTINGS, section

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "paystack_sandbox" / "README.md"])
# Roots that are never raised themselves.
FAMILIES = {"ai_credits_error", "request_refused", "paystack_error"}


def prose(page: Path) -> str:
    """Without code blocks: what stands there is no heading and no link."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of every table row in a section; a `|` of its own is written `\\|`."""
    lines = re.findall(r"^\| (.+) \|$", section(page, heading), re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_setting_is_documented_with_its_default(settings) -> None:
    settings.AI_CREDITS = {}
    defaults = conf.ai_credits()
    table = {key.strip("`"): default.strip("`") for key, default, _ in rows(SETTINGS, "`AI_CREDITS`")[1:]}
    assert table.keys() == set(conf.KEYS)
    for key, default in table.items():
        documented = eval(default)  # noqa: S307  our own page
        settings.AI_CREDITS = {key: documented}
        assert getattr(conf.ai_credits(), key.lower()) == getattr(defaults, key.lower()), key


def test_every_variable_of_the_reference_project_is_documented() -> None:
    source = (ROOT / "app" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    documented = {
        name for row in rows(SETTINGS, "The reference project") for name in re.findall(r"`([A-Z_]+)`", row[0])
    }
    example = set(re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert documented == read
    assert example <= read
    assert read - example == {"CONN_MAX_AGE", "HSTS_SECONDS", "PREPARE_THRESHOLD"}


def classes_of(family: type[exceptions.AICreditsError]) -> set[type[exceptions.AICreditsError]]:
    return {family}.union(*(classes_of(kind) for kind in family.__subclasses__()))


def test_every_error_is_in_the_guide_with_its_http_status() -> None:
    table = {row[0].strip("`"): row[1] for row in rows(GUIDE, "Errors")}
    ours = {kind.code: str(kind.http_status) for kind in classes_of(exceptions.AICreditsError)}
    assert {code: status for code, status in ours.items() if code not in FAMILIES and table.get(code) != status} == {}


def test_every_error_made_elsewhere_is_in_the_guide() -> None:
    table = {row[0].strip("`") for row in rows(GUIDE, "Errors")}
    sources = "".join(path.read_text() for path in (ROOT / "ai_features").glob("*.py"))
    codes = set(re.findall(r'"error": "(\w+)"|code="(\w+)"|default_code = "(\w+)"', sources))
    assert {code for found in codes for code in found if code} | set(errors._CODES.values()) <= table


def test_error_tree_has_every_class() -> None:
    tree = exceptions.__doc__ or ""
    assert {kind.__name__ for kind in classes_of(exceptions.AICreditsError) if kind.__name__ not in tree} == set()


def test_every_address_of_the_api_and_the_pages_is_in_the_guide() -> None:
    table = " ".join(cell for row in rows(GUIDE, "All addresses") for cell in row)
    api, pages = (get_resolver(f"ai_features.{name}").url_patterns for name in ("urls", "web.urls"))
    routes = [f"/ai/{p.pattern}" for p in api] + [f"/{p.pattern}" for p in pages if isinstance(p, URLPattern)]
    wanted = {
        route.replace("<str:reference>", "<reference>").replace("<int:reservation_id>", "<id>").rstrip("/")
        for route in routes
    }
    assert {route for route in wanted if f"`{route}`" not in table and f"`{route}/`" not in table} == set()


def test_names_the_readme_points_at_exist() -> None:
    sources = "".join(path.read_text() for folder in ("ai_features", "tests") for path in (ROOT / folder).rglob("*.py"))
    defined = set(re.findall(r"def (test_\w+)|name=\"(ai_\w+)\"", sources))
    triggers = {f"ai_features_ledgerentry_no_{kind}" for kind in ("update", "delete")}
    named = set(re.findall(r"`(ai_\w+|test_\w+)`", README)) - {"ai_features"}
    assert named - triggers - {name for names in defined for name in names} == set()


def test_every_threat_names_tests_that_exist() -> None:
    model = (ROOT / "docs" / "SECURITY_MODEL.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    threats = [line for line in re.findall(r"^\| .+ \|$", model, re.MULTILINE) if not line.startswith("| threat")]
    assert len(threats) > 40
    assert [line for line in threats if not re.search(r"`test_\w+` \||`test_\w+`, ", line)] == []
    assert set(re.findall(r"`(test_\w+)`", model)) - set(re.findall(r"def (test_\w+)", sources)) == set()


def test_python_and_database_versions_agree_with_the_project() -> None:
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
    assert "Python 3.11 or later" in README
    assert project.REST_KNOX["TOKEN_TTL"].days == 90
    assert "`TOKEN_DAYS` (90)" in GUIDE
