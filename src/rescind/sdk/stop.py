"""How a run's function learns that it must stop, and what is known of whether it has."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Self


class JobCancelled(BaseException):
    """Raised in a job's code when the run was told to stop: at a checkpoint, or wherever its
    function is when it has not noticed.

    Not an ``Exception``, so that code which catches all errors does not swallow it. Clean up in
    ``finally``, or catch it, clean up, and raise it again.
    """


def is_cancellation(error: BaseException | None) -> bool:
    """Whether it is what tells code to stop, alone or as a task group gathers it."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_cancellation(member) for member in error.exceptions)
    return isinstance(error, JobCancelled | asyncio.CancelledError)


class Guard:
    """Keeps the function's thread from being interrupted while it is inside. ``on_leaving`` is
    called when the outermost block is left.
    """

    def __init__(self, on_leaving: Callable[[], None]) -> None:
        self._depth = 0
        self._on_leaving = on_leaving

    @property
    def is_closed(self) -> bool:
        """Whether it is inside."""
        return self._depth > 0

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._on_leaving()


class StopEvent(threading.Event):
    """An event that tells who has seen that it is set."""

    def __init__(self, on_seen: Callable[[], None]) -> None:
        super().__init__()
        self._on_seen = on_seen

    def is_set(self) -> bool:
        """Whether the run was told to stop."""
        return self._see(value=super().is_set())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run is told to stop, ``timeout`` seconds at most; whether it was."""
        return self._see(value=super().wait(timeout))

    def _see(self, *, value: bool) -> bool:
        if value:
            self._on_seen()
        return value


class Stop:
    """The stop of one run. Made in the thread of its function, which is the only one that may
    *notice* it: others may see it, and be told, while the function waits on.
    """

    def __init__(self, on_notice: Callable[[bool], None] = lambda _: None) -> None:
        """``on_notice`` is called with True when the function has noticed, and with False when what
        had told it went nowhere.
        """
        self.event = StopEvent(self._seen)
        self.reason: str | None = None
        self.noticed = False
        self.raised = False
        """Something has been raised in the function to stop it."""
        self.pending: Callable[[], None] | None = None
        """What waits until the guard opens, or our own code is left."""
        self._on_notice = on_notice
        self._thread = threading.get_ident()
        self._is_function: Callable[[], bool] = lambda: True
        self.guard = Guard(self.pass_by)

    def narrow(self, is_function: Callable[[], bool]) -> None:
        """Not all that runs in the function's thread is the function: this tells it apart."""
        self._is_function = is_function

    def in_function(self) -> bool:
        """Whether the caller is the function, or called by it."""
        return self._in_thread() and self._is_function()

    def uninterrupted(self) -> AbstractContextManager[object]:
        """A block that is not interrupted. Only the function's thread ever is."""
        return self.guard if self._in_thread() else contextlib.nullcontext()

    def pass_by(self) -> None:
        """Do what waits, if nothing keeps it from being done any more."""
        if self.pending is not None and self._in_thread() and not self.guard.is_closed:
            pending, self.pending = self.pending, None
            pending()

    def _in_thread(self) -> bool:
        return threading.get_ident() == self._thread

    def check(self) -> None:
        """Raise JobCancelled if there is one."""
        if self.event.is_set():
            if self.in_function():
                self.raised = True
            raise JobCancelled(self.reason)

    def notice(self) -> None:
        """The function has noticed."""
        if not self.noticed:
            self.noticed = True
            self._on_notice(True)

    def unnotice(self) -> None:
        """What was raised in the function has gone nowhere."""
        self.noticed = self.raised = False
        self._on_notice(False)

    def _seen(self) -> None:
        if self.in_function():
            self.notice()
