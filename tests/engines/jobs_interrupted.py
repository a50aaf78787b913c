"""Jobs that a stop may miss, hit twice, or hit where it should not: each waits in its own way, and
cleans up to the line "cleaned up".
"""

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from multiprocessing import shared_memory
from types import FrameType

from engines.jobs_ordinary import cleaned_up
from rescind import JobContext, job


class Finalised:
    """Waits where exceptions are ignored."""

    def __init__(self, context: JobContext) -> None:
        self._context = context

    def __del__(self) -> None:
        self._context.log("entered")
        time.sleep(600)


@job("finalises__c")
def finalises(context: JobContext) -> None:
    try:
        found = Finalised(context)
        del found
        time.sleep(600)
    finally:
        context.log("cleaned up")


@job("uninterrupted__c")
def uninterrupted(context: JobContext) -> None:
    with cleaned_up(context):
        with context.uninterrupted():
            with context.uninterrupted():
                time.sleep(context.parameters["delay"])
            time.sleep(0.1)
            context.log("block done")
        context.log("not reached")


@job("hook_waits__c", interrupt_seconds=0.3)
def hook_waits(context: JobContext) -> None:
    with cleaned_up(context):
        time.sleep(600)


@hook_waits.on_cancel
def wait_in_hook(context: JobContext) -> None:
    context.log("hook")
    time.sleep(2)
    context.log("hook ends")


@job("fails_and_cleans_up__c")
def fails_and_cleans_up(context: JobContext) -> None:
    """It fails just when it is told to stop, and its clean-up takes a while."""
    context.log("entered")
    try:
        while context.stop_reason is None:
            time.sleep(0.01)
        raise ValueError("broken")
    finally:
        time.sleep(1)
        context.progress(1, 2)
        context.log("cleaned up")


@job("waits_in_except__c")
def waits_in_except(context: JobContext) -> None:
    try:
        int("broken")
    except ValueError:
        with cleaned_up(context):
            time.sleep(600)


@job("gathers_threads__c")
def gathers_threads(context: JobContext) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(context.sleep, 600)
        context.log("entered")
        try:
            future.result()
        finally:
            time.sleep(3)
            context.log("cleaned up")


@job("returns_unaware__c")
def returns_unaware(context: JobContext) -> str:
    context.log("entered")
    time.sleep(context.parameters["delay"])
    return "done"


@job("cleanup_fails__c")
def cleanup_fails(context: JobContext) -> None:
    context.log("entered")
    try:
        time.sleep(600)
    finally:
        raise ValueError("the clean-up is broken")


@job("loops_over_programs__c")
def loops_over_programs(context: JobContext) -> None:
    with cleaned_up(context):
        for number in range(1000):
            subprocess.run(["sleep", "600"], check=False)
            context.log(f"program {number} ended")


@job("shares_memory__c")
def shares_memory(context: JobContext) -> None:
    """Killed, it leaves its shared memory to the resource tracker."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    memory = shared_memory.SharedMemory(create=True, size=1024)
    context.log(memory.name)
    context.log("entered")
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(600)


@job("threads_are_told__c")
def threads_are_told(context: JobContext) -> None:
    """In helper threads every checkpoint raises every time; ``log`` never does."""
    told: list[str] = []

    def ask(how: str) -> None:
        calls: dict[str, Callable[[], None]] = {
            "progress": lambda: context.progress(1, 2),
            "check": context.check_cancelled,
            "sleep": lambda: context.sleep(0),
        }
        for _ in range(3):
            try:
                calls[how]()
            except BaseException:  # noqa: BLE001 - that is the test
                told.append(how)
            context.log("from a thread")

    with cleaned_up(context):
        while context.stop_reason is None:
            time.sleep(0.01)
        threads = [
            threading.Thread(target=ask, args=(how,)) for how in ("progress", "check", "sleep")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        context.log(" ".join(sorted(told)))
        time.sleep(600)


@job("forks_and_is_told__c")
def forks_and_is_told(context: JobContext) -> None:
    with cleaned_up(context):
        pid = os.fork()
        if pid == 0:
            time.sleep(0.5)
            os._exit(0)
        try:
            os.waitpid(pid, 0)
            time.sleep(600)
        finally:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


# Ways to wait for a program


def _by_pipes() -> None:
    subprocess.run(["sleep", "600"], capture_output=True, check=False)


def _by_timeout() -> None:
    subprocess.run(["sleep", "600"], capture_output=True, timeout=500, check=False)


def _by_input() -> None:
    subprocess.run(["sleep", "600"], input="x", stdout=subprocess.PIPE, text=True, check=False)


def _by_check_output() -> None:
    subprocess.check_output(["sleep", "600"], timeout=500)


def _by_check() -> None:
    subprocess.run(["sleep", "600"], check=True)


def _by_with() -> None:
    with subprocess.Popen(["sleep", "600"]):
        pass


def _by_lines() -> None:
    with subprocess.Popen(["sh", "-c", "echo up; exec sleep 600"], stdout=subprocess.PIPE) as found:
        for _ in found.stdout or ():
            pass


def _by_system() -> None:
    os.system("sleep 600")


def _by_popen() -> None:
    os.popen("sleep 600").read()


def _by_spawn() -> None:
    os.waitpid(os.posix_spawnp("sleep", ["sleep", "600"], os.environ), 0)


def _by_future() -> None:
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.submit(subprocess.run, ["sleep", "600"], check=False).result()


def _by_poll() -> None:
    found = subprocess.Popen(["sleep", "600"])
    while found.poll() is None:
        time.sleep(0.05)


def _by_short_waits() -> None:
    found = subprocess.Popen(["sleep", "600"])
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            found.wait(timeout=0.05)
            return


def _by_caught_error() -> None:
    try:
        subprocess.run(["sleep", "600"], check=True)
    except subprocess.CalledProcessError:
        time.sleep(0.01)


@job("waits_for_program__c")
def waits_for_program(context: JobContext) -> None:
    with cleaned_up(context, seconds=0.5):
        globals()[f"_by_{context.parameters['how']}"]()


# Loops of one's own


@job("runs_a_loop__c")
def runs_a_loop(context: JobContext) -> None:
    async def busy() -> None:
        while True:
            time.sleep(0.2)  # noqa: ASYNC251 - that is the test
            await asyncio.sleep(0)

    def callback() -> None:
        time.sleep(0.05)
        asyncio.get_running_loop().call_soon(callback)

    async def main() -> None:
        how = context.parameters["how"]
        context.log("entered")
        if how == "task":
            task = asyncio.create_task(busy())
            await asyncio.sleep(600)
            task.cancel()
        elif how == "callback":
            callback()
            await asyncio.sleep(600)
        elif how == "gather":
            await asyncio.gather(busy(), busy(), return_exceptions=True)
        elif how == "blocked":
            time.sleep(600)  # noqa: ASYNC251 - that is the test
        else:
            await asyncio.sleep(600)

    try:
        asyncio.run(main())
    finally:
        time.sleep(0.3)
        context.log("cleaned up")


@job("beside_is_uninterrupted__c")
async def beside_is_uninterrupted(context: JobContext) -> None:
    async def beside() -> None:
        with context.uninterrupted():
            context.log("entered")
            time.sleep(1)  # noqa: ASYNC251 - that is the test

    async def logs() -> None:
        context.log("entered")
        end = time.monotonic() + 1
        while time.monotonic() < end:
            context.log("busy")

    task = asyncio.create_task(logs() if context.parameters.get("logs") else beside())
    try:
        await asyncio.sleep(600)
    finally:
        context.log("cleaned up")
        task.cancel()


# What raises or swallows by itself


@job("alarms__c")
def alarms(context: JobContext) -> None:
    raised = 0

    def handle(_: int, frame: FrameType | None) -> None:
        nonlocal raised
        if frame is not None and "/rescind/" in frame.f_code.co_filename:
            raised += 1
            raise TimeoutError  # where context.log is at work

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    while raised < 100:
        with contextlib.suppress(TimeoutError):
            context.log(".")
    signal.setitimer(signal.ITIMER_REAL, 0)
    with cleaned_up(context):
        time.sleep(600)


@job("finalises_and_waits_in_except__c")
def finalises_and_waits_in_except(context: JobContext) -> None:
    class Slow:
        def __del__(self) -> None:
            context.log("entered")
            end = time.monotonic() + 1
            while time.monotonic() < end:
                time.sleep(0.01)

    found = Slow()
    del found
    try:
        int("broken")
    except ValueError:
        with cleaned_up(context):
            time.sleep(600)


@job("floods_by_print__c")
def floods_by_print(context: JobContext) -> None:
    try:
        context.log("entered")
        while True:
            print("x" * 15_000)  # noqa: T201 - that is the test
    finally:
        print("cleaned up")  # noqa: T201 - that is the test
