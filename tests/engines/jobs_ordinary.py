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
from collections.abc import Iterator
from pathlib import Path

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


def work_a_little(number: int) -> int:
    time.sleep(0.05)
    return number


@job("pools_by__c")
def pools_by(context: JobContext) -> None:
    pool = multiprocessing.get_context(context.parameters["how"]).Pool(2)
    pool.apply(len, ("abc",))
    try:
        context.log("entered")
        while True:
            pool.map(work_a_little, range(8))
    finally:
        context.log("cleaning up")
        pool.close()
        pool.join()
        context.log("cleaned up")


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
