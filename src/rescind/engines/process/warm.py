"""The warm parent: a program that imports the job modules once, runs nothing, and forks for each
run an init, which forks the run.

Where importing leaves threads or processes behind, forking is not safe. Then it imports nothing,
and each run does so itself before it says that it is ready.
"""

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from rescind import limits
from rescind.engines.describe import add_working_directory
from rescind.engines.importing import import_modules
from rescind.engines.leaving import flush_output
from rescind.engines.process.frames import pack
from rescind.engines.process.init import Init
from rescind.engines.process.outlet import Outlet, replace_streams, unbuffer_c
from rescind.engines.process.run import Line, Process, seed_anew
from rescind.engines.process.system import (
    IS_LINUX,
    Wakeups,
    become_subreaper,
    die_with_parent,
    name_process,
)
from rescind.engines.process.tree import children_of

_FAULT_EXIT = 71


class Handed(NamedTuple):
    """The descriptors that a keeper hands over for one run."""

    keeper: int
    """Of the init."""
    line: int
    """Of the run."""
    output: int
    """Of the run."""
    lock: int | None = None
    """Of the init: it holds the lock of the keeper's run file, too, where there is one."""


class _Signals(NamedTuple):
    """Handlers and mask as the modules have left them: a run finds them so, an init does not."""

    handlers: Mapping[int, Any]
    mask: set[int]
    wakeup: int

    @classmethod
    def take(cls) -> "_Signals":
        """Remember how things stand, and put them as they are in a new program."""
        numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        handlers: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}
        taken = cls(
            handlers, signal.pthread_sigmask(signal.SIG_SETMASK, ()), signal.set_wakeup_fd(-1)
        )
        for number, handler in handlers.items():
            if handler is not None and handler != signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
        return taken

    def restore(self) -> None:
        """Put them back."""
        signal.set_wakeup_fd(self.wakeup)
        for number, handler in self.handlers.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


class WarmParent:
    """See the module. ``modules`` are those that each run still has to import."""

    def __init__(
        self, keeper: socket.socket, modules: Sequence[str], outlet: Outlet, *, group_only: bool
    ) -> None:
        self._keeper = keeper
        self._outlet = outlet
        self._modules = modules
        self._group_only = group_only
        self._signals = _Signals.take()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # an init tells its keeper, nobody else
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)  # only its keeper ends it

    def serve(self) -> NoReturn:
        """Fork whenever the keeper hands over what connects a run, until it is gone."""
        flush_output()  # or each run would write again what modules printed
        gc.freeze()  # what is shared with the runs stays shared
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._keeper, 1, len(Handed._fields))
            if not data:
                os._exit(0)
            for number in descriptors:
                os.set_inheritable(number, False)  # a program of a job's does not speak for its run
            handed = Handed(*descriptors)
            if os.fork() == 0:
                try:
                    self._become_init(handed)
                finally:
                    os._exit(_FAULT_EXIT)
            for number in descriptors:
                os.close(number)

    def _become_init(self, handed: Handed) -> NoReturn:
        name_process("rescind-init")
        wakeups = Wakeups()
        if not self._group_only:
            become_subreaper()
        init = os.getpid()
        self._keeper.close()
        run = os.fork()
        if run == 0:
            try:
                self._become_run(handed, init, wakeups)
            finally:
                os._exit(_FAULT_EXIT)
        kept = {0, 1, 2, handed.keeper, handed.lock, *wakeups.descriptors}
        for number in _open_descriptors().keys() - kept:
            os.close(number)  # whatever the modules have opened, too
        keeper = socket.socket(fileno=handed.keeper)
        Init(run, keeper, wakeups, group_only=self._group_only).tend()

    def _become_run(self, handed: Handed, init: int, wakeups: Wakeups) -> NoReturn:
        os.setsid()  # `kill 0` and a terminal's signals stay within it
        die_with_parent(init)
        name_process("rescind-run")
        os.dup2(handed.output, 1)
        os.dup2(handed.output, 2)
        self._signals.restore()
        for number in (*wakeups.descriptors, *handed):
            if number is not None and number != handed.line:
                os.close(number)
        line = Line(handed.line)
        import_modules(self._modules, lambda error: line.send({"is": "broken", "error": error}))
        flush_output()
        seed_anew()
        Process(line, self._outlet).serve()


def _open_descriptors() -> dict[int, str]:
    """What this process has open, and what each is."""
    folder = "/proc/self/fd" if IS_LINUX else "/dev/fd"
    found = {}
    for name in os.listdir(folder):  # noqa: PTH208 - once for each run, as quick as can be
        with contextlib.suppress(OSError):  # the one that lists them
            found[int(name)] = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - as above
    return found


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What modules say while they are imported was shown when they were described."""
    ours, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        flush_output()
        os.dup2(ours, 2)
        os.close(ours)
        os.close(nowhere)


def _tell_broken(keeper: socket.socket, error: str) -> None:
    keeper.send(pack({"is": "broken", "error": error}))


def _unforkable() -> str | None:
    """Why this process must not be forked, if so."""
    threads, processes = _threads_left(), len(children_of(os.getpid()))
    if threads == 0 and processes == 0:
        return None
    return f"importing the job modules leaves {threads} threads and {processes} processes"


def _threads_left() -> int:
    """How many threads there are but this one, native ones included. A thread that has been joined
    is in /proc for another moment, so what Python does not know (any more) is looked at again.
    """
    if not IS_LINUX:
        return threading.active_count() - 1
    known = {thread.native_id for thread in threading.enumerate()}
    ending = threading.Event()
    for _ in range(limits.THREAD_ENDS_LOOKS):
        there = {int(name) for name in os.listdir("/proc/self/task")}  # noqa: PTH208 - names alone
        if there <= known:
            break
        ending.wait(limits.THREAD_ENDS_SECONDS / limits.THREAD_ENDS_LOOKS)
    return len(there) - 1


def main() -> None:
    """Serve: arguments are the socket, the keeper's pid, ``auto``, ``fork`` or ``fresh``, ``tree``
    or ``group``, and the job modules.
    """
    number, keeper_pid, how, reach, *modules = sys.argv[1:]
    die_with_parent(int(keeper_pid))
    name_process("rescind-warm")
    keeper = socket.socket(fileno=int(number))
    keeper.set_inheritable(False)
    add_working_directory()
    sys.argv = ["rescind-job"]
    outlet = replace_streams()
    unbuffer_c()
    opened: list[str] = []
    why: str | None = None
    if how != "fresh":
        before = _open_descriptors()
        with _silence():
            import_modules(modules, lambda error: _tell_broken(keeper, error))
        why = _unforkable()
        opened = [what for n, what in _open_descriptors().items() if before.get(n) != what]
    keeper.send(pack({"is": "warm", "why": why, "opened": opened[: limits.DESCRIPTORS_NAMED_MAX]}))
    if how == "auto" and why is not None:
        keeper.recv(1)  # this process is of no use; its keeper ends it
        os._exit(0)
    left = modules if how == "fresh" else ()
    WarmParent(keeper, left, outlet, group_only=reach == "group").serve()


if __name__ == "__main__":
    main()
