"""What a keeper that was killed has left to the worker's process."""

import contextlib
import os
import select
import signal
from pathlib import Path

import structlog

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.slot import keepers_of_this_process
from rescind.engines.process.system import become_subreaper
from rescind.engines.process.tree import children_of

_log = structlog.get_logger()


class Strays:
    """Makes this process adopt the orphans of its keepers, and ends them.

    When a keeper is gone, the inits of its runs hear it, kill what is theirs and exit, which proves
    that nothing of the run is left. They become children of this process, and are waited for. Only
    if an init was killed, too, do other processes come here. They are killed; but this process has
    other children as well, so the kernel cannot say of them that none is left, and several looks
    have to do.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        become_subreaper()
        self._not_ours = children_of(os.getpid())

    def end(self) -> None:
        """End whatever is here and is no keeper; return when nothing is left."""
        inits_until = self._clock.elapsed() + limits.INIT_ANSWER_SECONDS
        stubborn_at = inits_until + limits.STUBBORN_SECONDS
        empty_looks = 0
        while empty_looks < limits.STRAY_LOOKS:
            strays = self._strays()
            empty_looks = 0 if strays else empty_looks + 1
            now = self._clock.elapsed()
            for pid in strays:
                if now >= inits_until or not _is_init(pid):
                    with contextlib.suppress(OSError):  # another user's
                        os.kill(pid, signal.SIGKILL)
            if strays and now >= stubborn_at:
                stubborn_at = float("inf")
                _log.error("still killing what a lost keeper has left", pids=sorted(strays))
            select.select((), (), (), limits.KILL_LOOK_SECONDS_MIN)

    def _strays(self) -> set[int]:
        """Those that live; the dead are reaped."""
        strays = children_of(os.getpid()) - self._not_ours - keepers_of_this_process
        for pid in list(strays):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    strays.discard(pid)
            except ChildProcessError:
                strays.discard(pid)
        return strays


def _is_init(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "rescind-init\n"
    except OSError:
        return False
