"""How a process that has entered a job's function comes to its end: as a Python program does."""

import atexit
import contextlib
import ctypes
import os
import sys
import threading
import traceback
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """Wait for threads that are no daemons, run the ``atexit`` functions, write what is buffered,
    and exit.
    """
    # What multiprocessing does in its processes: the interpreter's own end would unwind our frames.
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - as above
    flush_output()
    os._exit(code)


def leave_copy(error: BaseException | None) -> NoReturn:
    """End a forked copy that has come back from a job's function: it is not the run, and ends as
    any program that returns or raises.
    """
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)  # noqa: T201 - what Python does with it
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    leave(code)


def flush_output() -> None:
    """Write what Python and C have buffered."""
    for stream in (sys.stdout, sys.stderr):
        # User code may have closed or replaced it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)
