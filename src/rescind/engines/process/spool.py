"""The log of one run on its way to the worker: all of it, or the head and the tail of a flood."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from rescind import limits
from rescind.engines.lines import lines_of_block

_STAMP_BYTES = 26


class Passage(NamedTuple):
    """Lines that follow one another."""

    lines: list[str]
    after_cancel: bool


class Spool:
    """See the module. What is sent is bounded in the long run (a bucket that fills up again), and
    what has to wait is, too: what has waited longest is left out.
    """

    def __init__(self) -> None:
        self._allowed = float(limits.LOG_BURST_BYTES)
        self._filled_at = 0.0
        self._blocks: deque[tuple[bytes, bool, int]] = deque()
        self._bytes = 0
        self._left_out = 0

    @property
    def waits(self) -> bool:
        """Whether something has to wait: a flood."""
        return bool(self._blocks)

    def add(self, block: bytes, *, after_cancel: bool) -> None:
        """Take in a block of whole lines."""
        size = len(block) + _STAMP_BYTES * block.count(b"\n")
        self._blocks.append((block, after_cancel, size))
        self._bytes += size
        while self._bytes > limits.LOG_TAIL_BYTES and len(self._blocks) > 1:
            left_out, _, size = self._blocks.popleft()
            self._bytes -= size
            self._left_out += left_out.count(b"\n")

    @property
    def due(self) -> float | None:
        """When more may be sent."""
        if not self._blocks:
            return None
        return self._filled_at + limits.LOG_SPOOL_SECONDS

    def take(self, now: float) -> Iterator[Passage]:
        """What may be sent now."""
        filled = (now - self._filled_at) * limits.LOG_BYTES_PER_SECOND
        self._allowed = min(self._allowed + filled, limits.LOG_BURST_BYTES)
        self._filled_at = now
        while self._blocks and self._allowed > 0:
            self._allowed -= self._blocks[0][2]
            yield from self._pop()

    def take_all(self) -> Iterator[Passage]:
        """All that is left."""
        while self._blocks:
            yield from self._pop()

    def _pop(self) -> Iterator[Passage]:
        block, after_cancel, size = self._blocks.popleft()
        self._bytes -= size
        if self._left_out:
            text = f"... {self._left_out:,} lines are left out here: too many came at once ..."
            self._left_out = 0
            yield Passage([text], after_cancel)
        yield Passage(lines_of_block(block), after_cancel)
