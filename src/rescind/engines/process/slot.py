"""One slot of the process engine: a keeper process, as the worker knows it."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rescind import limits
from rescind.engines.process.frames import FrameReader, Message, frame
from rescind.engines.process.system import IS_LINUX
from rescind.model import RunRef

keepers_of_this_process: set[int] = set()
"""Whatever other child this process adopts is the orphan of a keeper that was killed."""


class Slot:
    """One keeper, and the run it keeps, if any."""

    def __init__(
        self, modules: Sequence[str], run_file: Path | None, *, warm: str, group_only: bool
    ) -> None:
        # Jobs can read the environment of every process above them: it holds no settings of ours.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RESCIND_")
        }
        self.socket, theirs = socket.socketpair()
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-P",
                "-m",
                "rescind.engines.process.keeper",
                str(theirs.fileno()),
                "" if run_file is None else str(run_file),
                warm,
                "group" if group_only else "tree",
                *modules,
            ],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        keepers_of_this_process.add(self.process.pid)
        # What a child may send, and what its keeper adds to it.
        self.frames = FrameReader(2 * limits.FRAME_BYTES_MAX)
        self.ready = False
        """It has a process that waits for a run."""
        self.was_ready = False
        self.problem: str | None = None
        """Why it is not ready, if something is wrong."""
        self.run: RunRef | None = None
        self.stopping = False
        self.permitted = False
        """Whether the run may have entered its function."""
        self._fence_at: float | None = None
        self._lock = threading.Lock()

    def start(self, run: RunRef, message: Message) -> None:
        """Start a run."""
        with self._lock:
            self.run, self.stopping, self.permitted, self.ready = run, False, False, False
            self._send({**message, "fence_at": self._fence_at})

    def permit(self, run: RunRef, message: Message) -> None:
        """Answer a run, if it is this keeper's."""
        with self._lock:
            if self.run == run:
                self.permitted = self.permitted or bool(message["allowed"])
                self._send(message)

    def stop(self, run: RunRef, message: Message) -> None:
        """Ask a run to stop, once, if it is this keeper's; from any thread."""
        with self._lock:
            if self.run == run and not self.stopping:
                self.stopping = True
                self._send(message)

    def fence(self, at: float) -> None:
        """Kill the run, or the next, at ``at``; from any thread."""
        with self._lock:
            self._fence_at = at
            # One that stands still must not be sent so much that it holds up its worker.
            if self.run is not None and self._writable():
                run = [self.run.job_id, self.run.attempt]
                self._send({"do": "fence", "run": run, "fence_at": at})

    def _writable(self) -> bool:
        poll = select.poll()
        try:
            poll.register(self.socket, select.POLLOUT)
        except ValueError:  # closed just now
            return False
        return bool(poll.poll(0))

    def _send(self, message: Message) -> None:
        """A keeper that is gone is noticed when it is read from. One that does not read for a
        while is never sent enough to fill its pipe: three messages a run, but for renewals.
        """
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGCONT)  # a job may have stopped its keeper
            self.socket.sendall(frame(message))

    def let_go_on(self) -> None:
        """Continue the keeper if something has stopped it: it keeps its run's times (Linux)."""
        if not IS_LINUX:
            return
        with contextlib.suppress(OSError):  # it is gone, which is noticed elsewhere
            if os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG):
                self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Close the pipe, which ends the keeper and all it keeps; wait for that."""
        self.socket.close()
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGCONT)  # a job may have stopped its keeper
        self.process.wait()
        keepers_of_this_process.discard(self.process.pid)
