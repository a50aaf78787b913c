"""The init of one run: nothing but the run is below it, so that its "no child left" is the kernel's
word about the run. It is forked, holds no code of a user's, decides nothing and keeps no time: the
keeper orders, it signals, reaps and tells.

If its keeper is gone, it kills the run and everything of it, and exits.
"""

import os
import signal
import socket
from typing import NoReturn

from rescind import limits
from rescind.clock import SystemClock
from rescind.engines.process.frames import Message, pack
from rescind.engines.process.programs import Programs
from rescind.engines.process.system import Wakeups
from rescind.engines.process.tree import (
    Force,
    children_of,
    is_program,
    kill_children,
    reap,
    terminate_tree,
)

ASK, ASK_ALONE, ASK_PROGRAMS, TERMINATE, KILL = b"a", b"o", b"p", b"t", b"k"
"""What a keeper orders: an answer; whether there is nothing but the run's own process; SIGTERM for
programs; for all; SIGKILL until none is left.
"""

_ORDER_BYTES = 16


class Init:
    """See the module. ``run`` is the pid of its only child."""

    def __init__(
        self, run: int, keeper: socket.socket, wakeups: Wakeups, *, group_only: bool
    ) -> None:
        self._run = run
        self._keeper = keeper
        self._wakeups = wakeups
        self._group_only = group_only
        self._status: int | None = None
        self._told_left: int | None = None
        self._force = Force.NONE
        self._killing = False
        self._programs = Programs()

    def tend(self) -> NoReturn:
        """Tend the run until nothing of it is left."""
        try:
            self._tend()
        except BaseException:  # whatever it is, nothing of the run may outlive it
            self._kill()
            raise
        os._exit(0)

    def _tend(self) -> None:
        self._tell({"is": "here"})
        while reap(self._heed):
            if self._status is not None and not self._told_left:
                self._tell_exit()
            if self._programs.look():
                self._tell({"is": "no_programs"})
            number = self._keeper.fileno()
            if number in self._wakeups.wait(None, number, *self._programs.descriptors()):
                self._obey()
        if self._group_only:
            self._end_group()
        self._tell({"is": "gone", "status": self._status, "force": self._force})

    def _heed(self, pid: int, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        if pid == self._run:
            self._status = code
        if self._killing and code == -signal.SIGKILL:
            self._force = Force.KILLED

    def _tell_exit(self) -> None:
        """The run's own process has exited, and something of it lives on: maybe only what is about
        to end by itself, until another comes out from behind it.
        """
        left = len(self._left_behind())
        if left or self._told_left is None:
            self._told_left = left
            self._tell({"is": "exited", "left": left})

    def _obey(self) -> None:
        try:
            order = self._keeper.recv(_ORDER_BYTES)
        except OSError:
            order = b""  # the keeper is gone, and has not heard all that it was told
        if order == ASK:
            self._tell({"is": "here"})
        elif not reap(self._heed):
            return  # it has ended by itself just now
        elif order == ASK_ALONE:
            alone = not self._group_only and children_of(os.getpid()) == {self._run}
            self._tell({"is": "alone", "alone": alone})
        elif order == ASK_PROGRAMS:
            if self._group_only:
                self._tell({"is": "no_programs"})  # that it could know of
            else:
                self._programs.ask()
                self._tell({"is": "here"})
        elif order == TERMINATE:
            self._terminate()
            self._tell({"is": "here"})
        else:
            self._kill()  # so ordered, or the keeper is gone

    def _terminate(self) -> None:
        if self._signal_group(signal.SIGTERM) if self._group_only else terminate_tree():
            self._force = max(self._force, Force.TERMINATED)

    def _kill(self) -> None:
        self._killing = True
        if self._group_only:
            self._signal_group(signal.SIGKILL)
        kill_children(SystemClock(), self._wakeups, self._heed, self._say_killing)

    def _left_behind(self) -> set[int]:
        """What lives directly below, but for the tracker that ends by itself."""
        if self._group_only:
            return {self._run} if self._signal_group(None) else set()
        return set(filter(is_program, children_of(os.getpid())))

    def _say_killing(self, pids: set[int]) -> None:
        self._tell({"is": "killing", "pids": sorted(pids)})

    # Where a process group is all that can be known

    def _signal_group(self, number: signal.Signals | None) -> bool:
        """Signal the run's process group; whether there is one."""
        try:
            os.killpg(self._run, 0 if number is None else number)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def _end_group(self) -> None:
        """End what the run's process has left behind in its group: nobody else would know of it."""
        clock = SystemClock()
        politely_until = clock.elapsed() + (0 if self._killing else limits.LEAVE_SECONDS)
        while True:
            number, force = signal.SIGTERM, Force.TERMINATED
            if clock.elapsed() >= politely_until:
                number, force = signal.SIGKILL, Force.KILLED
            if not self._signal_group(number):
                return
            self._force = max(self._force, force)
            self._wakeups.wait(limits.KILL_LOOK_SECONDS_MIN)

    def _tell(self, message: Message) -> None:
        try:
            self._keeper.send(pack(message), socket.MSG_DONTWAIT)
        except OSError:
            return  # gone, which shows elsewhere; or so slow that it must not hold us up
