"""What keeps a faulty run replayable: time, randomness and threads have one owner each."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "rescind"

TIME = {
    "time",
    "sched",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "os.times",
}
RANDOMNESS = {"random", "secrets", "uuid", "os.urandom", "os.getrandom"}
THREADS = {
    "_thread",
    "threading.Thread",
    "threading.Timer",
    "concurrent.futures",
    "multiprocessing",
    "anyio.to_thread",
    "anyio.from_thread",
    "asyncio.to_thread",
}
"""``threading.Lock``, ``Event`` and ``local`` own nothing, and are free for all."""

ON_ANY_OBJECT = {"run_in_executor"}


class Exemption(NamedTuple):
    """What one file may use, and why."""

    file: str
    names: set[str]
    reason: str


EXEMPTIONS = (
    Exemption("clock.py", TIME, "the owner of time"),
    Exemption("ids.py", RANDOMNESS, "the owner of randomness"),
    Exemption("runtime/supervisor.py", {"threading.Thread"}, "the owner of threads"),
    Exemption("api/gate.py", {"anyio.to_thread"}, "bounded pools, in which handlers run"),
    Exemption(
        "engines/process/run.py",
        {"threading.Thread"},
        "a process of its own: while the main thread runs users' code, one hears the keeper",
    ),
    Exemption(
        "engines/importing.py",
        {"threading.Thread"},
        "in a process of its own: while the main thread imports users' code, one looks at the time",
    ),
    Exemption(
        "engines/interrupt.py",
        {"threading.Thread"},
        "within a run: one makes the main thread look",
    ),
)


def forbidden_in(source: str) -> Iterator[str]:
    """Every ban that a module breaks, whatever it calls what it has imported."""
    tree = ast.parse(source)
    origins = dict(_imported(tree))
    used = [*origins.values(), *(_origin(node, origins) for node in ast.walk(tree))]
    for name in used:
        yield from (ban for ban in TIME | RANDOMNESS | THREADS if f"{name}.".startswith(f"{ban}."))
        yield from {name.rpartition(".")[2]} & ON_ANY_OBJECT


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each imported name with what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _origin(node: ast.AST, origins: dict[str, str]) -> str:
    """The dotted name of an attribute, from what its first part was imported as."""
    if not isinstance(node, ast.Attribute):
        return ""
    first, _, rest = ast.unparse(node).partition(".")
    return f"{origins.get(first, first)}.{rest}"


@pytest.mark.parametrize(
    "path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES))
)
def test_time_randomness_and_threads_stay_with_their_owners(path: Path) -> None:
    file = path.relative_to(SOURCES).as_posix()
    allowed = {name for exempt in EXEMPTIONS if exempt.file == file for name in exempt.names}
    assert not set(forbidden_in(path.read_text())) - allowed


@pytest.mark.parametrize("exemption", EXEMPTIONS, ids=lambda exemption: exemption.file)
def test_no_exemption_is_left_over(exemption: Exemption) -> None:
    used = set(forbidden_in((SOURCES / exemption.file).read_text()))
    assert used & exemption.names, f"{exemption.file} needs no exemption any more"


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import time as clock",
        "from time import monotonic",
        "import sched",
        "import os\nos.times()",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import datetime as instant\ninstant.today()",
        "from datetime import date\ndate.today()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import random",
        "import secrets",
        "from uuid import uuid4",
        "import os\nos.urandom(8)",
        "from os import getrandom",
        "import threading\nthreading.Thread()",
        "import threading as t\nt.Timer(1, f)",
        "from threading import Timer",
        "import _thread",
        "import concurrent.futures",
        "from concurrent.futures import ThreadPoolExecutor",
        "from concurrent import futures",
        "import multiprocessing",
        "from multiprocessing import Process",
        "import asyncio\nasyncio.to_thread(f)",
        "import asyncio\nasyncio.get_running_loop().run_in_executor(None, f)",
        "import anyio\nanyio.to_thread.run_sync(f)",
        "from anyio import from_thread",
    ],
)
def test_the_check_sees_what_it_must(source: str) -> None:
    assert list(forbidden_in(source))


@pytest.mark.parametrize(
    "source",
    [
        "import threading\nthreading.Lock(), threading.Event(), threading.local()",
        "from datetime import UTC, datetime, timedelta\ndatetime.fromisoformat(text)",
        "import os\nos.getpid()",
        "self._clock.now()",
        "import timeit",
    ],
)
def test_the_check_lets_through_what_it_may(source: str) -> None:
    assert not list(forbidden_in(source))
