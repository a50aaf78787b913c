"""What a run says of its own in the one pipe of its output, beside what is printed there.

A record is one write of at most PIPE_BUF bytes, which the system keeps whole whoever else writes.
It begins with a mark that nobody can guess. What stands between records was printed by C, or by a
program.
"""

import select
import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEAD = struct.Struct(">IQIH")
MARK_BYTES = 16
_OVERHEAD = 1 + MARK_BYTES + _HEAD.size
_PAYLOAD_BYTES_MAX = select.PIPE_BUF - _OVERHEAD


class Source(NamedTuple):
    """Who says something."""

    pid: int
    thread: int
    call: int
    """0: it prints; else the number of a call, of which all is said in a row."""


def records_of(mark: bytes, source: Source, text: bytes) -> Iterator[bytes]:
    """The records that say ``text``."""
    for start in range(0, len(text), _PAYLOAD_BYTES_MAX):
        part = text[start : start + _PAYLOAD_BYTES_MAX]
        yield b"".join((b"\0", mark, _HEAD.pack(*source, len(part)), part))


class RecordReader:
    """Takes a pipe's bytes as they come, tells records from what was printed."""

    def __init__(self, mark: bytes) -> None:
        self._start = b"\0" + mark
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[Source | None, bytes]]:
        """What was said, in order, by whom; None: printed."""
        data = self._rest + data
        at = 0
        while (found := data.find(self._start, at)) >= 0:
            if found > at:
                yield None, data[at:found]
            at = found
            head = found + len(self._start)
            if len(data) < head + _HEAD.size:
                break
            *source, length = _HEAD.unpack_from(data, head)
            end = head + _HEAD.size + length
            if len(data) < end:
                break
            yield Source(*source), data[head + _HEAD.size : end]
            at = end
        if found < 0:
            end = len(data) - self._begun(data, at)
            if end > at:
                yield None, data[at:end]
            at = end
        self._rest = data[at:]

    def _begun(self, data: bytes, at: int) -> int:
        """How many bytes at the end may be the beginning of a mark."""
        nul = data.find(b"\0", max(at, len(data) - len(self._start) + 1))
        while nul >= 0 and not self._start.startswith(data[nul:]):
            nul = data.find(b"\0", nul + 1)
        return 0 if nul < 0 else len(data) - nul

    def close(self) -> bytes:
        """What was begun and never ended."""
        rest, self._rest = self._rest, b""
        return b"" if rest.startswith(self._start) else rest
