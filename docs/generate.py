"""Generates docs/lifecycle.md from lifecycle.py. ``--check`` only says whether it is current."""

import ast
import sys
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from rescind import lifecycle
from rescind.lifecycle import BIRTHS, FINAL, MOVES, Evidence, Status

TARGET = Path(__file__).with_name("lifecycle.md")

INTRODUCTION = """\
# The lifecycle of a job

Generated from `src/rescind/lifecycle.py` by `make format`; do not edit.

A job is one instance, with one row. Its status changes by one of {moves} moves, each of which is
one conditional write: it lands only where it starts from, and says whether it landed. The
database's own trigger refuses every other change.
"""


def paragraphs(enum: type[StrEnum]) -> dict[str, str]:
    """What the source says under each member of an enum, on one line."""
    tree = ast.parse(Path(lifecycle.__file__).read_text())
    [body] = [
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == enum.__name__
    ]
    found: dict[str, str] = {}
    for before, after in pairwise(body):
        if isinstance(before, ast.Assign) and isinstance(after, ast.Expr):
            assert isinstance(before.targets[0], ast.Name)
            assert isinstance(after.value, ast.Constant)
            found[before.targets[0].id] = " ".join(str(after.value.value).split())
    return found


def diagram() -> Iterator[str]:
    """Every move as an arrow."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    for rule in MOVES:
        sources = [str(source) for source in Status if source in rule.sources] or ["[*]"]
        targets = [target for target in Status if target in rule.targets]
        for source in sources:
            for target in targets:
                yield f"    {source} --> {target}: {rule.move}"
    for status in Status:
        if status in FINAL:
            yield f"    {status} --> [*]"
    yield "```"


def moves() -> Iterator[str]:
    """The moves as a table."""
    yield "| move | from | to | by | when |"
    yield "|---|---|---|---|---|"
    for rule in MOVES:
        source = ", ".join(status for status in Status if status in rule.sources) or "(new)"
        target = ", ".join(status for status in Status if status in rule.targets)
        yield f"| {rule.move} | {source} | {target} | {rule.by} | {rule.when} |"


def members(enum: type[StrEnum]) -> Iterator[str]:
    """An enum's members and what they mean, as a table."""
    said = paragraphs(enum)
    yield "| | |"
    yield "|---|---|"
    for member in enum:
        yield f"| `{member}` | {said[member.name]} |"


def page() -> str:
    """The whole page."""
    *first, last = (status for status in Status if status in BIRTHS)
    births = f"{', '.join(first)} or {last}"
    parts = [
        INTRODUCTION.format(moves=len(MOVES)),
        *diagram(),
        "\n## Moves\n",
        *moves(),
        f"\nA job is born {births}, nowhere else. What decides about a job stands on its row:",
        "submit copies it from the job metadata, and a later change of the code changes only jobs",
        "that are submitted after it.",
        "\n## Statuses\n",
        *members(Status),
        "\n## Evidence\n",
        "How a job's last run is known to have stopped. A cancelled job always has one; a finished",
        "job that nobody stopped has none.\n",
        *members(Evidence),
        "",
    ]
    return "\n".join(parts)


def main() -> None:
    """Write the page, or with ``--check`` compare it."""
    if sys.argv[1:] != ["--check"]:
        TARGET.write_text(page())
    elif TARGET.read_text() != page():
        sys.exit("docs/lifecycle.md is not current: run make format")


if __name__ == "__main__":
    main()
