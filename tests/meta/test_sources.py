"""What keeps a faulty run replayable: time, randomness and threads have one owner each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "rescind"

TIME = {"time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "sched"}
RANDOMNESS = {"random", "secrets", "uuid", "os.urandom"}
THREADS = {
    "threading.Thread",
    "threading.Timer",
    "concurrent",
    "concurrent.futures",
    "multiprocessing",
    "_thread",
    "anyio.to_thread",
    "asyncio.to_thread",
}

ALLOWED = {
    "clock.py": TIME,  # its owner
    "ids.py": RANDOMNESS,  # its owner
    "runtime/supervisor.py": {"threading.Thread"},  # its owner
    "api/gate.py": {"anyio.to_thread"},  # bounded pools for handlers
    "engines/process/child.py": {"threading.Thread"},  # another process: hears its keeper
}


def forbidden_in(source: str) -> Iterator[str]:
    """Every use of time, randomness and threads, by dotted name."""
    banned = TIME | RANDOMNESS | THREADS
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in banned)
        elif isinstance(node, ast.ImportFrom):
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in [str(node.module), *dotted] if name in banned)
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            yield from (word for word in banned if name == word or name.endswith(f".{word}"))


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.name)
def test_time_randomness_and_threads_stay_with_their_owners(path: Path) -> None:
    allowed = ALLOWED.get(str(path.relative_to(SOURCES)), set())
    assert not set(forbidden_in(path.read_text())) - allowed


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import random",
        "from uuid import uuid4",
        "import os\nos.urandom(8)",
        "import threading\nthreading.Thread()",
        "from threading import Timer",
        "from concurrent.futures import ThreadPoolExecutor",
        "import anyio\nanyio.to_thread.run_sync(f)",
    ],
)
def test_the_check_sees_what_it_must(source: str) -> None:
    assert list(forbidden_in(source))


def test_no_exception_is_left_over() -> None:
    for name, allowed in ALLOWED.items():
        used = set(forbidden_in((SOURCES / name).read_text()))
        assert used & allowed, f"{name} needs no exception any more"
