"""The worker's side of the process engine: keepers, each a slot, and what they say."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from rescind.clock import Clock, from_milliseconds
from rescind.engines.describe import Description, checked
from rescind.engines.process.frames import FrameReader, Message, frame
from rescind.engines.process.tree import (
    IS_LINUX,
    DescendantTree,
    become_subreaper,
    children_of,
    descendants,
    end_tree,
)
from rescind.engines.protocol import (
    Asked,
    Ended,
    Ending,
    EngineEvent,
    Logged,
    Order,
    Progressed,
    StopReason,
)
from rescind.errors import ConfigurationError
from rescind.lifecycle import Evidence
from rescind.model import JobMetadata, RunRef

_log = structlog.get_logger()

_READ_BYTES = 256 * 1024

_keepers_of_this_process: set[int] = set()
"""Whatever other child this process adopts is the orphan of a keeper that was killed."""


class _Keeper:
    """One keeper process, as the worker knows it."""

    def __init__(self, modules: Sequence[str], lock: Path | None, *, group_only: bool) -> None:
        self.socket, theirs = socket.socketpair()
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-P",
                "-m",
                "rescind.engines.process.keeper",
                str(theirs.fileno()),
                "" if lock is None else str(lock),
                "group" if group_only else "tree",
                *modules,
            ],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        _keepers_of_this_process.add(self.process.pid)
        self.frames = FrameReader()
        self.ready = False
        self.run: RunRef | None = None
        self.stopping = False
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message; a keeper that is gone is noticed when it is read from."""
        with self._lock, contextlib.suppress(OSError):
            self.socket.sendall(frame(message))

    def stop(self, run: RunRef, reason: StopReason) -> None:
        """Ask the run to stop, if it is this keeper's; from any thread."""
        if self.run == run:
            self.stopping = True
            self.send({"do": "stop", "run": [run.job_id, run.attempt], "reason": reason})

    def close(self) -> None:
        """Close the pipe, which ends the keeper and all it keeps; wait for that."""
        self.socket.close()
        self.process.wait()
        _keepers_of_this_process.discard(self.process.pid)


class ProcessEngine:
    """Runs each job in a process of its own that can be ended with everything it started; see
    :class:`rescind.engines.protocol.Engine`.

    ``keepers_lock``: a file that every keeper holds a shared lock on, all its life.
    ``group_only``: end process groups instead of whole trees, as where there is no /proc.
    """

    def __init__(
        self,
        modules: Sequence[str],
        *,
        slots: int,
        clock: Clock,
        keepers_lock: Path | None = None,
        group_only: bool = not IS_LINUX,
    ) -> None:
        self._modules = list(modules)
        self._clock = clock
        self._lock = keepers_lock
        self._group_only = group_only
        self._events: deque[EngineEvent] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._not_ours: set[int] = set()
        if group_only:
            _log.warning(
                "jobs are stopped by process group only: what leaves its group is not stopped"
            )
        else:
            become_subreaper()
            self._not_ours = children_of(os.getpid())
        self._keepers = [self._new_keeper() for _ in range(slots)]
        self._by_run: dict[RunRef, _Keeper] = {}

    def describe(self) -> Sequence[JobMetadata]:
        """See :meth:`Engine.describe`; asks a process of its own."""
        asked = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", "rescind.engines.describe", *self._modules],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
        try:
            return checked(msgspec.json.decode(asked.stdout, type=Description))
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"Importing the job modules {', '.join(self._modules)} ended the process "
                f"(exit status {asked.returncode})."
            ) from error

    def free(self) -> int:
        """See :meth:`Engine.free`."""
        return sum(keeper.ready and keeper.run is None for keeper in self._keepers)

    def start(self, order: Order) -> None:
        """See :meth:`Engine.start`."""
        keeper = next(keeper for keeper in self._keepers if keeper.ready and keeper.run is None)
        keeper.run, keeper.stopping = order.run, False
        self._by_run[order.run] = keeper
        keeper.send(
            {
                "do": "run",
                "run": [order.run.job_id, order.run.attempt],
                "processor": order.processor,
                "parameters": order.parameters,
                "grace_seconds": order.grace_seconds,
            }
        )

    def permit(self, run: RunRef, allowed: bool) -> None:
        """See :meth:`Engine.permit`."""
        if keeper := self._by_run.get(run):
            keeper.send({"do": "permit", "run": [run.job_id, run.attempt], "allowed": allowed})

    def stop(self, run: RunRef, reason: StopReason) -> None:
        """See :meth:`Engine.stop`."""
        if keeper := self._by_run.get(run):
            keeper.stop(run, reason)

    def poll(self, timeout_seconds: float) -> list[EngineEvent]:
        """See :meth:`Engine.poll`."""
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        by_descriptor = {keeper.socket.fileno(): keeper for keeper in self._keepers}
        for descriptor in by_descriptor:
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(0 if self._events else timeout_seconds * 1000):
            if descriptor == self._wake_read:
                self._drain_wakes()
            else:
                self._hear(by_descriptor[descriptor])
        heard = list(self._events)
        self._events.clear()
        return heard

    def wake(self) -> None:
        """See :meth:`Engine.wake`."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    def close(self) -> None:
        """See :meth:`Engine.close`."""
        for keeper in self._keepers:
            with contextlib.suppress(OSError):
                keeper.socket.shutdown(socket.SHUT_RDWR)  # all at once; then wait for each
        for keeper in self._keepers:
            keeper.close()
        if self._keepers:
            os.close(self._wake_read)
            os.close(self._wake_write)
        self._keepers = []

    def _new_keeper(self) -> _Keeper:
        return _Keeper(self._modules, self._lock, group_only=self._group_only)

    def _hear(self, keeper: _Keeper) -> None:
        try:
            data = keeper.socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._replace(keeper)
            return
        for message in keeper.frames.feed(data):
            self._heed(keeper, message)

    def _heed(self, keeper: _Keeper, message: Message) -> None:
        if message["is"] in ("ready", "unready"):
            keeper.ready = message["is"] == "ready"
            if not keeper.ready:
                _log.error("a job process ended while idle; starting another")
            return
        run = RunRef(*message["run"])
        kind: str = message["is"]
        match kind:
            case "asks":
                self._events.append(Asked(run))
            case "log":
                at = from_milliseconds(message["at"])
                self._events.extend(Logged(run, at, line) for line in message["lines"])
            case "progress":
                self._events.append(Progressed(run, message["done"], message["total"]))
            case "ended":
                keeper.ready = message["ready"]
                self._end(
                    keeper,
                    Ended(
                        run=run,
                        ending=Ending(message["ending"]),
                        evidence=Evidence(message["evidence"]),
                        result=message["result"],
                        error=message["error"],
                    ),
                )
            case _:
                _log.error("a keeper said what is not known", kind=kind)

    def _end(self, keeper: _Keeper, ended: Ended) -> None:
        keeper.run = None
        self._by_run.pop(ended.run, None)
        self._events.append(ended)

    def _replace(self, keeper: _Keeper) -> None:
        """A keeper is gone, which nobody asked for; its child died with it, and what that had
        started has become ours to end.
        """
        keeper.close()
        _log.error("a keeper was lost", exit_status=keeper.process.returncode)
        if not self._group_only:
            self._end_strays()
        if keeper.run is not None:
            stopped = Ending.STOPPED if keeper.stopping else Ending.DIED
            self._end(
                keeper,
                Ended(
                    run=keeper.run,
                    ending=stopped,
                    evidence=Evidence.KILLED,
                    error="The process that kept the job was killed, and the job with it.",
                ),
            )
        self._keepers[self._keepers.index(keeper)] = self._new_keeper()

    def _end_strays(self) -> None:
        end_tree(
            DescendantTree(self._reap_strays, self._known),
            self._clock,
            polite=False,
            on_stubborn=lambda pids: _log.error("still killing strays", pids=sorted(pids)),
        )

    def _strays(self) -> set[int]:
        return children_of(os.getpid()) - self._not_ours - _keepers_of_this_process

    def _reap_strays(self) -> None:
        for pid in self._strays():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def _known(self) -> set[int]:
        """Everything that is not a stray: the living keepers and other children, with all
        theirs.
        """
        roots = self._not_ours | _keepers_of_this_process
        return roots.union(*(descendants(pid) for pid in roots))

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass
