"""The child: runs users' code, one run after another, and nothing of ours but this.

Its main thread runs the code; one thread listens to the keeper. It dies with the keeper.
"""

import contextlib
import os
import queue
import signal
import socket
import sys
import threading
from typing import Any, NamedTuple

from rescind.clock import SystemClock, to_milliseconds
from rescind.engines.describe import add_working_directory
from rescind.engines.execution import Execution, Outcome, error_text, resolve
from rescind.engines.lines import lines_of
from rescind.engines.process.frames import BROKEN_EXIT, FrameReader, Message, frame
from rescind.engines.process.tree import die_with_parent
from rescind.engines.protocol import Ending
from rescind.sdk.context import JobContext

_READ_BYTES = 64 * 1024
_LINES_PER_FRAME = 8  # of full length and escaped, they still fit a frame


class _Line:
    """The connection to the keeper."""

    def __init__(self, number: int) -> None:
        self._socket = socket.socket(fileno=number)
        self._socket.set_inheritable(False)
        self._identity = os.fstat(number)
        self._lock = threading.Lock()
        self._clock = SystemClock()

    def send(self, message: Message) -> None:
        """Send a message. If user code has closed the connection, or put something else in its
        place, this process cannot tell the truth any more and ends.
        """
        with self._lock:
            try:
                if not os.path.samestat(os.fstat(self._socket.fileno()), self._identity):
                    os._exit(BROKEN_EXIT)
                self._socket.sendall(frame(message))
            except OSError:
                os._exit(BROKEN_EXIT)

    def receive(self) -> bytes:
        """What comes next; nothing when the keeper is gone."""
        try:
            return self._socket.recv(_READ_BYTES)
        except OSError:
            os._exit(BROKEN_EXIT)

    def log(self, text: str) -> None:
        """Send lines for the job's log."""
        at = to_milliseconds(self._clock.now())
        lines = lines_of(text)
        for start in range(0, len(lines), _LINES_PER_FRAME):
            self.send({"is": "log", "at": at, "lines": lines[start : start + _LINES_PER_FRAME]})

    def progress(self, done: int, total: int) -> None:
        """Send how far the run has come."""
        self.send({"is": "progress", "done": done, "total": total})


class _Current:
    """The run under way, shared between the two threads."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.allowed: bool | None = None
        self.answered = threading.Event()


class Child:
    """See the module."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._orders: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._current: _Current | None = None
        self._early_stop: Message | None = None
        self._lock = threading.Lock()
        self._listener = threading.Thread(target=self._listen, name="rescind", daemon=True)

    def serve(self) -> None:
        """Run what the keeper orders, until it is gone."""
        self._listener.start()
        self._line.send({"is": "ready"})
        while True:
            order = self._orders.get()
            before = _State.now()
            outcome = self._run(order)
            after = _State.now()
            _flush_output()
            self._line.send(
                {
                    "is": "done",
                    "ending": outcome.ending,
                    "result": outcome.result,
                    "error": outcome.error,
                    "clean": after == before,
                    "threads_left": after.threads > before.threads,
                }
            )

    def _run(self, order: Message) -> Outcome:
        """Run one job; how it ended."""
        try:
            processor = resolve(order["processor"])
        except BaseException as error:  # noqa: BLE001 - importing runs a user's code
            return Outcome(ending=Ending.RAISED, error=error_text(error))
        context = JobContext(
            job_id=order["run"][0],
            attempt=order["run"][1],
            parameters=order["parameters"],
            on_log=self._line.log,
            on_progress=self._line.progress,
        )
        current = _Current(Execution(processor, context))
        with self._lock:
            self._current = current
            stop, self._early_stop = self._early_stop, None
        if stop is not None and stop["run"] == order["run"]:
            self._stop(current, stop)
        self._line.send({"is": "asks"})
        current.answered.wait()
        not_entered = Outcome(ending=Ending.NOT_ENTERED)
        outcome = current.execution.run() if current.allowed else not_entered
        with self._lock:
            self._current = None
        return outcome

    def _listen(self) -> None:
        frames = FrameReader()
        while data := self._line.receive():
            for message in frames.feed(data):
                self._hear(message)
        os._exit(0)

    def _hear(self, message: Message) -> None:
        if message["do"] == "run":
            self._orders.put(message)
            return
        with self._lock:
            current = self._current
            if current is None and message["do"] == "stop":
                self._early_stop = message
        if current is None:
            return
        if message["do"] == "permit":
            if current.allowed is None:
                current.allowed = message["allowed"]
            current.answered.set()
        else:
            self._stop(current, message)

    def _stop(self, current: _Current, message: Message) -> None:
        if not current.answered.is_set():
            current.allowed = False
            current.answered.set()
        current.execution.stop(message["reason"])


class _State(NamedTuple):
    """What a run must leave as it was for this process to serve again."""

    threads: int
    directory: str | None
    outputs: list[Any]
    umask: int
    handlers: list[Any]

    @classmethod
    def now(cls) -> "_State":
        """How things stand."""
        umask = os.umask(0o077)
        os.umask(umask)
        try:
            directory: str | None = os.getcwd()  # noqa: PTH109 - a string is compared
        except OSError:
            directory = None  # it was removed
        handlers = [signal.getsignal(number) for number in sorted(signal.valid_signals())]
        outputs = [(id(output), getattr(output, "closed", True)) for output in _outputs()]
        return cls(_threads(), directory, outputs, umask, handlers)


def _threads() -> int:
    """Native threads count too, where the system tells."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - as quick as can be
    except OSError:
        return threading.active_count()


def _outputs() -> tuple[Any, Any]:
    return sys.stdout, sys.stderr


def _flush_output() -> None:
    for stream in _outputs():
        # User code may have closed or replaced it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def main() -> None:
    """Serve: arguments are the socket, the keeper's pid, and the job modules to import at once."""
    number, keeper, *modules = sys.argv[1:]
    die_with_parent(int(keeper))
    line = _Line(int(number))
    add_working_directory()
    sys.argv = ["rescind-job"]
    for module in modules:
        __import__(module)
    Child(line).serve()


if __name__ == "__main__":
    main()
