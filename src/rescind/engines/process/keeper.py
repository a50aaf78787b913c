"""The keeper: one slot's guardian. It starts the child that runs users' code, stands between it
and the worker, and ends every process the child has started.

A program of its own with a single thread; it imports no user code. When its pipe to the worker
closes, the worker is gone: it ends everything and exits.
"""

import fcntl
import os
import select
import signal
import socket
import sys
from collections.abc import Collection

from rescind import limits
from rescind.clock import SystemClock, to_milliseconds
from rescind.engines.process.frames import (
    BROKEN_EXIT,
    FrameReader,
    MalformedFrameError,
    Message,
    frame,
)
from rescind.engines.process.kept import OUTPUTS, KeptChild, KeptRun
from rescind.engines.process.tree import (
    IS_LINUX,
    DescendantTree,
    Ended,
    Force,
    GroupTree,
    Tree,
    become_subreaper,
    end_tree,
)

_READ_BYTES = 64 * 1024
_FORCE_EVIDENCE = {
    Force.NONE: "STOPPED_ITSELF",
    Force.TERMINATED: "TERMINATED",
    Force.KILLED: "KILLED",
}


class Keeper:
    """See the module."""

    def __init__(self, worker: socket.socket, modules: list[str], *, group_only: bool) -> None:
        self._worker = worker
        self._modules = modules
        self._group_only = group_only
        self._clock = SystemClock()
        self._frames = FrameReader()
        self._out = bytearray()
        self._run: KeptRun | None = None
        self._wakeups = _wake_on_child_signals()
        self._tree: Tree = (
            GroupTree(self._reap, self._group)
            if group_only
            else DescendantTree(self._reap, self._spared)
        )
        self._sparing: set[int] = set()
        self._deaf_to_end = False
        self._done_message: Message | None = None
        self._child = KeptChild(modules)

    def keep(self) -> None:
        """Serve until the worker is gone."""
        while True:
            self._wait()
            self._flush()
            if not self._hear_worker():
                break
            self._hear_child()
            self._reap()
            if self._child.status is not None:
                self._child_is_gone()
            if self._time_is_up():
                self._force()
        self._end_all(polite=False)

    def _time_is_up(self) -> bool:
        ends_at = None if self._run is None else self._run.ends_at
        return ends_at is not None and self._clock.elapsed() >= ends_at

    # What is waited for

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._wakeups, select.POLLIN)
        events = select.POLLIN | (select.POLLOUT if self._out else 0)
        poll.register(self._worker, events)
        if len(self._out) < limits.FRAME_BYTES_MAX:
            # A worker that does not keep up must hold back the child, never us.
            for number in self._child.descriptors():
                poll.register(number, select.POLLIN)
        timeout: float | None = None
        if self._run is not None and self._run.ends_at is not None:
            # The system's wait does not count a suspension; our clock does.
            seconds = min(self._run.ends_at - self._clock.elapsed(), limits.KEEPER_LOOK_SECONDS)
            timeout = max(0.0, seconds) * 1000
        poll.poll(timeout)
        _drain(self._wakeups)

    def _hear_worker(self) -> bool:
        """Take in what the worker said; False when it is gone."""
        while True:
            try:
                data = self._worker.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            for message in self._frames.feed(data):
                self._obey(message)

    def _obey(self, message: Message) -> None:
        run = self._run
        match message["do"]:
            case "run":
                self._run = KeptRun(message)
                self._child.send(message)
            case "permit" if run is not None and run.id == message["run"]:
                if self._time_is_up():
                    return  # nothing is entered when its end is due: we may have stood still
                run.entered = run.entered or (message["allowed"] and not run.stopping)
                self._child.send(message)
            case "stop" if run is not None and run.id == message["run"] and not run.stopping:
                run.stopping = True
                run.force_at = self._clock.elapsed() + run.grace_seconds
                self._child.send(message)
            case "extend" if run is not None and run.id == message["run"]:
                run.fence_at = message["fence_at"]

    # What the child says and prints

    def _hear_child(self) -> None:
        if len(self._out) < limits.FRAME_BYTES_MAX:
            self._read_outputs()
            self._read_frames()

    def _read_frames(self) -> bool:
        """Take in what the child said; whether there may be more."""
        child = self._child
        try:
            data = child.socket.recv(_READ_BYTES)
        except OSError:
            return False
        child.connected = bool(data)
        try:
            for message in child.frames.feed(data):
                self._heed(message)
        except (MalformedFrameError, KeyError, TypeError, ValueError) as error:
            child.connected = False
            self._log(f"The job's process broke its connection: {error}")
            if not self._deaf_to_end:
                self._end_all(polite=False)
        return child.connected and child is self._child

    def _heed(self, message: Message) -> None:
        run = self._run
        match message["is"]:
            case "ready":
                self._send({"is": "ready", "pid": self._child.pid})
            case "log" if run is not None:
                self._send({**message, "run": run.id})
            case "progress" if run is not None:
                self._send({**message, "run": run.id})
            case "asks" if run is not None:
                self._send({"is": "asks", "run": run.id})
            case "done" if self._deaf_to_end:
                self._done_message = message
            case "done" if run is not None:
                self._done(run, message)

    def _read_outputs(self) -> None:
        for number, lines in list(self._child.outputs.items()):
            try:
                data = os.read(number, _READ_BYTES)
            except OSError:
                continue
            self._print(lines.feed(data) if data else lines.close())
            if not data:
                del self._child.outputs[number]

    def _print(self, lines: list[str]) -> None:
        at = to_milliseconds(self._clock.now())
        if lines and self._run is not None:
            self._send({"is": "log", "run": self._run.id, "at": at, "lines": lines})

    def _log(self, text: str) -> None:
        self._print([text])

    # How a run ends

    def _done(self, run: KeptRun, message: Message) -> None:
        """The code came to its end; what it left behind is ended before anyone is told."""
        self._sparing = {self._child.pid}
        ended = end_tree(self._tree, self._clock, polite=True, on_stubborn=self._say_stubborn)
        self._sparing = set()
        if ended.processes:
            self._log(f"{ended.processes} processes that the job had left behind were ended")
        if message["threads_left"]:
            self._log("The job had left threads running; they end with their process")
            ended = ended._replace(force=Force.KILLED)
        whole = len(self._child.outputs) == OUTPUTS
        clean = message["clean"] and whole and not ended.processes and not self._group_only
        if not clean:
            self._end_all(polite=False)
        self._finish_output()
        self._tell_end(run, message, ended, ready=clean)
        if not clean:
            self._replace_child()

    def _child_is_gone(self) -> None:
        """The child has exited, by itself or by force; it takes its run with it."""
        status = self._child.status
        assert status is not None
        ended = end_tree(self._tree, self._clock, polite=True, on_stubborn=self._say_stubborn)
        done = self._last_words()
        if self._run is not None and done is not None:
            self._tell_end(self._run, done, ended, ready=False)
            self._replace_child()
            return
        ended = ended._replace(force=max(ended.force, _force_of(status)))
        if self._run is None:
            self._send({"is": "unready"})
            select.select((), (), (), limits.KEEPER_RESTART_SECONDS)
        else:
            ending = "STOPPED" if self._run.stopping else "DIED"
            if not self._run.entered:
                ending = "NOT_ENTERED"
            message = {"ending": ending, "error": _exit_words(status)}
            self._tell_end(self._run, message, ended, ready=False)
        self._replace_child()

    def _force(self) -> None:
        """The grace is over, or the lease about to be. Whatever the run still says, it is ended
        first and heard afterwards.
        """
        assert self._run is not None
        fence_at = self._run.fence_at
        fenced = fence_at is not None and self._clock.elapsed() >= fence_at
        if fenced:
            self._log("Stopped: its lease could not be renewed in time")
        ended = self._end_all(polite=not fenced)  # there is no time left to be polite in
        done = self._last_words()  # it may have ended just then
        ending = "STOPPED" if self._run.entered else "NOT_ENTERED"
        self._tell_end(self._run, done or {"ending": ending}, ended, ready=False)
        self._replace_child()

    def _end_all(self, *, polite: bool) -> Ended:
        return end_tree(self._tree, self._clock, polite=polite, on_stubborn=self._say_stubborn)

    def _tell_end(self, run: KeptRun, message: Message, ended: Ended, *, ready: bool) -> None:
        evidence = _FORCE_EVIDENCE[ended.force]
        if not run.entered:
            evidence = "NEVER_STARTED"
        self._send(
            {
                "is": "ended",
                "run": run.id,
                "ending": message["ending"],
                "result": message.get("result"),
                "error": message.get("error"),
                "evidence": evidence,
                "ready": ready,
            }
        )
        self._run = None

    def _last_words(self) -> Message | None:
        """Hear what a child that has ended had said and printed, as far as its pipes hold it; how
        its code ended, if it had said that.
        """
        self._done_message = None
        self._deaf_to_end = True
        for _ in range(limits.LAST_WORDS_BYTES_MAX // _READ_BYTES):
            if not self._read_frames():
                break
        self._deaf_to_end = False
        self._finish_output()
        return self._done_message

    def _finish_output(self) -> None:
        """What was printed, up to now."""
        for number, lines in self._child.outputs.items():
            for _ in range(limits.LAST_WORDS_BYTES_MAX // _READ_BYTES):
                try:
                    data = os.read(number, _READ_BYTES)
                except OSError:
                    break
                if not data:
                    break
                self._print(lines.feed(data))
            self._print(lines.close())

    def _replace_child(self) -> None:
        self._child.close()
        self._child = KeptChild(self._modules)

    def _say_stubborn(self, pids: Collection[int]) -> None:
        shown = ", ".join(str(pid) for pid in sorted(pids))
        self._log(f"SIGKILL has not ended the processes {shown}; still trying")
        self._flush()

    # Reaping, and talking to the worker

    def _reap(self) -> None:
        """Take in every exit status, the child's and those of adopted orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child.pid:
                self._child.status = os.waitstatus_to_exitcode(status)
                self._child.process.returncode = self._child.status

    def _spared(self) -> set[int]:
        return self._sparing

    def _group(self) -> int | None:
        return None if self._sparing else self._child.pid

    def _send(self, message: Message) -> None:
        self._out += frame(message)
        self._flush()

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self._worker.send(self._out, socket.MSG_DONTWAIT)
            except OSError:
                return  # full, or gone: the next wait shows which
            del self._out[:sent]


def _force_of(status: int) -> Force:
    """The means that an exit status tells of, whoever used it."""
    means = {-signal.SIGTERM: Force.TERMINATED, -signal.SIGKILL: Force.KILLED}
    return means.get(status, Force.NONE)


def _exit_words(status: int) -> str:
    if status < 0:
        return f"The job's process was ended by {signal.Signals(-status).name}."
    if status == BROKEN_EXIT:
        return "The job's process lost its connection: did its code close all files?"
    return f"The job's process exited with status {status}."


def _wake_on_child_signals() -> int:
    """A pipe that becomes readable when a child has died."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    # Only the worker's end ends a keeper. Handlers, not SIG_IGN: the child must not inherit it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _nothing)
    return read


def _nothing(_number: int, _frame: object) -> None:
    pass


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        pass


def main() -> None:
    """Keep: arguments are the socket, the lock file or nothing, how to find the tree, modules."""
    number, lock, how, *modules = sys.argv[1:]
    worker = socket.socket(fileno=int(number))
    worker.set_inheritable(False)
    if lock:
        # Held by this process alone, all its life: a new service waits for it.
        fcntl.flock(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_SH)
    group_only = how == "group" or not IS_LINUX
    if not group_only:
        become_subreaper()
    Keeper(worker, modules, group_only=group_only).keep()


if __name__ == "__main__":
    main()
