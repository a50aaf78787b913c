"""What a run and its forked copies say and print: one pipe, in the order written.

Nothing here takes a lock or keeps anything back: a line is in the pipe when the call returns,
whatever kills the process then, and a signal's handler may log while its thread does.
"""

import contextlib
import ctypes
import errno
import io
import itertools
import os
import select
import sys
import threading
from collections.abc import Callable

from rescind.engines.lines import encoded
from rescind.engines.process.frames import BROKEN_EXIT, is_lost
from rescind.engines.process.records import Source, records_of


class Outlet:
    """See the module. Until it is opened, what is printed goes out as it is."""

    def __init__(self) -> None:
        self._mark = b""
        self._number = -1
        self._identity: os.stat_result | None = None
        self._pid = 0
        self._calls = itertools.count(1)
        self.on_said: Callable[[], None] = lambda: None
        """Called when a line has been printed."""

    def open(self, mark: bytes) -> None:
        """What is printed belongs to a run from now on. Standard output is its pipe, as it was when
        the first run of this process began.
        """
        if self._identity is None:
            self._number = os.dup(1)
            self._identity = os.fstat(self._number)
            self._pid = os.getpid()
        self._mark = mark

    def log(self, text: str) -> None:
        """Say lines for the job's log. If user code has closed the pipe, or put something else in
        its place, the run cannot tell the truth any more and ends; in a forked copy they are lost.
        """
        try:
            if not self._is_pipe(self._number):
                raise OSError(errno.EBADF, "another file in place of the pipe")  # noqa: TRY301 - handled as one
            self._say(next(self._calls) & 0x7FFFFFFF or 1, encoded(text) + b"\n")
        except OSError as error:
            if not is_lost(error):
                raise
            if os.getpid() == self._pid:
                os._exit(BROKEN_EXIT)

    def print(self, number: int, data: bytes) -> None:
        """Print to standard output or error, whatever that is."""
        if self._mark and self._is_pipe(number):
            self._say(0, data)
        else:
            write_all(number, data)
        if data.endswith(b"\n"):
            self.on_said()

    def _say(self, call: int, data: bytes) -> None:
        source = Source(os.getpid(), threading.get_ident(), call)
        for record in records_of(self._mark, source, data):
            write_all(self._number, record)

    def _is_pipe(self, number: int) -> bool:
        try:
            found = os.fstat(number)
        except OSError as error:
            if not is_lost(error):
                raise
            return False
        return self._identity is not None and os.path.samestat(found, self._identity)


def write_all(number: int, data: bytes) -> None:
    """Write all of it, waiting for whoever reads; a program may have made the pipe not wait."""
    while data:
        try:
            data = data[os.write(number, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(number, select.POLLOUT)
            poll.poll()


class _File(io.FileIO):
    """The bytes of a stream. A write that a signal has cut short is continued. Made before its
    descriptor is a run's pipe, it must not ask that whether it can seek.
    """

    def seekable(self) -> bool:
        """It cannot."""
        return False

    @property
    def raw(self) -> "_File":
        """As of what buffers."""
        return self

    def write(self, data: object) -> int:
        """As of any file."""
        view = memoryview(data)  # type: ignore[arg-type]  # it raises what a file raises
        write_all(self.fileno(), view.cast("B").tobytes())
        return view.nbytes


class Stream(io.TextIOWrapper):
    """``sys.stdout`` or ``sys.stderr``: what a thread writes stays together in its lines."""

    def __init__(self, number: int, errors: str, outlet: Outlet) -> None:
        file = _File(number, "wb", closefd=False)
        super().__init__(file, encoding="utf-8", errors=errors, newline="\n", write_through=True)
        self._outlet = outlet

    @property
    def mode(self) -> str:
        """As of Python's own."""
        return "w"

    @property
    def name(self) -> str:
        """As of Python's own."""
        return "<stdout>" if self.fileno() == 1 else "<stderr>"

    def write(self, text: str) -> int:
        """As of any text file."""
        if self.closed or not isinstance(text, str):
            return super().write(text)  # it raises
        data = text.encode(self.encoding, self.errors or "strict")
        if data:
            self._outlet.print(self.fileno(), data)
        return len(text)


def replace_streams() -> Outlet:
    """Have Python print through an outlet, before modules can get hold of its own streams."""
    outlet = Outlet()
    for number, name in ((1, "stdout"), (2, "stderr")):
        errors = "strict" if number == 1 else "backslashreplace"
        stream = Stream(number, errors, outlet)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return outlet


def unbuffer_c() -> None:
    """Have C print at once, in this process and its forked copies (glibc)."""
    libc = ctypes.CDLL(None)
    for name in ("stdout", "stderr"):
        with contextlib.suppress(ValueError):  # another C library
            stream = ctypes.c_void_p.in_dll(libc, name)
            libc.setvbuf(stream, None, 2, 0)  # _IONBF
