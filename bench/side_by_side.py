"""What the benches of bench/results.md share: product and floor in turns, and how it is shown."""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from postgres import Server
from rescind.store.sqlite.migration import migrate

STORES = ("sqlite", "postgres")


@contextmanager
def empty_database(store: str) -> Iterator[str]:
    """The URL of a migrated database on a disk."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        if store == "sqlite":
            path = Path(folder) / "bench.db"
            migrate(path)
            yield f"sqlite:///{path}"
            return
        Path(folder).chmod(0o755)
        server = Server(Path(folder))
        try:
            with server.database() as url:
                yield url
        finally:
            server.stop()


def in_turns(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """What each measured, round by round: whatever the machine does meanwhile, it does to all."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for values, measure in zip(found, measures, strict=True):
            values.append(measure())
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], scale: float = 1.0, digits: int = 0) -> str:
    """A median, and between what the values lie."""
    shown = [f"{value * scale:,.{digits}f}" for value in (median(values), min(values), max(values))]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown."""
    lines = [f"## {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([*lines, ""])


def machine() -> str:
    """In one line, what this ran on."""
    words = Path("/proc/cpuinfo").read_text().partition("model name")[2]
    model = words.partition(":")[2].partition("\n")[0].strip()
    with tempfile.TemporaryFile(dir=Path.cwd()) as file:
        began = time.perf_counter()
        for _ in range(200):
            os.write(file.fileno(), b"x" * 4096)
            os.fdatasync(file.fileno())
        fsyncs = 200 / (time.perf_counter() - began)
    return (
        f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, Python "
        f"{platform.python_version()}, {fsyncs:,.0f} writes with fdatasync a second"
    )
