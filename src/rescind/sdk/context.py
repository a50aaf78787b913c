"""What a job's code is given, and how it learns that it must stop."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from rescind import limits


class JobCancelled(BaseException):
    """Raised at a checkpoint when the run was told to stop.

    Not an ``Exception``, so that code which catches all errors does not swallow it. Clean up in
    ``finally``, or catch it, clean up, and raise it again.
    """


class JobContext:
    """One run of a job, as its code sees it.

    ``log``, ``progress``, ``check_cancelled`` and ``sleep`` are checkpoints: when the run was
    told to stop, they raise :class:`JobCancelled`. ``log`` and ``progress`` do so only until it
    has been raised once, so that clean-up may still log.
    """

    def __init__(
        self,
        *,
        job_id: int,
        attempt: int,
        parameters: Mapping[str, Any],
        on_log: Callable[[str], None],
        on_progress: Callable[[int, int], None],
    ) -> None:
        self.job_id = job_id
        self.attempt = attempt
        """Counts from 1; pass it on to fence your own effects when a job may run again."""
        self.parameters = parameters
        self.cancelled = threading.Event()
        """Set when the run was told to stop."""
        self.stop_reason: str | None = None
        """CANCEL, TIMEOUT, INACTIVITY or DRAIN, once told to stop."""
        self._on_log = on_log
        self._on_progress = on_progress
        self._raised = False

    def log(self, text: object) -> None:
        """Write to the job's log; each line of ``text`` becomes one. A checkpoint."""
        self._on_log(str(text))
        self._check_once()

    def progress(self, done: int, total: int) -> None:
        """Say how far the run has come: ``done`` of ``total``, whole numbers from 0. A checkpoint.

        Raises ValueError for anything else.
        """
        given: tuple[object, object] = (done, total)
        for number in given:
            if not isinstance(number, int) or not 0 <= number <= limits.PROGRESS_MAX:
                raise ValueError(
                    f"progress takes whole numbers from 0 to {limits.PROGRESS_MAX}, not {number!r}"
                )
        self._on_progress(done, total)
        self._check_once()

    def check_cancelled(self) -> None:
        """Raise :class:`JobCancelled` if the run was told to stop."""
        if self.cancelled.is_set():
            self._raised = True
            raise JobCancelled(self.stop_reason)

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the run is told to stop. A checkpoint. In an
        ``async def`` job use ``asyncio.sleep``.
        """
        self.cancelled.wait(seconds)
        self.check_cancelled()

    def _check_once(self) -> None:
        if not self._raised:
            self.check_cancelled()
