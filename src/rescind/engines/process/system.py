"""What a process of ours asks of the system for itself."""

import contextlib
import ctypes
import os
import select
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

_ENV_START, _ENV_END = 50 - 3, 51 - 3
"""Fields of /proc/PID/stat, counted from behind the program's name."""

IS_LINUX = sys.platform == "linux"


def become_subreaper() -> None:
    """Orphans among this process's descendants become its children (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """SIGKILL this process when its parent dies (Linux); exits if that has happened already.

    Sound only while the thread of the parent that started this process lives. Lost with ``setuid``.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def name_process(name: str) -> None:
    """What ``ps`` and ``top`` call this process (Linux); at most 15 characters."""
    _prctl(_PR_SET_NAME, name.encode())


def forget_environment(prefix: str) -> None:
    """Take the variables that begin so out of this process's environment, also as others may read
    it (Linux): the system shows it as the process was started with it.
    """
    for name in [name for name in os.environ if name.startswith(prefix)]:
        del os.environ[name]
    if not IS_LINUX:
        return
    fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
    begin, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    at = begin
    for variable in ctypes.string_at(begin, end - begin).split(b"\0"):
        if variable.startswith(prefix.encode()):
            ctypes.memset(at, 0, len(variable))
        at += len(variable) + 1


def _prctl(option: int, value: int | bytes) -> None:
    if not IS_LINUX:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Wakeups:
    """Tells that a child has died, and makes the signals of a terminal do nothing: only the other
    end of its connection ends a keeper, or an init.
    """

    def __init__(self) -> None:
        self.descriptors = os.pipe()
        for number in self.descriptors:
            os.set_blocking(number, False)
        signal.set_wakeup_fd(self.descriptors[1], warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: what is started by exec must not inherit it.
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _nothing)

    def wait(self, seconds: float | None, *others: int) -> set[int]:
        """Wait until a child dies, there is something to read from one of ``others``, or the time
        is up; those that can be read.
        """
        poll = select.poll()
        for number in (self.descriptors[0], *others):
            poll.register(number, select.POLLIN)
        ready = {number for number, _ in poll.poll(None if seconds is None else seconds * 1000)}
        self.drain()
        return ready - {self.descriptors[0]}

    def drain(self) -> None:
        """Forget what was told."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.descriptors[0], 512):
                pass


def _nothing(_number: int, _frame: object) -> None:
    pass
