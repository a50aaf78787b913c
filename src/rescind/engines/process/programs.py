"""The programs of a job: asked to end before its function is interrupted, and waited for."""

import os
import select

from rescind.engines.process.tree import (
    children_of,
    has_executed,
    is_multiprocessings,
    open_below,
    terminate,
)


class Programs:
    """What has been executed below this process, but for what belongs to Python's multiprocessing
    and whatever is below that: its pools are closed by the function that opened them.
    """

    def __init__(self) -> None:
        self._handles: dict[int, int] = {}
        self._asking = False

    def ask(self) -> None:
        """Send each of them SIGTERM that has not had it."""
        self._asking = True
        for pid in programs_below(os.getpid()) - self._handles.keys():
            if (handle := open_below(pid)) is None:
                continue
            self._handles[pid] = handle
            terminate(handle)

    def descriptors(self) -> list[int]:
        """Readable when one of them has ended."""
        return list(self._handles.values())

    def look(self) -> bool:
        """Once, True: they were asked, and none is left."""
        if not self._asking:
            return False
        self._forget_ended()
        if not self._handles:
            self.ask()  # those that have come meanwhile
        self._asking = bool(self._handles)
        return not self._asking

    def _forget_ended(self) -> None:
        poll = select.poll()
        for handle in self._handles.values():
            poll.register(handle, select.POLLIN)
        ended = {handle for handle, _ in poll.poll(0)}
        for pid, handle in list(self._handles.items()):
            if handle in ended:
                os.close(handle)
                del self._handles[pid]


def programs_below(parent: int) -> set[int]:
    """The pids of the programs below a process; see :class:`Programs`."""
    found: set[int] = set()
    for pid in children_of(parent):
        if is_multiprocessings(pid):
            continue
        if has_executed(pid):
            found.add(pid)
        found |= programs_below(pid)
    return found
