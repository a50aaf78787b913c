"""The processes below one process: seen, signalled, ended until the kernel says that none is left.

Keepers and inits are subreapers: whatever is started below them stays below them, even after a
double fork with ``setsid``. ``/proc`` only hints at what to signal. That nothing is left is never
seen there; it is the kernel's word: a wait for children that fails with ECHILD.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.system import Wakeups

_HELPERS = (
    b"from multiprocessing.resource_tracker import main",
    b"from multiprocessing.forkserver import main",
)
_WORKER = b"from multiprocessing.spawn import spawn_main"
_FORKED_WITHOUT_EXEC = 0x40
"""Among the kernel's flags of a process (PF_FORKNOEXEC)."""

_HAS_CHILDREN = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()


class Force(IntEnum):
    """The strongest means that was needed."""

    NONE = 0
    TERMINATED = 1
    KILLED = 2


class _Stat(NamedTuple):
    """What /proc says of a process."""

    parent: int
    state: bytes
    threads: int
    executed: bool
    """It runs a program of its own, and is no mere copy of who forked it."""

    @property
    def alive(self) -> bool:
        """A zombie whose other threads live on is alive."""
        return self.state not in (b"Z", b"X") or self.threads > 1


def children_of(parent: int) -> set[int]:
    """The pids of the direct children of ``parent``, dead ones that nobody reaped included. Those
    that come or go meanwhile may be missing.
    """
    if not _HAS_CHILDREN:
        return {pid for pid, stat in _all_processes() if stat.parent == parent}
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 - as quick as can be
            with open(f"/proc/{parent}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - as above
                found.update(map(int, file.read().split()))
    return found


def descendants(root: int) -> set[int]:
    """The pids of the living descendants of ``root``, as far as /proc shows them."""
    found: set[int] = set()
    unseen = [root]
    while unseen:
        new = children_of(unseen.pop()) - found
        found |= new
        unseen += new
    return {pid for pid in found if (stat := _stat(pid)) is not None and stat.alive}


def is_program(pid: int) -> bool:
    """Whether it lives, is not just about to end, and is none of the helpers of Python's
    multiprocessing (resource tracker, fork server), which end by themselves with those they serve.
    """
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    stat = _stat(pid)
    if stat is None:
        return False
    if not command:  # it has let go of its memory; but others of its threads may go on
        return stat.threads > 1
    is_helper = any(helper in command for helper in _HELPERS) and stat.executed
    return not is_helper


def is_multiprocessings(pid: int) -> bool:
    """Whether it is a program of Python's multiprocessing: a helper, or a spawned worker."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    stat = _stat(pid)
    known = any(program in command for program in (*_HELPERS, _WORKER))
    return known and stat is not None and stat.executed


def has_executed(pid: int) -> bool:
    """Whether it lives and runs a program of its own, and is no mere copy of who forked it."""
    stat = _stat(pid)
    return stat is not None and stat.alive and stat.executed


def _stat(pid: int) -> _Stat | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as quick as can be
            # The command may hold anything but ends at the last parenthesis.
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    executed = not int(fields[6]) & _FORKED_WITHOUT_EXEC
    return _Stat(int(fields[1]), fields[0], int(fields[17]), executed)


def _all_processes() -> Iterator[tuple[int, _Stat]]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - as quick as can be
        if name.isdecimal() and (stat := _stat(int(name))) is not None:
            yield int(name), stat


# What is done to it


def terminate_tree() -> int:
    """SIGTERM every living descendant of this process but multiprocessing's helpers, and let
    stopped ones hear it; how many they were.
    """
    programs = list(filter(is_program, descendants(os.getpid())))
    for pid in programs:
        if (handle := open_below(pid)) is not None:
            terminate(handle)
            os.close(handle)
    return len(programs)


def terminate(handle: int) -> None:
    """SIGTERM what a handle holds, and let it hear that if it is stopped."""
    with contextlib.suppress(OSError):  # gone, or another user's
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        signal.pidfd_send_signal(handle, signal.SIGCONT)


def open_below(pid: int) -> int | None:
    """A handle (pidfd) of a descendant of this process, and never of another that got its pid
    meanwhile.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return None
    # If it was below us while we held it, and still lives, it is the one that we hold.
    if _is_below(pid):
        return handle
    os.close(handle)
    return None


def _is_below(pid: int) -> bool:
    above = pid
    while above != os.getpid():
        stat = _stat(above)
        if stat is None or stat.parent == 0:
            return False
        above = stat.parent
    return True


def reap(heed: Callable[[int, int], None]) -> bool:
    """Take in the exit status of every child that has died: ``heed(pid, status)``, the status as
    ``waitpid`` gives it. False: the kernel says that this process has no child.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        heed(pid, status)


def kill_children(
    clock: Clock,
    wakeups: Wakeups,
    heed: Callable[[int, int], None],
    on_look: Callable[[set[int]], None],
) -> None:
    """SIGKILL every child of this process, and whatever thereby becomes its child, and return only
    when the kernel says that it has none.

    It signals children alone: nobody else can reap them, so that no pid can be another's meanwhile.
    Multiprocessing's helpers come last, and get a moment to end by themselves. ``on_look`` is told
    now and then which are still there (another user's, or in uninterruptible sleep).
    """
    seconds = limits.KILL_LOOK_SECONDS_MIN
    helpers_until: float | None = None
    while reap(heed):
        children = children_of(os.getpid())
        programs = set(filter(is_program, children))
        if programs:
            helpers_until = None
        elif helpers_until is None:
            helpers_until = clock.elapsed() + limits.HELPERS_SECONDS
        elif clock.elapsed() >= helpers_until:
            programs = children
        for pid in programs:
            with contextlib.suppress(OSError):  # another user's
                os.kill(pid, signal.SIGKILL)
        on_look(children)
        wakeups.wait(seconds)
        seconds = min(seconds * 2, limits.KILL_LOOK_SECONDS_MAX)
