"""The generated page is what the code says, and would not be if the code said something else."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from rescind.lifecycle import MOVES, Evidence, Status

SCRIPT = Path(__file__).parents[2] / "docs" / "generate.py"


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, about to be run with ``--check``."""
    specification = spec_from_file_location("generate", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    return module


def test_the_lifecycle_page_is_current(generate: ModuleType) -> None:
    generate.main()


@pytest.mark.parametrize("changed", MOVES, ids=lambda rule: rule.move)
def test_a_changed_rule_makes_the_page_old(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch, changed: object
) -> None:
    rules = [rule._replace(when="the moon is full") if rule is changed else rule for rule in MOVES]
    monkeypatch.setattr(generate, "MOVES", rules)
    with pytest.raises(SystemExit, match="not current"):
        generate.main()


@pytest.mark.parametrize("enum", [Status, Evidence])
def test_every_member_has_its_paragraph(
    generate: ModuleType, enum: type[Status] | type[Evidence]
) -> None:
    assert set(generate.paragraphs(enum)) == set(enum.__members__)
