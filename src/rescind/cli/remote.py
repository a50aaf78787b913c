"""What the commands that ask a service share: the client, its errors, and what they print."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from rescind.cli.exits import Exit
from rescind.client import (
    CannotReach,
    Client,
    ClientError,
    NotPermitted,
    NotSignedIn,
    ServiceFailed,
    WaitedInVain,
)
from rescind.wire.text import one_line

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="The service; else RESCIND_URL, or where you are signed in."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="For programs: one JSON document, as the API answers it.")
]
ReasonOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why: kept with every move.")
]

_EXITS: Mapping[type[ClientError], Exit] = {
    CannotReach: Exit.CANNOT,
    ServiceFailed: Exit.CANNOT,
    NotSignedIn: Exit.NOT_PERMITTED,
    NotPermitted: Exit.NOT_PERMITTED,
    WaitedInVain: Exit.NOT_IN_TIME,
}
_NAMED = 5
"""Wrong ids, of many."""
_WHOLE = {"ID", "STATUS", "CODE", "OPERATION", "WHEN", "MOVE", "TO"}
_LISTS = ("data", "jobs", "tasks")
"""Under which keys answers have their items."""


@contextmanager
def service(
    url: str | None,
    *,
    as_json: bool = False,
    username: str | None = None,
    password: str | None = None,
) -> Iterator[Client]:
    """A client of the service; what it raises is said in one line, and is an exit code."""
    try:
        with Client(url, username, password, record=as_json) as client:
            yield client
    except ClientError as error:
        code = next(
            (code for kind, code in _EXITS.items() if isinstance(error, kind)), Exit.SOME_REFUSED
        )
        raise leave(str(error), code) from error


def leave(message: str, code: Exit) -> typer.Exit:
    """Say what is wrong, in one line; what to raise."""
    tell(f"rescind: {' '.join(message.split())}")
    return typer.Exit(code)


def tell(line: str) -> None:
    """A line for people, beside what is printed."""
    print(one_line(line), file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON document."""
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def print_answers(client: Client) -> None:
    """For one request its answer as it came, else the items of all of them."""
    answers = client.answers or []
    if len(answers) == 1:
        print_json(answers[0])
        return
    print_json([item for answer in answers for item in _items(answer)])


def _items(answer: Mapping[str, Any]) -> list[Any]:
    return next((answer[key] for key in _LISTS if isinstance(answer.get(key), list)), [answer])


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their headings: as wide as they are where nobody looks; on a terminal what names a
    row is kept whole, and the rest is cut to fit.
    """
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(columns):
        widest = max([len(column), *(len(row[at]) for row in cells)])
        whole = widest if column in _WHOLE else None
        side: Literal["left", "right"] = "right" if column == "ID" else "left"
        table.add_column(column, no_wrap=True, justify=side, min_width=whole)
    for row in cells:
        table.add_row(*row)
    console = Console(markup=False, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(table)


@contextmanager
def progress(*whats: str, total: int) -> Iterator[Callable[..., None]]:
    """A bar for each of these on standard error, where somebody looks; what is given is called with
    how many are done of each.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn())
    bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bars:
        tasks = [bars.add_task(what, total=total) for what in whats]

        def show(*done: int) -> None:
            for task, count in zip(tasks, done, strict=True):
                bars.update(task, completed=count)

        yield show


def number(count: int, noun: str = "job") -> str:
    """1,203 jobs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(counts: Mapping[str, int]) -> str:
    """1,200 QUEUED, 3 RUNNING."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def ids_given(ids: Sequence[str] | None, file: str | None) -> list[int]:
    """The ids of arguments and of a file, ``-`` for standard input: one in a line, or the first
    column of CSV with or without the heading ``job_id``. Leaves with USAGE for what is none, and
    when nothing is given; with NOTHING_MATCHED when a file has none.
    """
    words = [(f"argument {at}", word) for at, word in enumerate(ids or (), start=1)]
    for at, word in list(words):
        if word == "-":
            words.remove((at, word))
            file = "-"
    if file is not None:
        words += _lines(file)
    wrong = [f"{at}: {word!r}" for at, word in words if not (word.isascii() and word.isdigit())]
    if wrong:
        more = f" (and {len(wrong) - _NAMED} more)" if len(wrong) > _NAMED else ""
        raise leave(f"no job id: {'; '.join(wrong[:_NAMED])}{more}; nothing was done", Exit.USAGE)
    if not words and file is None:
        raise leave("no ids are given, and no --file", Exit.USAGE)
    if not words:
        raise leave(f"{file} has no ids", Exit.NOTHING_MATCHED)
    return [int(word) for _, word in words]


def _lines(file: str) -> list[tuple[str, str]]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise leave(f"{file} cannot be read: {error}", Exit.USAGE) from error
    name = "standard input" if file == "-" else file
    found = [
        (f"{name}, line {at}", line.partition(",")[0].strip().strip('"'))
        for at, line in enumerate(text.splitlines(), start=1)
    ]
    return [
        (at, word) for at, word in found if word and not (word == "job_id" and at.endswith(" 1"))
    ]
