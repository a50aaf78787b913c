"""Jobs whose author says that a process may serve many runs of them; some of it is not so."""

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from rescind import JobContext, job

_served: list[int] = []


@job("clean__c", runs_per_process=3)
def clean(context: JobContext) -> dict[str, int]:
    _served.append(context.job_id)
    print("printed", context.job_id)
    print("no line end", context.job_id, end="")
    context.log(f"logged {context.job_id}")
    logging.getLogger("clean").info("told %s", context.job_id)
    return {"pid": os.getpid(), "served": len(_served)}


@job("other__c", runs_per_process=3)
async def other(_context: JobContext) -> dict[str, int]:
    return {"pid": os.getpid(), "served": len(_served)}


def _native_thread() -> None:
    libc = ctypes.CDLL(None)
    thread = ctypes.c_ulong()
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    libc.pthread_create(ctypes.byref(thread), None, pause, None)


def _clone() -> None:
    """A child that tells nobody of its end."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(56, 0, 0, 0, 0, 0) == 0:  # clone, as fork without SIGCHLD (x86-64)
        os.execv("/bin/sleep", ["sleep", "600"])


@job("starts_later__c", runs_per_process=1000)
def starts_later(context: JobContext) -> dict[str, int]:
    def start(*_: object) -> None:
        context.log("of the first run")
        context.progress(1, 2)
        os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ)

    signal.signal(signal.SIGUSR1, start)
    return {"pid": os.getpid()}


@job("closes_output__c", runs_per_process=1000)
def closes_output(_context: JobContext) -> dict[str, int]:
    found = os.fstat(1)
    for number in range(256):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), found):
                os.close(number)
    return {"pid": os.getpid()}


def _zombie() -> None:
    found = os.posix_spawn("/bin/true", ["true"], os.environ)
    os.waitid(os.P_PID, found, os.WEXITED | os.WNOWAIT)


_LEAVES: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "daemon thread": lambda: threading.Thread(target=time.sleep, args=(600,), daemon=True).start(),
    "native thread": _native_thread,
    "child": lambda: subprocess.Popen(["sleep", "600"]),
    "zombie": _zombie,
    "orphan": lambda: os.system("sleep 600 &"),
    "clone": _clone,
    "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 600),
    "daemon": lambda: os.system("setsid sh -c 'sleep 600 &' &"),
}


@job("leaves__c", runs_per_process=1000)
def leaves(context: JobContext) -> dict[str, int]:
    _LEAVES[context.parameters["what"]]()
    return {"pid": os.getpid()}


@job("waits_again__c", runs_per_process=1000)
def waits_again(context: JobContext) -> dict[str, int]:
    context.log(f"pid {os.getpid()}")
    if context.parameters.get("raises"):
        raise ValueError("broken")
    if context.parameters.get("waits"):
        context.log("entered")
        try:
            time.sleep(600)
        finally:
            context.log("cleaned up")
    if context.parameters.get("heeds"):
        context.log("entered")
        context.cancelled.wait()
    return {"pid": os.getpid()}
