"""Jobs that write on every channel there is."""

import contextlib
import ctypes
import fcntl
import io
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from rescind import JobContext, job

_logger = logging.getLogger("shop.orders")


@job("all_channels__c")
def all_channels(context: JobContext) -> None:
    """Line after line on another channel, each numbered."""
    c = ctypes.CDLL(None)
    for number in range(context.parameters.get("rounds", 1)):
        first = number * 10
        print(f"{first} print")
        os.write(1, f"{first + 1} one\n".encode())
        context.log(f"{first + 2} log")
        os.write(2, f"{first + 3} two\n".encode())
        _logger.info("%d logging", first + 4)
        sys.stderr.write(f"{first + 5} stderr\n")
        subprocess.run(["echo", f"{first + 6} program"], check=True)
        c.printf(b"%d printf\n", first + 7)
        if os.fork() == 0:
            print(f"{first + 8} copy")
            os._exit(0)
        os.wait()
        sys.stdout.buffer.write(f"{first + 9} buffer\n".encode())


@job("logs_by_logging__c")
def logs_by_logging(context: JobContext) -> None:
    _logger.debug("too fine")
    _logger.info("an order")
    _logger.warning("a warning")
    try:
        int("broken")
    except ValueError:
        logging.getLogger().exception("it failed")
    logging.basicConfig(level=logging.DEBUG)  # does nothing: there is a handler
    _logger.info("another order")


class _Printing(logging.Handler):
    """As Rich's and Loguru's do, it prints and has no stream."""

    def emit(self, record: logging.LogRecord) -> None:
        print("ROOT", record.getMessage())


@job("logs_by_handlers_of_its_own__c")
def logs_by_handlers_of_its_own(context: JobContext) -> None:
    own = logging.getLogger("app.own")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("OWN %(message)s"))
    own.addHandler(handler)
    own.info("hello")
    own.removeHandler(handler)
    printing = _Printing()
    logging.getLogger().addHandler(printing)
    own.info("root prints")
    logging.getLogger().removeHandler(printing)
    quiet = logging.getLogger("quiet")
    quiet.addHandler(logging.FileHandler("/dev/null"))
    quiet.info("to a file, too")


@job("replaces_streams__c")
def replaces_streams(context: JobContext) -> None:
    how = context.parameters["how"]
    if how == "reconfigure":
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # it is one
    elif how == "detach":
        sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="utf-8")  # type: ignore[union-attr]  # it is one
    else:
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", line_buffering=True)
    print("gr\u00fc\u00dfe")
    print("and more", flush=True)
    assert sys.__stdout__ is not None
    assert how == "detach" or (sys.__stdout__.name, sys.__stdout__.mode) == ("<stdout>", "w")


@job("ends_a_programs_line__c")
def ends_a_programs_line(context: JobContext) -> None:
    subprocess.run(["printf", "Compiling... "], check=True)
    print("done")
    print("second")
    subprocess.run(["echo", "third"], check=True)
    subprocess.run(["printf", "Linking..."], check=True)
    context.log("a log line")
    print("fourth")


@job("threads_print__c")
def threads_print(context: JobContext) -> None:
    """Threads, and forked copies, print lines of several pieces at once."""

    def chatter(name: str) -> None:
        for number in range(300):
            print(name, number, name * 50, sep=" ", end=" end\n")

    def all_threads(prefix: str) -> None:
        threads = [
            threading.Thread(target=chatter, args=(f"{prefix}{thread}",)) for thread in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    pid = os.fork()
    all_threads("c" if pid == 0 else "r")
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@job("prints_and_dies__c")
def prints_and_dies(context: JobContext) -> None:
    print("a whole line")
    context.log("a log line")
    ctypes.CDLL(None).printf(b"of C\n")
    print("begun", end="")
    if context.parameters["how"] == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


@job("prints_and_waits__c")
def prints_and_waits(context: JobContext) -> None:
    print("a whole line")
    context.sleep(60)


@job("begins_lines__c")
def begins_lines(context: JobContext) -> None:
    """Dots, and no line feed."""
    end = time.monotonic() + context.parameters["duration"]
    while time.monotonic() < end:
        print(".", end="")
        time.sleep(0.05)


@job("goes_on__c")
def goes_on(context: JobContext) -> None:
    """What a program prints goes on where the function has begun."""
    print("The answer is ", end="")
    subprocess.run(["echo", "42"], check=True)
    print("begun by one call, ", end="")
    context.log("a line between")
    print("ended by another")


@job("cuts_nothing__c")
def cuts_nothing(context: JobContext) -> None:
    context.log("\u20ac" * 20_000)
    print("x" + "\U0001f600" * 20_000)
    os.write(1, ("xx" + "\u00e9" * 40_000 + "\n").encode())


@job("logs_in_a_handler__c")
def logs_in_a_handler(context: JobContext) -> int:
    """A signal's handler logs, prints and reports while its thread does the same."""
    calls = 0

    def handle(*_: object) -> None:
        nonlocal calls
        calls += 1
        context.log("handled")
        print("handled", calls)
        _logger.info("handled")
        with contextlib.suppress(BaseException):
            context.progress(calls, calls)
        ring()  # only now: handlers within handlers would go deeper and deeper

    def ring() -> None:
        if time.monotonic() < end:
            signal.setitimer(signal.ITIMER_REAL, 0.001)

    signal.signal(signal.SIGALRM, handle)
    end = time.monotonic() + 1.5
    ring()
    while time.monotonic() < end:
        context.log("y" * 9_000)
        print("printed", "in", "pieces")
        _logger.info("logged")
        context.progress(1, 2)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return calls


@job("redirects__c")
def redirects(context: JobContext) -> str:
    """Standard output goes to a file for a while; nothing of ours gets into it."""
    saved = os.dup(1)
    target = os.open(context.parameters["file"], os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(target, 1)
    print("to the file")
    context.log("to the log")
    os.dup2(saved, 1)
    print("to the log again")
    with open(context.parameters["file"]) as file:  # noqa: PTH123 - as users write it
        return file.read()


@job("does_not_block__c")
def does_not_block(context: JobContext) -> None:
    """A program may make the shared pipe one that does not wait."""
    flags = fcntl.fcntl(1, fcntl.F_GETFL)
    fcntl.fcntl(1, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for number in range(3_000):
        print(number, "x" * 90)
        context.log(f"{number} " + "y" * 90)


@job("floods_by__c")
def floods_by(context: JobContext) -> None:
    how = context.parameters["how"]
    context.log("entered")
    if how == "yes":
        subprocess.run(["yes"], check=False)
    line = b"z" * 1000 + b"\n"
    while True:
        if how == "print":
            print("flood")
        elif how == "log":
            context.log("flood")
        else:
            os.write(1, line)


@job("writes_much__c")
def writes_much(context: JobContext) -> None:
    for number in range(context.parameters["lines"]):
        print(number, "w" * 90)


@job("writes_across_a_stop__c")
def writes_across_a_stop(context: JobContext) -> None:
    """Says when it knows of the stop, so that a reader can tell what came when."""
    print("before")
    context.log("entered")
    try:
        context.sleep(60)
    finally:
        print("printed after")
        context.log("logged after")
        print("begun after", end="")


def _of_a_pool(number: int) -> int:
    print("pool", number)
    return number


@job("pool_prints__c")
def pool_prints(context: JobContext) -> int:
    how = multiprocessing.get_context(context.parameters["how"])
    pool = how.Pool(2)
    found: int = sum(pool.map(_of_a_pool, range(20)))
    pool.close()
    pool.join()
    return found


@job("uses_streams__c")
def uses_streams(context: JobContext) -> dict[str, Any]:
    """What code asks of its streams."""
    print("flushed", flush=True)
    sys.stdout.writelines(["two\n", "lines\n"])
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is one
    try:
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]  # on purpose
    except TypeError as error:
        wrong = type(error).__name__
    return {
        "numbers": [sys.stdout.fileno(), sys.stderr.fileno()],
        "encoding": sys.stdout.encoding,
        "tty": sys.stdout.isatty(),
        "writable": sys.stdout.writable(),
        "written": sys.stdout.write("no line end"),
        "wrong": wrong,
    }
