"""Where a function waits for a program, and the moment when that wait is over."""

import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import FrameType

_STDLIB = os.path.dirname(os.__file__)  # noqa: PTH120 - compared with a frame's
_WAITS = (os.system, os.wait, os.wait3, os.wait4, os.waitid, os.waitpid)
_EOF_MILLISECONDS = 20
"""A program's pipe is closed a little before it has ended."""


def is_stdlib(frame: FrameType) -> bool:
    """Whether it runs a module of Python's own library."""
    name = frame.f_code.co_filename
    return name.startswith(("<frozen", _STDLIB)) and "site-packages" not in name


class ProgramWait:
    """Calls ``on_over`` in the main thread, as from within the call of ``user`` in which programs
    were waited for, when that has ended and so have they: by a profile function, which sees every
    call that returns to ``user``. Not while an exception is handled.

    ``programs``: handles (pidfds) of what is asked to end; they are closed by :meth:`end`.
    """

    def __init__(
        self, user: FrameType, programs: Sequence[int], on_over: Callable[[], None]
    ) -> None:
        self._user: FrameType | None = user
        self._programs = list(programs)
        self._on_over = on_over
        self._first = True
        self._poll = select.poll()
        for program in programs:
            self._poll.register(program, select.POLLIN)

    def begin(self) -> None:
        """Watch from now on."""
        sys.setprofile(self._see)

    def end(self) -> None:
        """Watch no more; in the main thread."""
        if sys.getprofile() == self._see:
            sys.setprofile(None)
        while self._programs:
            os.close(self._programs.pop())

    def _see(self, frame: FrameType, event: str, argument: object) -> None:
        within = frame is self._user
        if not within and frame.f_back is not self._user:
            return
        if not within and frame.f_code.co_name == "__del__":
            return  # what is raised in it goes nowhere
        if within and event == "return":
            self._user = frame.f_back
        if sys.exception() is None and self._is_over(frame, event, argument):
            self.end()
            self._on_over()

    def _is_over(self, frame: FrameType, event: str, argument: object) -> bool:
        first, self._first = self._first, False
        if first and event in ("return", "c_return"):
            waited = (
                argument in _WAITS
                if event == "c_return"
                else frame.f_code.co_filename == subprocess.__file__
            )
            # Of those that a shell has started, others may go on: who waited for it is told now.
            return self._ended() > 0 if waited else self._all_ended(_EOF_MILLISECONDS)
        return self._all_ended(0)

    def _ended(self) -> int:
        return len(self._poll.poll(0))

    def _all_ended(self, milliseconds: int) -> bool:
        if self._ended() < len(self._programs) and milliseconds:
            select.select([], [], [], milliseconds / 1000)
        return self._ended() == len(self._programs)
