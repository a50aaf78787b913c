"""Jobs for the tests of a whole service."""

import collections
import contextlib
import itertools
import os
import signal
import time
from pathlib import Path

from engines.jobs_for_tests import daemonizes
from rescind import JobContext, job


@job("write_from_afar__c", grace_seconds=1)
def write_from_afar(context: JobContext) -> None:
    """Twenty times a second, a grandchild writes that double-forked and left the session."""
    daemonizes(context)


@job("times_out__c", timeout_minutes=0.3 / 60, grace_seconds=0.2)
def times_out(context: JobContext) -> None:
    context.sleep(60)


@job("falls_silent__c", inactivity_minutes=0.5 / 60, grace_seconds=0.2)
def falls_silent(context: JobContext) -> None:
    for _ in range(5):
        context.log("alive")
        context.sleep(0.2)
    context.sleep(60)


@job("fails_twice__c", attempts_max=3, retry_seconds=0.1)
def fails_twice(context: JobContext) -> int:
    context.log(f"attempt {context.attempt}")
    if context.attempt < 3:
        raise RuntimeError(f"failure {context.attempt}")
    return context.attempt


@job("ledger__c", grace_seconds=0.5)
def ledger(context: JobContext) -> None:
    """Write down that it was entered, then wait."""
    note(context)
    context.sleep(float(context.parameters.get("seconds", 600)))


@job("idempotent_ledger__c", idempotent=True, grace_seconds=0.5)
def idempotent_ledger(context: JobContext) -> None:
    note(context)
    context.sleep(float(context.parameters.get("seconds", 600)))


@job("holds_on__c", grace_seconds=0.3)
def holds_on(context: JobContext) -> None:
    """Ignore all but SIGKILL."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(context)
    while True:
        time.sleep(60)


def note(context: JobContext) -> None:
    with Path(context.parameters["ledger"]).open("a") as file:
        file.write(f"{context.job_id} {context.attempt} {os.getpid()}\n")
    context.log("entered")


@job("storm__c", grace_seconds=0.3)
def storm(context: JobContext) -> None:
    """Behave as told, and write down every entry, and whether an earlier run still lives."""
    weather(context)


@job("stops_itself__c", grace_seconds=60, interrupt_seconds=0.15)
def stops_itself(context: JobContext) -> None:
    weather(context)


@job("is_terminated__c", grace_seconds=0.3, terminate_seconds=60)
def is_terminated(context: JobContext) -> None:
    weather(context)


@job("slow_to_die__c", idempotent=True, grace_seconds=0.1, terminate_seconds=12)
def slow_to_die(context: JobContext) -> None:
    """Ignore all but SIGKILL, which comes late; say that it has heard of a stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(context)
    told = False
    while True:
        with contextlib.suppress(BaseException):
            context.cancelled.wait()
            if not told:
                context.log("told")
                told = True
            time.sleep(60)


@job("idempotent_storm__c", idempotent=True, grace_seconds=0.3)
def idempotent_storm(context: JobContext) -> None:
    weather(context)


def weather(context: JobContext) -> None:
    ledger = Path(context.parameters["ledger"])
    with ledger.open("ab", buffering=0) as file:
        file.write(f"{context.job_id} {context.attempt} {identity(os.getpid())} run\n".encode())
        for line in ledger.read_text().splitlines():
            job_id, attempt, process, _ = line.split()
            earlier = int(job_id) == context.job_id and int(attempt) < context.attempt
            if earlier and process == identity(int(process.partition(".")[0])):
                file.write(f"{job_id} {context.attempt} {process} OVERLAP\n".encode())
    how, seconds = context.parameters["how"], context.parameters.get("seconds", 2)
    if how == "holds":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
    if how == "reports":
        report_from_copies(context, ledger, seconds)
    if how == "quick":
        return
    if how == "native":
        collections.deque(itertools.repeat(None), maxlen=0)  # holds the interpreter
    if how == "sleeps":
        context.sleep(seconds)
        return
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)


def identity(pid: int) -> str:
    """A living process, told from another that gets its pid later."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return "gone"
    return "gone" if fields[0] in "ZX" else f"{pid}.{fields[19]}"


def report_from_copies(context: JobContext, ledger: Path, seconds: float) -> None:
    """Seven forked copies report, as fast as they can."""
    end = time.monotonic() + seconds
    for _ in range(7):
        if os.fork() == 0:
            with ledger.open("ab", buffering=0) as file:
                name = identity(os.getpid())
                file.write(f"{context.job_id} {context.attempt} {name} copy\n".encode())
            while time.monotonic() < end:
                context._on_progress(1, 2)
            os._exit(0)


@job("environments__c")
def environments(context: JobContext) -> dict[str, str]:
    """What the environments of this process and of all above it say, up to the service's."""
    found = {}
    pid = os.getpid()
    while True:
        found[str(pid)] = Path(f"/proc/{pid}/environ").read_bytes().decode()
        if pid == context.parameters["service"]:
            return found
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
