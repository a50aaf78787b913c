"""Jobs as people write them, who do not think of a stop: each waits or works without asking, and
cleans up in ``finally``, to the line "cleaned up".
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import psycopg
import requests

from rescind import JobContext, job

LEAVES_A_WHOLE_FILE = """
import pathlib, signal, sys, time
def heed(*_):
    time.sleep(1)
    pathlib.Path(sys.argv[1]).write_text("whole")
    sys.exit()
signal.signal(signal.SIGTERM, heed)
pathlib.Path(sys.argv[1]).write_text("half")
time.sleep(600)
"""


@contextlib.contextmanager
def cleaned_up(context: JobContext, seconds: float = 0.2) -> Iterator[None]:
    """Say "entered", run the body, and clean up for ``seconds``."""
    try:
        context.log("entered")
        yield
    finally:
        context.log("cleaning up")
        time.sleep(seconds)
        context.log("cleaned up")


@job("sleeps__c")
def sleeps(context: JobContext) -> None:
    with cleaned_up(context):
        time.sleep(600)


@job("asks_by_urllib__c")
def asks_by_urllib(context: JobContext) -> None:
    with cleaned_up(context), urllib.request.urlopen(context.parameters["url"]) as answer:
        answer.read()


@job("asks_by_requests__c")
def asks_by_requests(context: JobContext) -> None:
    with cleaned_up(context), requests.Session() as session:
        session.get(context.parameters["url"], timeout=600)


@job("runs_a_program__c")
def runs_a_program(context: JobContext) -> None:
    with cleaned_up(context):
        command = [sys.executable, "-c", LEAVES_A_WHOLE_FILE, context.parameters["file"]]
        subprocess.run(command, check=context.parameters.get("check", False))


@job("runs_two_by_a_shell__c")
def runs_two_by_a_shell(context: JobContext) -> None:
    with cleaned_up(context):
        program = Path(context.parameters["file"] + ".py")
        program.write_text(LEAVES_A_WHOLE_FILE)
        one = f"{sys.executable} {program} {context.parameters['file']}"
        subprocess.run(f"{one} | {one}.2", shell=True, check=context.parameters.get("check", False))


@job("polls__c")
def polls(context: JobContext) -> None:
    context.log("entered")
    while not context.cancelled.is_set():
        time.sleep(0.01)
    time.sleep(3)
    context.log("cleaned up")


@job("awaits__c")
async def awaits(context: JobContext) -> None:
    context.log("entered")
    try:
        await asyncio.sleep(600)
    finally:
        context.log("cleaning up")
        await asyncio.sleep(0.1)
        context.progress(1, 2)
        context.log("cleaned up")


@job("awaits_a_thread__c")
async def awaits_a_thread(context: JobContext) -> None:
    try:
        await asyncio.to_thread(wait_in_thread, context)
    finally:
        context.log("cleaned up")


def wait_in_thread(context: JobContext) -> None:
    context.log("entered")
    try:
        context.sleep(600)
    finally:
        context.log("thread cleaned up")


@job("awaits_a_group__c")
async def awaits_a_group(context: JobContext) -> None:
    async def member(number: int) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            context.log(f"member {number} cleaned up")

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(member(number))
            await asyncio.sleep(0)
            context.log("entered")
    finally:
        context.log("cleaned up")


@job("blocks_its_loop__c")
async def blocks_its_loop(context: JobContext) -> None:
    context.log("entered")
    try:
        time.sleep(600)  # noqa: ASYNC251 - that is the test
    finally:
        await asyncio.sleep(0.1)
        context.log("cleaned up")


@job("side_task_blocks__c")
async def side_task_blocks(context: JobContext) -> None:
    """A callback of the loop waits, and swallows whatever is raised."""

    def block() -> None:
        context.log("entered")
        with contextlib.suppress(BaseException):
            time.sleep(600)

    try:
        asyncio.get_running_loop().call_soon(block)
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0.1)
        context.log("cleaned up")


@job("threads_report__c")
def threads_report(context: JobContext) -> None:
    barrier = threading.Barrier(5)

    def report(number: int) -> None:
        barrier.wait()
        try:
            for done in itertools.count():
                context.progress(done, done)
                time.sleep(0.01)
        finally:
            context.log(f"thread {number} cleaned up")

    with cleaned_up(context), concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(report, number) for number in range(4)]
        barrier.wait()
        for future in futures:
            future.result()


def sleep_long(_: int) -> None:
    time.sleep(600)


@job("pools_by__c")
def pools_by(context: JobContext) -> None:
    processes = multiprocessing.get_context(context.parameters["how"])
    pool = processes.Pool(2)
    pool.apply(len, ("abc",))
    try:
        context.log("entered")
        pool.map(len, range_of_sleepers(pool))
    finally:
        context.log("cleaning up")
        pool.close()
        pool.join()
        context.log("cleaned up")


def range_of_sleepers(pool: Any) -> list[str]:
    time.sleep(600)
    return []


@job("holds_the_interpreter__c")
def holds_the_interpreter(context: JobContext) -> None:
    with cleaned_up(context):
        collections.deque(itertools.repeat(None), maxlen=0)


@job("catches_everything__c")
def catches_everything(context: JobContext) -> None:
    with cleaned_up(context):
        try:
            time.sleep(600)
        except BaseException as error:
            context.log(f"caught {type(error).__name__}")
            raise


@job("handles_signals__c")
def handles_signals(context: JobContext) -> None:
    def handle(number: int, _frame: object) -> None:
        context.log(f"signal {number}")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    with cleaned_up(context):
        time.sleep(600)


@job("needs_time_for_sigterm__c")
def needs_time_for_sigterm(context: JobContext) -> None:
    def handle(*_: object) -> None:
        time.sleep(1)
        context.log("cleaned up")
        os._exit(0)

    signal.signal(signal.SIGTERM, handle)
    context.log("entered")
    time.sleep(600)


@job("computes__c")
def computes(context: JobContext) -> None:
    with cleaned_up(context):
        values = np.random.default_rng(7).random((50, 50))
        while True:
            values = values @ values
            values /= values.sum()


@job("queries__c")
def queries(context: JobContext) -> None:
    """A database query, which the hook cancels and logs that."""
    with cleaned_up(context), psycopg.connect(context.parameters["url"]) as connection:
        _connections.append(connection)
        try:
            connection.execute("SELECT pg_sleep(600)")
        finally:
            _query_ended.set()


_connections: list[psycopg.Connection] = []
_query_ended = threading.Event()


@queries.on_cancel
def cancel_query(context: JobContext) -> None:
    context.log("cancelling the query")
    while not _query_ended.wait(0.05):  # it may not have begun yet
        for connection in _connections:
            connection.cancel()
    context.log("cancelled the query")


# Where an exception must not go, or goes astray


class Finalised:
    """Waits where exceptions are ignored."""

    def __init__(self, context: JobContext) -> None:
        self._context = context

    def __del__(self) -> None:
        self._context.log("entered")
        time.sleep(600)


@job("finalises__c")
def finalises(context: JobContext) -> None:
    with contextlib.suppress(RuntimeError), cleaned_up_quietly(context):
        found = Finalised(context)
        del found
        time.sleep(600)


@contextlib.contextmanager
def cleaned_up_quietly(context: JobContext) -> Iterator[None]:
    try:
        yield
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
    from multiprocessing import shared_memory  # noqa: PLC0415 - starts the tracker

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
        os.waitpid(pid, 0)
        time.sleep(600)


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
