"""Raises ``JobCancelled`` in a function that works or waits without asking whether it must stop."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from types import FrameType
from typing import Any

from rescind import limits
from rescind.engines.program_wait import ProgramWait, is_stdlib
from rescind.sdk import stop as sdk
from rescind.sdk.stop import JobCancelled, Stop

SIGNAL = signal.SIGRTMAX - 3 if hasattr(signal, "SIGRTMAX") else signal.SIGURG
"""Has the main thread leave whatever it waits for and look. None that users' code handles."""


class Where(Enum):
    """What the main thread does when it looks."""

    OUTSIDE = "OUTSIDE"
    """None of the others, yet."""
    FUNCTION = "FUNCTION"
    """It runs the job's function."""
    BESIDE = "BESIDE"
    """It runs something of the job's that keeps its function from being told."""
    HEEDED = "HEEDED"
    """Nothing keeps the function from being told."""


class Interrupt:
    """The exception for one function: raised once, only in it, and never where our own code runs or
    the stop's guard is closed. For the main thread.

    ``where`` tells from a frame of the main thread what that does.
    """

    def __init__(self, stop: Stop, where: Callable[[FrameType | None], Where]) -> None:
        self._stop = stop
        self._where = where
        self._over = threading.Event()
        self._looked = threading.Event()
        self._decided = False
        self._preparing: Sequence[int] | None = None
        self._wait: ProgramWait | None = None
        self._insisting = False
        self._raised: JobCancelled | None = None
        self._in_hook = False
        signal.signal(SIGNAL, self._look)

    def end(self) -> None:
        """The function has been left."""
        self._over.set()
        if self._wait is not None:
            self._wait.end()

    def prepare(self, programs: Sequence[int]) -> None:
        """These (pidfds, which are taken over) are about to be ended; from any thread. If it waits
        for one, have it raised when that wait is over, and not in what comes after. Returns when
        that is so.
        """
        self._preparing = programs
        self._make_look()

    def fire(self, *, insist: bool) -> None:
        """Have it raised, from any thread: at once, or when the guard opens. While an exception is
        handled, the function may well be cleaning up: then it is raised afterwards, or if
        ``insist`` is said.
        """
        self._insisting = insist
        self._decided = False
        threading.Thread(target=self._fire, name="rescind-interrupt", daemon=True).start()

    def _fire(self) -> None:
        """Make the main thread look until it is somewhere where that decides something."""
        seconds = limits.INTERRUPT_AGAIN_SECONDS_MIN
        while not (self._decided or self._over.is_set()):
            self._make_look()
            self._over.wait(seconds)
            seconds = min(seconds * 1.5, limits.INTERRUPT_AGAIN_SECONDS_MAX)

    def _make_look(self) -> None:
        self._looked.clear()
        signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)
        self._looked.wait()  # a call into native code may take as long as it likes

    def _look(self, _number: int, frame: FrameType | None) -> None:
        """The signal's handler."""
        where = Where.OUTSIDE
        try:
            if self._preparing is not None:
                programs, self._preparing = self._preparing, None
                self._watch_wait(frame, programs)
                return
            where = self._judge(frame)
            self._decided = where is not Where.OUTSIDE
        finally:
            self._looked.set()  # whatever another handler raises here
        if where in (Where.FUNCTION, Where.BESIDE):
            self._raise(where)

    def _judge(self, frame: FrameType | None) -> Where:
        handled = sys.exception()
        if isinstance(handled, JobCancelled):  # another thread was told, and has told the function
            self._stop.notice()
        if self._stop.noticed or self._over.is_set():
            return Where.HEEDED
        where = self._where(frame)
        if where in (Where.OUTSIDE, Where.HEEDED):
            return where
        if self._in_hook or (handled is not None and not self._insisting):
            return Where.OUTSIDE
        if self._stop.guard.is_closed or (frame is not None and _is_ours(frame)):
            self._stop.pending = self._raise_late
            return Where.HEEDED if self._stop.guard.is_closed else Where.OUTSIDE
        return where

    def _raise_late(self) -> None:
        """The guard has opened, or our own code has been left."""
        where = self._judge(_first_of_users(sys._getframe()))  # noqa: SLF001 - a frame to start from
        if where in (Where.FUNCTION, Where.BESIDE):
            self._raise(where)

    def _raise(self, where: Where) -> None:
        self._decided = True
        if self._wait is not None:
            self._wait.end()
        self._raised = JobCancelled(self._stop.reason)
        self._watch_unraisable()
        if where is Where.FUNCTION:
            self._stop.raised = True
            self._stop.notice()
        raise self._raised

    def _watch_wait(self, frame: FrameType | None, programs: Sequence[int]) -> None:
        user = _first_of_users(frame)
        if user is None or self._where(frame) is not Where.FUNCTION or sys.getprofile():
            for program in programs:
                os.close(program)
            return

        def on_over() -> None:
            if not (self._stop.noticed or self._stop.guard.is_closed):
                self._raise(Where.FUNCTION)

        self._wait = ProgramWait(user, programs, on_over)
        self._wait.begin()

    def _watch_unraisable(self) -> None:
        """In a finaliser, or a callback of C, an exception goes nowhere: then raise it again."""
        earlier = sys.unraisablehook

        def hook(unraisable: Any) -> None:
            if unraisable.exc_value is not self._raised:
                earlier(unraisable)
                return
            self._in_hook = True
            self._stop.unnotice()
            self.fire(insist=self._insisting)
            self._in_hook = False

        sys.unraisablehook = hook


_OURS = (os.path.dirname(__file__), os.path.dirname(sdk.__file__))  # noqa: PTH120 - compared with a frame's


def _is_ours(frame: FrameType) -> bool:
    """Whether it, or what called it from Python's own library, is our code."""
    found = _caller(frame)
    return found is not None and found.f_code.co_filename.startswith(_OURS)


def _caller(frame: FrameType | None) -> FrameType | None:
    """The first frame that is not of Python's own library."""
    while frame is not None and is_stdlib(frame):
        frame = frame.f_back
    return frame


def _first_of_users(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of users' code."""
    while frame is not None and (is_stdlib(frame) or frame.f_code.co_filename.startswith(_OURS)):
        frame = frame.f_back
    return frame
