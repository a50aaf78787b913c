"""Jobs that leave something behind, and jobs that look for it."""

import asyncio
import atexit
import concurrent.futures
import ctypes
import fcntl
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rescind import JobContext, job

DRAWN = random.Random(7)  # what a module draws by itself is its own
_loop = asyncio.new_event_loop()


def state() -> dict[str, Any]:
    """What a run finds when it begins, and must find whatever another has done."""
    umask = os.umask(0o022)
    os.umask(umask)
    try:
        os.waitpid(-1, os.WNOHANG)
        children = "some"
    except ChildProcessError:
        children = "none"
    return {
        "alarm": signal.setitimer(signal.ITIMER_REAL, 0)[0],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "children": children,
        "directory": str(Path.cwd()),
        "handler": signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
        "limit": resource.getrlimit(resource.RLIMIT_NOFILE),
        "nice": os.nice(0),
        "secret": os.environ.get("SECRET"),
        "threads": threading.active_count(),
        "umask": umask,
        "user": os.geteuid(),
        "zone": time.tzname,
        "outputs": (sys.stdout.closed, sys.stderr.closed),
    }


@job("looks__c")
def looks(context: JobContext) -> dict[str, Any]:
    return state()


@job("leaves_all__c")
def leaves_all(context: JobContext) -> None:
    """Everything that a run can leave behind at once."""
    os.environ["SECRET"] = "of another"
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    os.chdir("/")
    os.umask(0o077)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if os.fork() == 0:
        os._exit(0)  # and nobody reaps it
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    if os.geteuid() == 0:
        os.seteuid(65534)
    sys.stdout.close()


@job("holds__c")
def holds(context: JobContext) -> int:
    """Take a lock and a port, and let go of neither."""
    global _held  # noqa: PLW0603 - that is the test
    file = Path(context.parameters["file"]).open("w")  # noqa: SIM115 - that is the test
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    listener = socket.create_server(("127.0.0.1", context.parameters.get("port", 0)))
    _held = (file, listener)
    return int(listener.getsockname()[1])


_held: Any = None


def append(file: str, text: str) -> None:
    with Path(file).open("a") as output:
        output.write(text)


@job("loops_on__c")
def loops_on(context: JobContext) -> None:
    """A thread of the module's event loop writes on, whatever becomes of the run."""
    threading.Thread(target=_loop.run_forever, daemon=True).start()

    async def write() -> None:
        while True:
            append(context.parameters["file"], "x")
            context._on_log("from the loop")
            await asyncio.sleep(0.01)

    asyncio.run_coroutine_threadsafe(write(), _loop)
    context._on_log("entered")
    context.sleep(60)


@job("draws__c")
def draws(context: JobContext) -> float:
    return random.random()


@job("prints_in_c__c")
def prints_in_c(context: JobContext) -> None:
    ctypes.CDLL(None).printf(b"printed by C\n")


# Ordinary ways to use threads and processes


@job("pools_threads__c")
def pools_threads(context: JobContext) -> int:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return sum(pool.map(len, ["a", "bc", "def"] * 4))


@job("to_thread__c")
async def to_thread(context: JobContext) -> int:
    return await asyncio.to_thread(len, "abc")


@job("pools_processes__c")
def pools_processes(context: JobContext) -> int:
    how = multiprocessing.get_context(context.parameters.get("how", "spawn"))
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=how) as pool:
        return sum(pool.map(len, ["a", "bc", "def"]))


@job("heeds_in_a_pool__c")
def heeds_in_a_pool(context: JobContext) -> None:
    how = context.parameters["how"]
    if how == "thread":
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            pool.submit(len, "abc").result()
            context._on_log("entered")
            context.sleep(60)
    else:
        with multiprocessing.get_context(how).Pool(1) as processes:
            processes.apply(len, ("abc",))
            context._on_log("entered")
            context.sleep(60)


# Forked copies


@job("copy_returns__c")
def copy_returns(context: JobContext) -> str:
    how = context.parameters["how"]
    pid = os.fork()
    if pid == 0:
        match how:
            case "returns":
                return "of the copy"
            case "raises":
                raise RuntimeError("in the copy")
            case "exits":
                sys.exit(7)
            case _:
                os.execv("/no/such/program", ["x"])
    _, status = os.waitpid(pid, 0)
    context.sleep(0.1)
    return f"of the run: {os.waitstatus_to_exitcode(status)}"


@job("async_copy_returns__c")
async def async_copy_returns(context: JobContext) -> str:
    pid = os.fork()
    if pid == 0:
        return "of the copy"
    await asyncio.to_thread(os.waitpid, pid, 0)
    return "of the run"


@job("copies_report__c")
def copies_report(context: JobContext) -> int:
    """Seven copies log at once, in lines that are large, while a thread of the run logs too."""
    lines, size = context.parameters["lines"], context.parameters["size"]
    stop = threading.Event()

    def chatter() -> None:
        while not stop.is_set():
            context._on_log("chatter")

    thread = threading.Thread(target=chatter)
    thread.start()
    pids = []
    for number in range(7):
        pid = os.fork()
        if pid == 0:
            for line in range(lines):
                context._on_log(f"{number} {line} " + str(number) * size)
            os._exit(0)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    stop.set()
    thread.join()
    return codes.count(0)


@job("kills_a_reporting_copy__c")
def kills_a_reporting_copy(context: JobContext) -> str:
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            while True:
                context._on_log("y" * 15_000)
        time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return "of the run"


# What hides, and what cannot be caught


@job("daemon__c")
def daemon(context: JobContext) -> None:
    """An ordinary daemon, which outlives who started it; and return at once."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            write_on(context.parameters["file"])
        os._exit(0)


@job("daemon_and_wait__c")
def daemon_and_wait(context: JobContext) -> None:
    daemon(context)
    file = Path(context.parameters["file"])
    while not file.exists() or not file.read_text().endswith("\n"):
        time.sleep(0.01)
    context._on_log("entered")
    context.sleep(60)


@job("says_entered__c")
def says_entered(context: JobContext) -> None:
    context._on_log("entered")
    context.sleep(60)


def write_on(file: str) -> None:
    while True:
        append(file, f"{os.getpid()}\n")
        time.sleep(0.02)


@job("fork_loop__c")
def fork_loop(context: JobContext) -> None:
    """What forks and exits, again and again, and never is where one looks."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    context._on_log("entered")
    if context.parameters.get("wait"):
        while True:
            time.sleep(60)


@job("own_sessions__c")
def own_sessions(context: JobContext) -> None:
    """A run that does not heed, with programs in sessions of their own; each heeds SIGTERM."""
    program = (
        "import pathlib, signal, sys, time\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "def heed(*_):\n    file.write_text('terminated'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, heed)\n"
        "file.write_text('ready')\n"
        "time.sleep(60)\n"
    )
    files = [Path(context.parameters["folder"]) / str(number) for number in range(3)]
    for file in files:
        subprocess.Popen([sys.executable, "-c", program, str(file)], start_new_session=True)
    while not all(file.exists() and file.read_text() == "ready" for file in files):
        time.sleep(0.01)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context._on_log("entered")
    while True:
        time.sleep(60)


@job("signals_its_group__c")
def signals_its_group(context: JobContext) -> None:
    os.kill(0, signal.SIGKILL)


@job("returns_after__c")
def returns_after(context: JobContext) -> None:
    context._on_log("entered")
    time.sleep(context.parameters["delay"])


@job("dies_by__c")
def dies_by(context: JobContext) -> None:
    os.kill(os.getpid(), context.parameters["number"])


@job("stops_its_init_and_exits__c")
def stops_its_init_and_exits(context: JobContext) -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    os._exit(3)


@job("closes_all_and_goes_on__c")
def closes_all_and_goes_on(context: JobContext) -> None:
    os.closerange(0, 256)
    append(context.parameters["file"], "closed")
    time.sleep(context.parameters["delay"])
    append(context.parameters["file"], " and done")


@job("programs_see__c")
def programs_see(context: JobContext) -> str:
    """The descriptors that a program finds which closes none."""
    command = [sys.executable, "-c", "import os; print(*os.listdir('/proc/self/fd'))"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, close_fds=False)
    return answer.stdout


@job("sets_user__c")
def sets_user(context: JobContext) -> None:
    """Another user's process loses the signal that would end it with its init."""
    os.setuid(65534)
    context._on_log(str(os.getpid()))
    context._on_log("entered")
    while True:
        time.sleep(60)


# How a run leaves


@job("exit_functions__c")
def exit_functions(context: JobContext) -> str:
    file, seconds = Path(context.parameters["file"]), context.parameters.get("delay", 0)

    @atexit.register
    def at_exit() -> None:
        time.sleep(seconds)
        file.write_text("written at exit")
        print("printed at exit", end="")  # noqa: T201 - that is the test

    return "returned"


@job("threads_to_wait_for__c")
def threads_to_wait_for(context: JobContext) -> str:
    def work() -> None:
        time.sleep(context.parameters["delay"])
        Path(context.parameters["file"]).write_text("written by a thread")

    threading.Thread(target=work).start()
    return "returned"
