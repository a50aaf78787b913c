"""The documents are current: generated pages, routes, settings, commands, exports, links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import rescind
from rescind import config, limits
from rescind.cli.main import app
from rescind.wiring import ALL_ROUTES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_the_lifecycle_page_is_current() -> None:
    generate = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    assert subprocess.run(generate, check=False).returncode == 0


@pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_api_page(route: object) -> None:
    assert f"{route.method} {route.path}" in page("api.md")  # type: ignore[attr-defined]  # a Route


@pytest.mark.parametrize("setting", config.SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_the_operations_page(setting: config.Setting) -> None:
    row = next(
        line
        for line in page("operations.md").splitlines()
        if line.startswith(f"| `{setting.name}`")
    )
    assert f"`{setting.variable}`" in row
    assert setting.help in row
    assert "none" in row if setting.default in (None, ()) else f"`{setting.default}`" in row


def test_every_command_is_in_the_operations_page() -> None:
    root = get_command(app)
    text = page("operations.md")
    for name, command in root.commands.items():  # type: ignore[attr-defined]  # a group
        assert f"`rescind {name}" in text
        for sub in getattr(command, "commands", {}):
            assert f"`{sub}`" in text or f" {sub}`" in text


def test_what_is_exported_is_meant_and_documented() -> None:
    assert sorted(rescind.__all__) == ["JobCancelled", "JobContext", "job"]
    for name in rescind.__all__:
        assert f"`{name}`" in page("writing-jobs.md")


def test_every_bound_is_used() -> None:
    names = {name for name in vars(limits) if name.isupper()}
    source = "".join(
        path.read_text() for path in (ROOT / "src").rglob("*.py") if path.name != "limits.py"
    )
    own = (ROOT / "src/rescind/limits.py").read_text()
    unused = {n for n in names if f"limits.{n}" not in source and own.count(n) == 1}
    assert not unused


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target
