"""The output of one run, as whole lines in the order in which they ended."""

from rescind import limits
from rescind.engines.lines import cut
from rescind.engines.process.records import RecordReader, Source

_BLOCK_BYTES = 4096
"""What programs that buffer write at once, or a multiple of it."""

_PRINTED = Source(0, 0, 0)
"""Whoever prints without a record."""


class Transcript:
    """Takes the bytes of a run's output as they come.

    Lines are put together for each thread, so that what one prints is not torn by another. Where
    one has just begun a line, what C or a program prints goes on with it, and the other way round,
    as on a terminal.
    """

    def __init__(self, mark: bytes) -> None:
        self._reader = RecordReader(mark)
        self._begun: dict[Source, bytes] = {}
        self._last: Source | None = None
        """Who spoke last, if that began a line."""
        self._in_block = False
        """What was printed last was a program's full buffer: it has begun no line by itself."""

    def feed(self, data: bytes) -> list[bytes]:
        """What ``data`` completes: blocks of whole lines."""
        blocks: list[bytes] = []
        for source, text in self._reader.feed(data):
            if source is None:
                self._add_printed(text, blocks)
                self._in_block = len(text) % _BLOCK_BYTES == 0
                continue
            if source.call:
                self._end(source._replace(call=0), blocks)
            if self._last == _PRINTED and not self._in_block:
                if source.call:
                    self._end(_PRINTED, blocks)
                elif source not in self._begun:
                    text = self._begun.pop(_PRINTED) + text  # noqa: PLW2901 - the two are one
            self._add(source, text, blocks)
        return blocks

    def _add_printed(self, text: bytes, blocks: list[bytes]) -> None:
        if self._last is not None and _PRINTED not in self._begun:
            end = text.find(b"\n") + 1 or len(text)
            self._add(self._last, text[:end], blocks)
            text = text[end:]
        if text:
            self._add(_PRINTED, text, blocks)

    def close(self) -> list[bytes]:
        """The lines that were never ended."""
        blocks: list[bytes] = []
        if rest := self._reader.close():
            self._add(_PRINTED, rest, blocks)
        for source in list(self._begun):
            self._end(source, blocks)
        return blocks

    def _add(self, source: Source, text: bytes, blocks: list[bytes]) -> None:
        begun = self._begun.pop(source, b"")
        whole, feed, rest = text.rpartition(b"\n")
        if feed:
            blocks.append(begun + whole + feed)
            begun = b""
        begun += rest
        while len(begun) > limits.LOG_LINE_BYTES_MAX:
            size = cut(begun, limits.LOG_LINE_BYTES_MAX)
            blocks.append(begun[:size] + b"\n")
            begun = begun[size:]
        self._last = None
        if begun:
            self._begun[source] = begun
            self._last = source
            if len(self._begun) > limits.LINES_BEGUN_MAX:
                self._end(next(iter(self._begun)), blocks)

    def _end(self, source: Source, blocks: list[bytes]) -> None:
        if begun := self._begun.pop(source, b""):
            blocks.append(begun + b"\n")
