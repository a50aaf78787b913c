"""Jobs of every kind, good and bad, for the engine tests."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rescind import JobCancelled, JobContext, job

WRITER = """
import signal, sys, time
for name in sys.argv[2:]:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
while True:
    with open(sys.argv[1], "a") as file:
        file.write("x")
    time.sleep(0.05)
"""


def say_entered(context: JobContext) -> None:
    """Log without a checkpoint: a stop that comes at once must find the job where it waits."""
    context._on_log("entered")


@job("echo__c")
def echo(context: JobContext) -> dict[str, Any]:
    return {
        "job_id": context.job_id,
        "attempt": context.attempt,
        "parameters": dict(context.parameters),
        "pid": os.getpid(),
    }


@job("echo_async__c")
async def echo_async(context: JobContext) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"parameters": dict(context.parameters)}


@job("raise__c")
def raises(context: JobContext) -> None:
    def inner() -> None:
        raise ValueError("broken \u00e9")

    inner()


@job("raise_async__c")
async def raises_async(context: JobContext) -> None:
    raise ValueError("broken")


@job("exit__c")
def exits(context: JobContext) -> None:
    sys.exit(3)


@job("cancels_unasked__c")
def cancels_unasked(context: JobContext) -> None:
    raise JobCancelled


@job("returns__c")
def returns(context: JobContext) -> Any:
    kinds: dict[str, Any] = {"object": object(), "large": "x" * 70_000, "list": [1, None, "a"]}
    kinds |= {"nan": [{"a": [1, float("nan")]}], "infinity": float("-inf")}
    kinds["deep"] = []
    for _ in range(60):
        kinds["deep"] = [kinds["deep"]]
    return kinds[context.parameters["kind"]]


@job("says__c")
def says(context: JobContext) -> None:
    context.log("first\nsecond")
    context.progress(1, 3)
    context.progress(2, 3)
    context.log(7)


@job("says_the_unsayable__c")
def says_the_unsayable(context: JobContext) -> None:
    context.log("nul \0 and surrogate \ud800" + "\x01" * 200_000)
    for done in (-1, 2**53, "many", 1.5, True):
        try:
            context.progress(done, 9)  # type: ignore[arg-type]  # on purpose
        except ValueError as error:
            context.log(error)
    context.log("\0" * 200_000)
    raise RuntimeError("nul \0 and surrogate \ud800" + "\0" * 100_000)


@job("prints__c")
def prints(context: JobContext) -> None:
    print("printed \u00e9")  # noqa: T201 - that is the test
    sys.stdout.flush()
    os.write(2, b"bytes \xff\n")
    os.write(1, b"y" * 40_000 + b"\n")
    print("no line end", end="")  # noqa: T201 - that is the test


@job("reports_often__c")
def reports_often(context: JobContext) -> None:
    for done in range(1000):
        context.progress(done, 1000)
        time.sleep(0.001)


@job("waits__c")
def waits(context: JobContext) -> None:
    say_entered(context)
    context.sleep(60)


@job("waits_async__c")
async def waits_async(context: JobContext) -> None:
    say_entered(context)
    try:
        await asyncio.sleep(60)
    finally:
        context.log("cleaned up")


@job("cleans_up__c")
def cleans_up(context: JobContext) -> None:
    say_entered(context)
    try:
        context.sleep(60)
    finally:
        context.log(f"cleaning up after {context.stop_reason}")
        context.progress(9, 9)


@job("raises_when_asked__c")
def raises_when_asked(context: JobContext) -> None:
    say_entered(context)
    try:
        context.sleep(60)
    finally:
        raise ValueError("the clean-up is broken")


@job("returns_when_asked__c")
def returns_when_asked(context: JobContext) -> str:
    say_entered(context)
    context.cancelled.wait(60)
    return "finished all the same"


@job("returns_unaware__c")
def returns_unaware(context: JobContext) -> str:
    say_entered(context)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        time.sleep(0.05)
    return "finished without knowing"


@job("hooked__c")
def hooked(context: JobContext) -> None:
    say_entered(context)
    _unblocked.wait(60)
    context.check_cancelled()


_unblocked = threading.Event()


@hooked.on_cancel
def unblock(context: JobContext) -> None:
    with contextlib.suppress(JobCancelled):
        context.log("hook")
    _unblocked.set()


@job("hook_fails__c")
def hook_fails(context: JobContext) -> None:
    say_entered(context)
    context.sleep(60)


@hook_fails.on_cancel
async def failing_hook(context: JobContext) -> None:
    raise RuntimeError("the hook is broken")


@job("environment__c")
def environment(context: JobContext) -> dict[str, Any]:
    return {
        "rescind": [name for name in os.environ if name.startswith("RESCIND_")],
        "cwd_on_path": str(Path.cwd()) in sys.path,
        "stdin": sys.stdin.read(),
    }


# What only an engine that can force copes with.


@job("busy__c")
def busy(context: JobContext) -> None:
    say_entered(context)
    while True:
        pass


@job("swallows__c")
def swallows(context: JobContext) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say_entered(context)
    while True:
        with contextlib.suppress(BaseException):
            context.sleep(60)


@job("sleeps_in_c__c")
def sleeps_in_c(context: JobContext) -> None:
    say_entered(context)
    ctypes.PyDLL(None).sleep(1000)  # holds the interpreter lock


@job("exits_hard__c")
def exits_hard(context: JobContext) -> None:
    os._exit(5)


@job("waits_with_pid__c")
def waits_with_pid(context: JobContext) -> None:
    context._on_log(str(os.getpid()))
    say_entered(context)
    while True:
        time.sleep(60)


@job("waits_when_told__c")
def waits_when_told(context: JobContext) -> None:
    """Hear that it is to stop, and go on."""
    context._on_log(str(os.getpid()))
    say_entered(context)
    context.cancelled.wait()
    context._on_log("told")
    while True:
        time.sleep(60)


@job("daemonizes__c")
def daemonizes(context: JobContext) -> None:
    """Leave a writer behind that has double-forked and left the session; maybe wait, too."""
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            arguments = [context.parameters["file"], *context.parameters.get("ignore", ())]
            os.execv(sys.executable, [sys.executable, "-c", WRITER, *arguments])
        os._exit(0)
    os.waitpid(middle, 0)
    file = Path(context.parameters["file"])
    while not file.exists() or file.stat().st_size < 3:
        time.sleep(0.01)
    say_entered(context)
    if context.parameters.get("wait", True):
        context.sleep(60)


@job("many_children__c")
def many_children(context: JobContext) -> None:
    """A tree, some of it stopped, some of it still forking."""
    forker = (
        "import os, time\n"
        "for _ in range(150):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(1000)\n"
        "    time.sleep(0.005)\n"
        "time.sleep(1000)\n"
    )
    for _ in range(3):
        subprocess.Popen([sys.executable, "-c", forker])
    stopped = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    stopped.send_signal(signal.SIGSTOP)
    say_entered(context)
    context.sleep(60)


@job("leaves__c")
def leaves(context: JobContext) -> int:
    """Leave this process not as it was."""
    what: str = context.parameters["what"]
    match what:
        case "thread":
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        case "directory":
            os.chdir("/")
        case "umask":
            os.umask(0o077 if os.umask(0) != 0o077 else 0o022)
        case "handler":
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        case _:
            pass
    return os.getpid()


@job("closes_files__c")
def closes_files(context: JobContext) -> None:
    os.closerange(0, 256)


@job("writes_rubbish__c")
def writes_rubbish(context: JobContext) -> None:
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(number, b"\xff" * 64)
    context.sleep(60)


@job("floods__c")
def floods(context: JobContext) -> None:
    say_entered(context)
    line = b"z" * 1000 + b"\n"
    while True:
        os.write(1, line)


@job("reports_without_end__c")
def reports_without_end(context: JobContext) -> None:
    """Seven forked copies report all the time, as fast as they can."""
    say_entered(context)
    for _ in range(7):
        if os.fork() == 0:
            while True:
                context._on_progress(1, 2)
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(60)


@job("shows_signals__c")
def shows_signals(context: JobContext) -> str:
    return json.dumps(
        [signal.getsignal(number) is signal.SIG_DFL for number in (signal.SIGTERM, signal.SIGHUP)]
    )
