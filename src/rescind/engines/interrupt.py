"""Raises ``JobCancelled`` in a function that works or waits without asking whether it must stop."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from enum import Enum
from types import FrameType
from typing import Any

from rescind import limits
from rescind.sdk.stop import JobCancelled, Stop, is_cancellation

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
    """The exception for one function: raised once, only in it, and never where the stop's guard is
    closed. For the main thread.

    ``where`` tells from a frame of the main thread what that does.
    """

    def __init__(self, stop: Stop, where: Callable[[FrameType | None], Where]) -> None:
        self._stop = stop
        self._where = where
        self._over = threading.Event()
        self._looked = threading.Event()
        self._decided = False
        self._preparing = False
        self._insisting = False
        self._raised: JobCancelled | None = None
        self._in_hook = False
        signal.signal(SIGNAL, self._look)

    def end(self) -> None:
        """The function has been left."""
        self._over.set()

    def fire(self, *, insist: bool) -> None:
        """Have it raised, from any thread: at once, or when the guard opens. While an exception is
        handled, the function may well be cleaning up: then it is raised afterwards, or if
        ``insist`` is said.
        """
        self._insisting = insist
        self._decided = False
        threading.Thread(target=self._insist, name="rescind-interrupt", daemon=True).start()

    def prepare(self) -> None:
        """Its programs are about to be ended, from any thread: where it waits for one, have it
        raised when that wait is over, and not in what comes after it. Returns when that is so.
        """
        self._preparing = True
        self._looked.clear()
        signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)
        self._looked.wait()

    def _insist(self) -> None:
        """Make the main thread look until it is somewhere where that decides something."""
        while not (self._decided or self._over.is_set()):
            self._looked.clear()
            signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)
            self._looked.wait()  # a call into native code may take as long as it likes
            self._over.wait(limits.INTERRUPT_AGAIN_SECONDS)

    def _look(self, _number: int, frame: FrameType | None) -> None:
        """The signal's handler."""
        if self._preparing:
            self._preparing = False
            self._watch_wait(frame)
            self._looked.set()
            return
        where = Where.HEEDED if self._over.is_set() else self._where(frame)
        handled = sys.exception()
        if is_cancellation(handled):  # a helper thread was told, and has told the function
            self._stop.notice()
        cleans_up = handled is not None and not self._insisting
        if self._stop.noticed:
            where = Where.HEEDED
        elif self._in_hook or cleans_up:
            where = Where.OUTSIDE
        elif where is not Where.HEEDED and self._stop.guard.is_closed:
            self._stop.guard.on_leaving = self._raise_late
            where = Where.HEEDED
        self._decided = where is not Where.OUTSIDE
        self._looked.set()
        if where in (Where.FUNCTION, Where.BESIDE):
            self._raise(where)

    def _raise_late(self) -> None:
        """The guard has opened."""
        if not self._stop.noticed:
            self._raise(Where.FUNCTION)

    def _raise(self, where: Where) -> None:
        self._decided = True
        self._raised = JobCancelled(self._stop.reason)
        self._watch_unraisable()
        if where is Where.FUNCTION:
            self._stop.raised = True
            self._stop.notice()
        raise self._raised

    def _watch_wait(self, frame: FrameType | None) -> None:
        wait = _wait_for_program(frame)
        if wait is None or self._where(frame) is not Where.FUNCTION or sys.getprofile():
            return

        def on_return(found: FrameType, event: str, value: object) -> None:
            if found is not wait or event != "return":
                return
            sys.setprofile(None)
            # It returns nothing when it raises: that is an end of its own.
            if value is not None and not self._stop.noticed and not self._stop.guard.is_closed:
                self._raise(Where.FUNCTION)

        sys.setprofile(on_return)

    def _watch_unraisable(self) -> None:
        """In a finaliser, or a callback of C, an exception goes nowhere: then raise it again."""
        earlier = sys.unraisablehook

        def hook(unraisable: Any) -> None:
            if unraisable.exc_value is not self._raised:
                earlier(unraisable)
                return
            self._in_hook = True
            self._stop.raised = self._stop.noticed = False
            self.fire(insist=self._insisting)
            self._in_hook = False

        sys.unraisablehook = hook


def _wait_for_program(frame: FrameType | None) -> FrameType | None:
    """The call of :mod:`subprocess` in which a program is waited for: the outermost of those that
    ``frame`` is in.
    """
    found = None
    while frame is not None and frame.f_code.co_filename == subprocess.__file__:
        found, frame = frame, frame.f_back
    return found
