"""What exists is documented: settings, commands, exports, dependencies; and every bound is used."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import rescind
from rescind import config, limits
from rescind.cli.exits import Exit
from rescind.cli.main import app
from rescind.service.policy import Permission

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


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


def commands_of(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for word, below in inner.items():
        yield from commands_of(below, f"{name} {word}")


def test_every_command_and_its_options_are_in_the_pages_of_commands() -> None:
    text = page("operations.md") + page("clients.md")
    for name, command in commands_of(get_command(app)):
        assert f"`rescind{name}" in text
        for parameter in command.params:
            for option in filter(lambda name: name.startswith("-"), parameter.opts):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), f"{name} {option}"


def test_exit_codes_and_permissions_are_in_the_operations_page() -> None:
    text = page("operations.md")
    for code in Exit:
        assert f"| {code:d} |" in text
    for permission in Permission:
        assert f"| `{permission}` |" in text


def test_what_is_exported_is_meant_and_documented() -> None:
    assert sorted(rescind.__all__) == ["JobCancelled", "JobContext", "job"]
    for name in rescind.__all__:
        assert f"`{name}`" in page("writing-jobs.md")


def test_what_a_job_may_say_and_ask_is_documented() -> None:
    text = page("writing-jobs.md")
    annotations = rescind.job.__kwdefaults__ or {}
    context = {name for name in vars(rescind.JobContext) if not name.startswith("_")}
    for name in {*annotations, *context}:
        assert re.search(rf"`{name}[(`]", text), name


def test_the_examples_of_writing_jobs_work() -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```$", page("writing-jobs.md"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, Any] = {"__name__": "examples"}
    exec("".join(blocks), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(item for group in groups for item in group)]
    rows = [line for line in page("decisions/README.md").splitlines() if line.startswith("| ")]
    named = {word for row in rows for word in re.split(r"[ ,|]+", row.split("|")[1])}
    missing = {re.split(r"[\[<>=]", line)[0] for line in wanted} - named
    assert not missing


def test_the_bounds_in_the_operations_page_are_those_in_force() -> None:
    shown = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", page("operations.md"), re.MULTILINE)
    assert shown
    for name, value in shown:
        assert float(value) == getattr(limits, name), name


def test_every_bound_is_used() -> None:
    names = {name for name in vars(limits) if name.isupper()}
    source = "".join(
        path.read_text() for path in (ROOT / "src").rglob("*.py") if path.name != "limits.py"
    )
    own = (ROOT / "src/rescind/limits.py").read_text()
    unused = {
        name
        for name in names
        if not re.search(rf"\blimits\.{name}\b", source)
        and len(re.findall(rf"\b{name}\b", own)) == 1
    }
    assert not unused
