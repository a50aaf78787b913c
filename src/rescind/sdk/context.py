"""What a job's code is given."""

import operator
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from rescind import limits
from rescind.sdk.stop import JobCancelled, Stop

__all__ = ["JobCancelled", "JobContext"]


class JobContext:
    """One run of a job, as its code sees it.

    ``progress``, ``check_cancelled`` and ``sleep`` are checkpoints: when the run was told to stop,
    they raise :class:`JobCancelled`. In the thread of the job's function ``progress`` does so only
    if nothing else has yet, and not while an exception is handled, so that clean-up may report; in
    other threads each does so every time. ``log`` never does.
    """

    def __init__(
        self,
        *,
        job_id: int,
        attempt: int,
        parameters: Mapping[str, Any],
        on_log: Callable[[str], None],
        on_progress: Callable[[int, int], None],
        stop: Stop | None = None,
    ) -> None:
        self.job_id = job_id
        self.attempt = attempt
        """Counts from 1; pass it on to fence your own effects when a job may run again."""
        self.parameters = parameters
        self._on_log = on_log
        self._on_progress = on_progress
        self._stop = stop or Stop()
        self.cancelled: threading.Event = self._stop.event
        """Set when the run was told to stop."""

    @property
    def stop_reason(self) -> str | None:
        """CANCEL, TIMEOUT, INACTIVITY or DRAIN, once told to stop."""
        return self._stop.reason

    def log(self, text: object) -> None:
        """Write to the job's log; each line of ``text`` becomes one."""
        self._on_log(str(text))
        self._stop.pass_by()

    def progress(self, done: int, total: int) -> None:
        """Say how far the run has come: ``done`` of ``total``, whole numbers from 0, Python's or
        another library's. A checkpoint.

        Raises ValueError for anything else.
        """
        numbers = (_whole_number(done), _whole_number(total))
        self._on_progress(*numbers)
        self._stop.pass_by()
        cleans_up = self._stop.raised or sys.exception() is not None
        if not (cleans_up and self._stop.in_function()):
            self._stop.check()

    def check_cancelled(self) -> None:
        """Raise :class:`JobCancelled` if the run was told to stop."""
        self._stop.check()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the run is told to stop. A checkpoint. In an
        ``async def`` job use ``asyncio.sleep``.
        """
        self.cancelled.wait(seconds)
        self._stop.check()

    def uninterrupted(self) -> AbstractContextManager[object]:
        """A block in which the function is not interrupted, for what must not be left half done.
        If it should have been meanwhile, :class:`JobCancelled` is raised on leaving the outermost
        one. Checkpoints in it raise as ever, and the grace ends as ever.
        """
        return self._stop.uninterrupted()


def _whole_number(given: object) -> int:
    """``given`` as Python's own. Raises ValueError."""
    number = -1
    if not isinstance(given, bool):
        try:
            number = operator.index(given)  # type: ignore[arg-type]  # it raises if it is none
        except TypeError:
            number = -1
    if not 0 <= number <= limits.PROGRESS_MAX:
        raise ValueError(
            f"progress takes whole numbers from 0 to {limits.PROGRESS_MAX}, not {given!r}"
        )
    return number
