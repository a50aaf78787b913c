"""Ending processes: all descendants of one process, wherever they have hidden themselves.

A keeper is a subreaper: whatever its child starts stays its descendant, even after a double fork
with ``setsid``. So the tree is found by parentage in /proc, and ended from the root down: stop all
of it until nothing new appears, kill all of it, reap, and look again until nothing is left.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol

from rescind import limits
from rescind.clock import Clock

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_LOOK_AGAIN_SECONDS = 0.005
_STUBBORN_SECONDS = 1.0
_STUBBORN_LOOK_SECONDS = 0.5

IS_LINUX = sys.platform == "linux"


class Force(IntEnum):
    """The strongest means that was needed."""

    NONE = 0
    TERMINATED = 1
    KILLED = 2


class Ended(NamedTuple):
    """What ending a tree took, and how many processes were alive when it began."""

    force: Force
    processes: int


class _Stat(NamedTuple):
    """What /proc says of a process."""

    parent: int
    alive: bool


class Tree(Protocol):
    """The living descendants of a process, and how they are reaped."""

    def living(self) -> set[int]:
        """The pids of all living descendants."""
        ...

    def reap(self) -> None:
        """Take in the exit statuses of those that have died."""
        ...


class DescendantTree:
    """All descendants of this process but some, by /proc (Linux)."""

    def __init__(self, reap: Callable[[], None], spare: Callable[[], Collection[int]]) -> None:
        self.reap = reap
        self._spare = spare

    def living(self) -> set[int]:
        """See :meth:`Tree.living`; what spared processes have started is not spared."""
        return descendants(os.getpid()) - set(self._spare())


class GroupTree:
    """The process group of one child: all that can be known where there is no /proc."""

    def __init__(self, reap: Callable[[], None], group: Callable[[], int | None]) -> None:
        self.reap = reap
        self._group = group

    def living(self) -> set[int]:
        """The negative group id, which signals all of it, while anything of it lives."""
        group = self._group()
        if group is None:
            return set()
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return set()
        except PermissionError:
            pass
        return {-group}


def end_tree(
    tree: Tree, clock: Clock, *, polite: bool, on_stubborn: Callable[[Collection[int]], None]
) -> Ended:
    """End every process of ``tree``, and return only when none is left.

    ``polite``: SIGTERM first, and a moment to heed it. ``on_stubborn`` is called once if SIGKILL
    does not end them (another user's, or in uninterruptible sleep): the truth goes before any
    bound, so this goes on trying.
    """
    tree.reap()
    first = tree.living()
    if not first:
        return Ended(Force.NONE, 0)
    if polite:
        for pid in first:
            _signal(pid, signal.SIGTERM)
            _signal(pid, signal.SIGCONT)  # a stopped process hears nothing else
        deadline = clock.elapsed() + limits.TERMINATE_SECONDS
        while clock.elapsed() < deadline:
            tree.reap()
            if not tree.living():
                return Ended(Force.TERMINATED, len(first))
            _pause(_LOOK_AGAIN_SECONDS)
    _kill(tree, clock, on_stubborn)
    return Ended(Force.KILLED, len(first))


def _kill(tree: Tree, clock: Clock, on_stubborn: Callable[[Collection[int]], None]) -> None:
    stubborn_at: float | None = clock.elapsed() + _STUBBORN_SECONDS
    while living := _stopped(tree):
        for pid in living:
            _signal(pid, signal.SIGKILL)
        _pause(_LOOK_AGAIN_SECONDS if stubborn_at is not None else _STUBBORN_LOOK_SECONDS)
        if stubborn_at is not None and clock.elapsed() > stubborn_at:
            stubborn_at = None
            on_stubborn(living)


def _stopped(tree: Tree) -> set[int]:
    """Stop the whole tree, so that nothing in it can start anything more; what lives of it."""
    stopped: set[int] = set()
    while True:
        tree.reap()
        living = tree.living()
        if living <= stopped:
            return living
        for pid in living - stopped:
            _signal(pid, signal.SIGSTOP)
        stopped |= living


def descendants(root: int) -> set[int]:
    """The pids of all living descendants of ``root``, by /proc."""
    children: dict[int, list[int]] = {}
    alive: set[int] = set()
    for pid, stat in _all_processes():
        children.setdefault(stat.parent, []).append(pid)
        if stat.alive:
            alive.add(pid)
    found: set[int] = set()
    unseen = [root]
    while unseen:
        for pid in children.get(unseen.pop(), ()):
            if pid not in found:
                found.add(pid)
                unseen.append(pid)
    return found & alive


def children_of(parent: int) -> set[int]:
    """The pids of the direct children of ``parent``, dead ones that nobody reaped included."""
    return {pid for pid, stat in _all_processes() if stat.parent == parent}


def become_subreaper() -> None:
    """Orphans among this process's descendants become its children (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """SIGKILL this process when its parent dies (Linux); exits if that has happened already.

    Sound only while the parent has a single thread: the signal is tied to the thread that
    started this process.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if not IS_LINUX:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _all_processes() -> Iterator[tuple[int, _Stat]]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - thousands of names, as fast as can be
        if name.isdecimal():
            with contextlib.suppress(OSError):
                yield int(name), _stat(name)


def _stat(pid: str) -> _Stat:
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
        # The command may hold anything but ends at the last parenthesis.
        fields = file.read().rpartition(b") ")[2].split()
    state, parent, threads = fields[0], int(fields[1]), int(fields[17])
    # A zombie whose other threads live on is alive.
    return _Stat(parent, state not in (b"Z", b"X") or threads > 1)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _pause(seconds: float) -> None:
    select.select((), (), (), seconds)
