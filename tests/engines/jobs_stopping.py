"""The first run that is forked from here is stopped before it is ready."""

import os
import signal
from pathlib import Path

from rescind import JobContext, job

_forks = 0


def _stop_once() -> None:
    global _forks  # noqa: PLW0603 - of this process
    _forks += 1
    mark = Path(os.environ["STOPPED_ONCE"])
    if _forks == 2 and not mark.exists():  # an init, then its run
        mark.touch()
        os.kill(os.getpid(), signal.SIGSTOP)


os.register_at_fork(after_in_child=_stop_once)


@job("waited_for__c")
def waited_for(context: JobContext) -> int:
    """Return."""
    return context.job_id
