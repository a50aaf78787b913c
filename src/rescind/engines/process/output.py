"""The output of one run, as its keeper hears it: read from one pipe, put in order, passed on."""

import os
from collections.abc import Callable, Iterable

from rescind import limits
from rescind.clock import Clock, to_milliseconds
from rescind.engines.lines import encoded
from rescind.engines.process.frames import Message
from rescind.engines.process.spool import Passage, Spool
from rescind.engines.process.transcript import Transcript

_READ_BYTES = 64 * 1024
"""All that a pipe holds."""


class Output:
    """See the module. ``send`` takes what the worker is told."""

    def __init__(self, clock: Clock, send: Callable[[Message], None]) -> None:
        self._clock = clock
        self._send = send
        self._number, self.handed = os.pipe()
        """``handed``: the other end."""
        os.set_blocking(self._number, False)
        self._open = True
        self._run: list[int] | None = None
        self._transcript = Transcript(b"")
        self._spool = Spool()
        self._after_cancel = False
        self._read_at: float | None = None
        """When more is read; None: at once."""
        self._told_at = 0.0

    def begin(self, run: list[int], mark: bytes) -> None:
        """What was printed until now belongs to no job."""
        for _ in range(limits.LAST_WORDS_BYTES_MAX // _READ_BYTES):
            if not self._read():
                break
        self._run = run
        self._transcript = Transcript(mark)
        self._spool = Spool()
        self._read_at = None

    @property
    def is_open(self) -> bool:
        """Whether somebody may still write."""
        return self._open

    @property
    def due(self) -> float | None:
        """When there is something to do, if nothing is said."""
        return min((at for at in (self._read_at, self._spool.due) if at is not None), default=None)

    def descriptors(self) -> list[int]:
        """What to listen to."""
        return [self._number] if self._open and self._read_at is None else []

    def act(self) -> None:
        """Do what is due."""
        now = self._clock.elapsed()
        if self._read_at is not None and now >= self._read_at:
            self._read_at = None
        due = self._spool.due
        if due is not None and now >= due:
            self._pass_on(self._spool.take(now))

    def hear(self) -> None:
        """Take in some of what was said. A flood has no more than a part of our time, so that it
        holds up itself and not its neighbours.
        """
        if self._read_at is not None:
            return
        began = self._clock.elapsed()
        self._read()
        if self._run is None:
            return
        now = self._clock.elapsed()
        self._pass_on(self._spool.take(now))
        if self._spool.waits:
            self._read_at = now + (now - began) * limits.FLOOD_PAUSES

    def say(self, text: str) -> None:
        """A line of ours."""
        if self._run is not None:
            self._spool.add(encoded(text) + b"\n", after_cancel=self._after_cancel)
            self._pass_on(self._spool.take(self._clock.elapsed()))

    def begin_after_cancel(self) -> None:
        """What is written from now on comes after the cancel."""
        if self._open:
            self._read()
        self._after_cancel = True

    def hear_rest(self) -> None:
        """When nobody writes any more: what the pipe still holds, within bounds."""
        for _ in range(limits.LAST_WORDS_BYTES_MAX // _READ_BYTES):
            if not self._read():
                break
        if self._run is not None:
            self._add(self._transcript.close())
            self._pass_on(self._spool.take_all())
            self._run = None

    def close(self) -> None:
        """Let go of the pipe."""
        if self._open:
            os.close(self._number)
        self._open = False

    def _read(self) -> bool:
        """Whether there may be more."""
        if not self._open:
            return False
        try:
            data = os.read(self._number, _READ_BYTES)
        except OSError:
            return False
        if self._run is not None:
            self._add(self._transcript.feed(data))
            self._tell_alive()
        if not data:
            self.close()
        return bool(data)

    def _add(self, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            self._spool.add(block, after_cancel=self._after_cancel)

    def _tell_alive(self) -> None:
        """What has no line end yet, or has to wait, is a sign of life all the same."""
        now = self._clock.elapsed()
        if now >= self._told_at + limits.ALIVE_SECONDS:
            self._told_at = now
            self._send({"is": "alive", "run": self._run})

    def _pass_on(self, passages: Iterable[Passage]) -> None:
        for lines, after_cancel in passages:
            self._send(
                {
                    "is": "log",
                    "run": self._run,
                    "at": to_milliseconds(self._clock.now()),
                    "lines": lines,
                    "after_cancel": after_cancel,
                }
            )
