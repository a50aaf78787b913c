"""A run's process: it waits for its order, asks, enters one function, once, says how that ended,
and leaves as a Python program does. Where the function's author says that it leaves nothing behind,
and so it is, it may wait for another order instead.

Its main thread runs the code; one thread listens to the keeper. It dies with its init.
"""

import errno
import os
import queue
import signal
import socket
import sys
import threading
from typing import NoReturn

import msgspec

from rescind.engines.execution import Execution, Outcome, error_text, resolve
from rescind.engines.leaving import leave
from rescind.engines.process.frames import (
    BROKEN_EXIT,
    PACKET_BYTES_MAX,
    Message,
    is_lost,
    pack,
    unpack,
)
from rescind.engines.process.log_handler import take_logging
from rescind.engines.process.outlet import Outlet
from rescind.engines.process.programs import programs_below
from rescind.engines.process.system import IS_LINUX
from rescind.engines.process.tree import open_below
from rescind.engines.protocol import Ending
from rescind.sdk.context import JobContext
from rescind.sdk.stop import Stop

_WALL = 0x40000000
"""For the kernel: children that tell their parent nothing, too (__WALL)."""
_THREADS = 2
"""Of ours: the main thread, and the one that listens."""


class Line:
    """The connection to the keeper. Nothing here takes a lock: one packet is one system call, whole
    whoever sends it, and a process may fork while any thread of it sends.
    """

    def __init__(self, number: int) -> None:
        self._socket = socket.socket(fileno=number)
        self._identity = os.fstat(number)
        self._pid = os.getpid()
        self.run: list[int] | None = None

    def send(self, message: Message) -> None:
        """Send a message. If user code has closed the connection, or put something else in its
        place, the run cannot tell the truth any more and ends; in a forked copy it is lost.
        """
        try:
            if not os.path.samestat(os.fstat(self._socket.fileno()), self._identity):
                raise OSError(errno.EBADF, "another file in place of the connection")  # noqa: TRY301 - handled as one
            self._socket.send(pack({**message, "run": self.run}))
        except OSError as error:
            if not is_lost(error):
                raise
            if os.getpid() == self._pid:
                os._exit(BROKEN_EXIT)

    def receive(self) -> Message | None:
        """The next message; None when the keeper is gone."""
        try:
            data = self._socket.recv(PACKET_BYTES_MAX)
        except OSError:
            os._exit(BROKEN_EXIT)
        return unpack(data) if data else None

    def progress(self, done: int, total: int) -> None:
        """Send how far the run has come."""
        self.send({"is": "progress", "done": done, "total": total})


class Run:
    """One run: entered once, told what its keeper says. ``outcome`` is for the main thread, the
    rest for the one that listens.
    """

    def __init__(self, order: Message, line: Line, outlet: Outlet) -> None:
        self.id: list[int] = order["run"]
        self.mark: bytes = order["mark"]
        self._order = order
        self._line = line
        self._outlet = outlet
        self._execution: Execution | None = None
        self._stop: Message | None = None
        self._allowed: bool | None = None
        self._answered = threading.Event()
        self._lock = threading.Lock()
        self._over = False
        self.runs_per_process = 1
        """As its author permits, when that is known."""

    @property
    def told_to_stop(self) -> bool:
        """Whether it was."""
        return self._stop is not None

    def outcome(self) -> Outcome:
        """Ask, enter the function, wait for its end; from then on its context says nothing."""
        try:
            return self._outcome()
        finally:
            self._over = True

    def _outcome(self) -> Outcome:
        order = self._order
        try:
            processor = resolve(order["processor"])
        except BaseException as error:  # noqa: BLE001 - importing runs a user's code
            return Outcome(ending=Ending.RAISED, error=error_text(error))
        self.runs_per_process = processor.runs_per_process
        pid = os.getpid()

        def say_noticed(noticed: bool) -> None:
            if os.getpid() == pid:  # a copy does not speak for the run
                self._line.send({"is": "noticed", "noticed": noticed})

        def log(text: str) -> None:
            if not self._over:
                self._outlet.log(text)

        def progress(done: int, total: int) -> None:
            if not self._over:
                self._line.progress(done, total)

        stop = Stop(say_noticed)
        context = JobContext(
            job_id=order["run"][0],
            attempt=order["run"][1],
            parameters=msgspec.json.decode(order["parameters"]),
            on_log=log,
            on_progress=progress,
            stop=stop,
        )
        self._outlet.on_said = stop.pass_by
        take_logging(context.log)
        execution = Execution(
            processor,
            context,
            stop,
            on_enter=lambda: self._line.send({"is": "entered"}),
            interruptible=True,
        )
        with self._lock:
            self._execution, told = execution, self._stop
        if told is not None:
            execution.stop(told["reason"])
            self._answered.set()
        self._line.send({"is": "asks"})
        self._answered.wait()
        return execution.run() if self._allowed else Outcome(ending=Ending.NOT_ENTERED)

    def heed(self, message: Message) -> None:
        """Do what its keeper says."""
        if message["do"] == "permit" and self._allowed is None:
            self._allowed = message["allowed"]
            self._answered.set()
        elif message["do"] == "stop":
            self._heed_stop(message)
        elif message["do"] == "prepare" and self._execution is not None:
            threading.Thread(target=self._prepare, daemon=True).start()
        elif message["do"] == "interrupt" and self._execution is not None:
            self._execution.interrupt(insist=message["insist"])

    def _prepare(self) -> None:
        assert self._execution is not None
        found = [open_below(pid) for pid in programs_below(os.getpid())]
        self._execution.prepare_interrupt([handle for handle in found if handle is not None])
        self._line.send({"is": "prepared"})

    def _heed_stop(self, message: Message) -> None:
        with self._lock:
            self._stop, execution = message, self._execution
        if execution is not None:
            if execution.stop(message["reason"]):
                threading.Thread(target=execution.run_hook, daemon=True).start()
            self._answered.set()


class Process:
    """See the module."""

    def __init__(self, line: Line, outlet: Outlet) -> None:
        self._line = line
        self._outlet = outlet
        self._run: Run | None = None
        self._ordered: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        """What is to run next; None: nothing more."""

    def serve(self) -> NoReturn:
        """Wait for the order, run it, and leave; or wait for another."""
        self._line.send({"is": "ready"})
        order = self._line.receive()
        if order is None:
            os._exit(0)
        self._run = run = Run(order, self._line, self._outlet)
        threading.Thread(target=self._listen, name="rescind", daemon=True).start()
        served = 1
        while self._serve(run, served) and (following := self._ordered.get()) is not None:
            run, served = following, served + 1
        leave(0)

    def _serve(self, run: Run, served: int) -> bool:
        """Whether there may be another."""
        self._line.run = run.id
        self._outlet.open(run.mark)
        # While it waited it may have started something: then it is fit for no other run.
        fit = served == 1 or _is_alone()
        outcome = run.outcome() if fit else Outcome(ending=Ending.NOT_ENTERED)
        again = (
            outcome.ending is Ending.RETURNED
            and served < run.runs_per_process
            and not run.told_to_stop
            and _is_alone()
        )
        self._line.send(
            {
                "is": "done",
                "ending": outcome.ending,
                "result": msgspec.json.encode(outcome.result),
                "error": outcome.error,
                "noticed": outcome.noticed,
                "again": again,
            }
        )
        return again

    def _listen(self) -> None:
        while (message := self._line.receive()) is not None:
            if message["do"] == "run":
                self._run = Run(message, self._line, self._outlet)
                self._ordered.put(self._run)
            elif message["do"] == "leave":
                self._ordered.put(None)
            elif self._run is not None and message["run"] == self._run.id:
                self._run.heed(message)
        os._exit(0)


def _is_alone() -> bool:
    """Whether this process has no thread but ours, no timer, and no child: so says the kernel."""
    if not IS_LINUX:
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | _WALL)
    except ChildProcessError:
        timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - as quick as can be
        return threads == _THREADS and not any(signal.getitimer(timer)[0] for timer in timers)
    return False


def seed_anew() -> None:
    """What drew a seed while it was imported would draw the same numbers in each run. Python seeds
    its own ``random`` in every fork.
    """
    if numpy := sys.modules.get("numpy.random"):
        numpy.seed()
