"""Demo jobs: what ``make up`` serves."""

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

from rescind import JobContext, job


def _number(context: JobContext, name: str, default: float) -> float:
    value: Any = context.parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"The parameter {name} must be a number of at least 0, not {value!r}")
    return float(value)


@job("demo_sleep__c", title="Sleep")
def sleep(context: JobContext) -> dict[str, float]:
    """Sleep for ``seconds`` (10), and stop at once when asked."""
    seconds = _number(context, "seconds", 10)
    context.log(f"Sleeping for {seconds:g} seconds")
    context.sleep(seconds)
    return {"slept_seconds": seconds}


@job("demo_count__c", title="Count")
def count(context: JobContext) -> dict[str, int]:
    """Count ``items`` (10), each in ``seconds_per_item`` (1), with progress."""
    items = int(_number(context, "items", 10))
    for done in range(items):
        context.progress(done, items)
        context.sleep(_number(context, "seconds_per_item", 1))
        context.log(f"Counted {done + 1} of {items}")
    context.progress(items, items)
    return {"items": items}


@job("demo_fail__c", title="Fail")
def fail(context: JobContext) -> None:
    """Raise an error."""
    context.log("About to fail")
    raise RuntimeError("This job fails on purpose")


@job("demo_stubborn__c", title="Stubborn", grace_seconds=1)
def stubborn(context: JobContext) -> None:
    """Ignore every polite request to stop, with children that do the same."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1e6)"
    subprocess.Popen([sys.executable, "-c", ignore])  # noqa: S603 - our own code
    _double_fork(ignore)
    context.log("I will not stop")
    while True:
        with contextlib.suppress(BaseException):
            signal.pause()


@job("vapil_test_job__c")
def vapil_test_job(context: JobContext) -> None:
    """Run for five seconds: the job that Veeva's own client tests expect to find."""
    context.sleep(5)


def _double_fork(code: str) -> None:
    """Start a grandchild that has left the process group and the session."""
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", code])  # noqa: S606 - our own code
        os._exit(0)
    os.waitpid(middle, 0)
