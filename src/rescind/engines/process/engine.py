"""The worker's side of the process engine: keepers, each a slot, and what they say."""

import contextlib
import os
import select
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from rescind import ids, limits
from rescind.clock import Clock
from rescind.engines.describe import checked, described
from rescind.engines.process.frames import MalformedFrameError, Message
from rescind.engines.process.news import events_of, tell_warm
from rescind.engines.process.orders import permit_message, run_message, stop_message
from rescind.engines.process.slot import Slot
from rescind.engines.process.strays import Strays
from rescind.engines.process.system import IS_LINUX
from rescind.engines.protocol import Ended, Ending, EngineEvent, Order, StopReason
from rescind.lifecycle import Evidence
from rescind.model import JobMetadata, RunRef

_log = structlog.get_logger()

_READ_BYTES = 256 * 1024


class ProcessEngine:
    """Runs each job in a process of its own that can be ended with everything it started; see
    :class:`rescind.engines.protocol.Engine`.

    ``warm``: whether the job modules are imported once in each slot and runs forked from there
    (``fork``), or in every run (``fresh``), or as is safe (``auto``).
    ``run_files``: a folder where each keeper has a file that names its run, see :mod:`run_file`.
    ``group_only``: end process groups instead of whole trees, as where there is no /proc.
    """

    def __init__(
        self,
        modules: Sequence[str],
        *,
        slots: int,
        clock: Clock,
        warm: str = "auto",
        run_files: Path | None = None,
        group_only: bool = not IS_LINUX,
    ) -> None:
        self._modules = list(modules)
        self._clock = clock
        self._warm = warm
        self._told_warm = False
        self._look_at = 0.0
        self._run_files = run_files
        self._group_only = group_only
        self._events: deque[EngineEvent] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._strays: Strays | None = None
        if group_only:
            _log.warning(
                "jobs are stopped by process group only: what leaves its group is not stopped"
            )
        else:
            self._strays = Strays(clock)
        self._keepers = [self._new_keeper() for _ in range(slots)]
        self._fence_at: float | None = None
        self._keeper_problem: str | None = None
        """Why slots have no keeper, if one could not be got ready."""
        self._missing: list[float] = []
        """For each slot without a keeper, when to start one."""
        self._by_run: dict[RunRef, Slot] = {}

    def describe(self) -> Sequence[JobMetadata]:
        """See :meth:`Engine.describe`; asks a process of its own."""
        return checked(described(self._modules, self._warm))

    @property
    def problem(self) -> str | None:
        """See :meth:`Engine.problem`."""
        problems = (keeper.problem for keeper in list(self._keepers))
        return next(filter(None, problems), self._keeper_problem)

    def obstacles(self) -> Mapping[str, str]:
        """See :meth:`Engine.obstacles`: all run here."""
        return {}

    def free(self) -> int:
        """See :meth:`Engine.free`."""
        return sum(keeper.ready and keeper.run is None for keeper in self._keepers)

    def start(self, order: Order) -> None:
        """See :meth:`Engine.start`."""
        keeper = next(keeper for keeper in self._keepers if keeper.ready and keeper.run is None)
        keeper.start(order.run, run_message(order))
        self._by_run[order.run] = keeper

    def permit(self, run: RunRef, allowed: bool) -> None:
        """See :meth:`Engine.permit`."""
        if keeper := self._by_run.get(run):
            message = permit_message(run, allowed=allowed)
            keeper.permit(run, message)

    def stop(self, run: RunRef, reason: StopReason) -> None:
        """See :meth:`Engine.stop`."""
        if keeper := self._by_run.get(run):
            message = stop_message(run, reason)
            keeper.stop(run, message)

    def fence(self, at: float) -> None:
        """See :meth:`Engine.fence`."""
        self._fence_at = at
        for keeper in list(self._keepers):
            keeper.fence(at)

    def poll(self, timeout_seconds: float) -> list[EngineEvent]:
        """See :meth:`Engine.poll`."""
        self._look_after_keepers()
        if self._missing:
            timeout_seconds = min(timeout_seconds, limits.KEEPER_RESTART_SECONDS)
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
        with contextlib.suppress(OSError):  # full, which wakes; or closed
            os.write(self._wake_write, b"!")

    def close(self) -> None:
        """See :meth:`Engine.close`."""
        for keeper in self._keepers:
            with contextlib.suppress(OSError):
                keeper.socket.shutdown(socket.SHUT_RDWR)  # all at once; then wait for each
        for keeper in self._keepers:
            keeper.close()
        self._keepers = []
        if self._strays is not None:
            self._strays.end()
        for descriptor in {self._wake_read, self._wake_write} - {-1}:
            os.close(descriptor)
        self._wake_read = self._wake_write = -1

    def _new_keeper(self) -> Slot:
        file = None if self._run_files is None else self._run_files / ids.mark().hex()
        return Slot(self._modules, file, warm=self._warm, group_only=self._group_only)

    def _hear(self, keeper: Slot) -> None:
        try:
            data = keeper.socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._replace(keeper)
            return
        try:
            for message in keeper.frames.feed(data):
                self._heed(keeper, message)
        except (MalformedFrameError, KeyError, TypeError, ValueError):
            _log.exception("a keeper could not be understood")
            self._replace(keeper)

    def _heed(self, keeper: Slot, message: Message) -> None:
        match message["is"]:
            case "ready":
                keeper.ready = keeper.was_ready = True
                keeper.problem = self._keeper_problem = None
            case "unready":
                keeper.ready = False
                error = message["error"] or "The next job's process could not start."
                if self.problem != error:  # it is tried again and again
                    _log.error("jobs cannot start", error=error)
                keeper.problem = error
            case "warm":
                if not self._told_warm:  # all slots import the same modules
                    self._told_warm = True
                    tell_warm(message, self._warm)
            case _:
                for event in events_of(message):
                    self._take(keeper, event)

    def _take(self, keeper: Slot, event: EngineEvent) -> None:
        if isinstance(event, Ended):
            keeper.run = None
            self._by_run.pop(event.run, None)
        self._events.append(event)

    def _replace(self, keeper: Slot) -> None:
        """A keeper is gone, which nobody asked for, and with it its run; see :class:`Strays`."""
        keeper.close()
        _log.error("a keeper was lost", exit_status=keeper.process.returncode)
        self._keepers.remove(keeper)
        soon = 0.0 if keeper.was_ready else limits.KEEPER_RESTART_SECONDS
        if not keeper.was_ready:
            status = keeper.process.returncode
            self._keeper_problem = f"A keeper ended before it was ready (exit status {status})."
        self._missing.append(self._clock.elapsed() + soon)
        if self._strays is not None:
            self._strays.end()
        if keeper.run is not None:
            ending = Ending.STOPPED if keeper.stopping else Ending.DIED
            self._take(
                keeper,
                Ended(
                    run=keeper.run,
                    ending=ending if keeper.permitted else Ending.NOT_ENTERED,
                    evidence=Evidence.KILLED if keeper.permitted else Evidence.NEVER_STARTED,
                    error="The process that kept the job was killed, and the job with it.",
                ),
            )

    def _look_after_keepers(self) -> None:
        """Continue those that were stopped; start those whose time has come, or again later."""
        now = self._clock.elapsed()
        if now >= self._look_at:
            self._look_at = now + limits.KEEPER_LOOK_SECONDS
            for keeper in self._keepers:
                keeper.let_go_on()
        due = [at for at in self._missing if at <= now]
        self._missing = [at for at in self._missing if at > now]
        for _ in due:
            try:
                self._keepers.append(keeper := self._new_keeper())
                if self._fence_at is not None:
                    keeper.fence(self._fence_at)
            except OSError:
                _log.exception("a keeper cannot be started")
                self._missing.append(now + limits.KEEPER_RESTART_SECONDS)

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass
