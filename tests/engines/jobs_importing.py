"""A module that leaves what ``LEAVES`` says when it is imported."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from rescind import JobContext, job

_LEAVES = os.environ.get("LEAVES", "").split()

if "thread" in _LEAVES:
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
if "joined" in _LEAVES:
    gate = threading.Barrier(64)
    joined = [threading.Thread(target=gate.wait) for _ in range(64)]
    for one in joined:
        one.start()
    for one in joined:
        one.join()
if "process" in _LEAVES:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
if "descriptor" in _LEAVES:
    shared = Path(__file__).open("rb")  # noqa: SIM115 - that is the test
if "sigchld" in _LEAVES:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if "handler" in _LEAVES:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
if "output" in _LEAVES:
    print("printed at import", end="")  # noqa: T201 - that is the test
if "error" in _LEAVES:
    raise RuntimeError("broken at import")
if "copy" in _LEAVES:
    os.fork()  # and the copy goes on as if it were the one
if "slow" in _LEAVES:
    time.sleep(0.5)


@job("imported__c")
def imported(context: JobContext) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "threads": threading.active_count(),
        "sigchld": signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN,
        "usr1": signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN,
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    }


@job("exits_with__c")
def exits_with(context: JobContext) -> None:
    os._exit(context.parameters["status"])
