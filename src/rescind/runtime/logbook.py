"""The lines that runs have logged and that are not in the store yet."""

import itertools
from datetime import datetime

from rescind import limits
from rescind.engines.protocol import Logged
from rescind.model import LogChunk, RunRef


def log_line(at: datetime, text: str, *, after_cancel: bool = False) -> str:
    """One line as it is kept: ``2024-03-01T00:50:01.741Z text`` and a line feed. What was written
    after a cancel has ``[after cancel]`` before it.
    """
    instant = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mark = "[after cancel] " if after_cancel else ""
    return f"{instant} {mark}{text}\n"


class Logbook:
    """Gathers lines so that they are written in batches, never in the transaction of a move.

    Bounded: while the store is away, lines beyond ``LOG_PENDING_BYTES_MAX`` are dropped, and a
    line says how many.
    """

    def __init__(self) -> None:
        self._chunks: list[LogChunk] = []
        self._given = 0
        self._open: dict[RunRef, list[str]] = {}
        self._open_bytes: dict[RunRef, int] = {}
        self._bytes = 0
        self._dropped: dict[RunRef, int] = {}

    def add(self, logged: Logged) -> None:
        """Keep one line that a run logged."""
        run, at = logged.run, logged.at
        line = log_line(at, logged.text, after_cancel=logged.after_cancel)
        size = len(line.encode())
        if self._bytes + size > limits.LOG_PENDING_BYTES_MAX:
            self._dropped[run] = self._dropped.get(run, 0) + 1
            return
        self.end(run, at)
        self._append(run, line)

    def end(self, run: RunRef, at: datetime) -> None:
        """Say how many lines were dropped, if any: the run has ended, or goes on."""
        if (dropped := self._dropped.pop(run, 0)) > 0:
            self._append(run, log_line(at, f"{dropped} lines were dropped: the store was away"))

    def chunks(self) -> list[LogChunk]:
        """What is pending, the oldest first, in chunks of whole lines and no more than one write
        takes; :meth:`clear` when they are written.
        """
        for run in list(self._open):
            self._close_chunk(run)
        ends = itertools.accumulate(len(chunk.text.encode()) for chunk in self._chunks)
        fitting = itertools.takewhile(lambda end: end <= limits.LOG_FLUSH_BYTES_MAX, ends)
        self._given = sum(1 for _ in fitting)
        return self._chunks[: self._given]

    def clear(self) -> None:
        """Forget what :meth:`chunks` returned."""
        self._bytes -= sum(len(chunk.text.encode()) for chunk in self._chunks[: self._given])
        del self._chunks[: self._given]
        self._given = 0

    def __bool__(self) -> bool:
        return bool(self._chunks or self._open)

    def _append(self, run: RunRef, line: str) -> None:
        size = len(line.encode())
        if self._open_bytes.get(run, 0) + size > limits.LOG_CHUNK_BYTES_MAX:
            self._close_chunk(run)
        self._open.setdefault(run, []).append(line)
        self._open_bytes[run] = self._open_bytes.get(run, 0) + size
        self._bytes += size

    def _close_chunk(self, run: RunRef) -> None:
        lines = self._open.pop(run)
        del self._open_bytes[run]
        self._chunks.append(LogChunk(run=run, text="".join(lines)))
