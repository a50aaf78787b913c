"""The supervisor: the one owner of threads. It drives each loop on a thread of its own."""

import threading
from collections.abc import Callable, Sequence

import structlog

from rescind import limits
from rescind.clock import Clock
from rescind.errors import SchemaError, StoreUnavailable
from rescind.runtime.loop import Loop
from rescind.runtime.worker import Worker
from rescind.store.protocol import Channel, Store

_log = structlog.get_logger()


class Supervisor:
    """Runs loops until told to stop."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        loops: Sequence[Loop],
        worker: Worker | None,
        on_fatal: Callable[[SchemaError], None],
    ) -> None:
        """``on_fatal`` is told, from any thread, that the process must end."""
        self._clock = clock
        self._worker = worker
        self._on_fatal = on_fatal
        self._loops = [*loops, *([] if worker is None else [worker])]
        self._stopping = threading.Event()
        self._on_idle: Callable[[], object] | None = None
        self._threads = [
            threading.Thread(target=self._drive, args=(loop,), name=loop.name, daemon=True)
            for loop in self._loops
        ]
        store.subscribe(self._wake)

    def start(self) -> None:
        """Start every loop."""
        for thread in self._threads:
            thread.start()

    def drain(self, seconds: float, on_idle: Callable[[], object]) -> None:
        """Claim nothing more; after ``seconds``, stop and give back what still runs. ``on_idle`` is
        told, once and from any thread, when nothing runs any more. Returns at once.
        """
        if self._worker is None:
            on_idle()
        else:
            self._on_idle = on_idle
            self._worker.drain(seconds)

    def stop(self) -> None:
        """End every loop after one last step, and wait for their threads; but not for one that
        hangs, as in a call to a database that never answers.
        """
        self._stopping.set()
        for loop in self._loops:
            loop.waiter.wake()
        until = self._clock.elapsed() + limits.STOP_SECONDS_MAX
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.elapsed()))
        if hanging := [thread.name for thread in self._threads if thread.is_alive()]:
            _log.error("stopping beside loops that hang", loops=hanging)
            return
        for loop in self._loops:
            # What the last steps of other loops left behind: a run given back may settle now.
            if not self._round(loop, wait=False):
                break  # the store is away, and nobody waits for it any more

    def _tell_idle(self) -> None:
        told, self._on_idle = self._on_idle, None
        if told is not None:
            told()

    def _wake(self, channel: Channel) -> None:
        for loop in self._loops:
            if channel in loop.wakes_on:
                loop.waiter.wake()

    def _drive(self, loop: Loop) -> None:
        while not self._stopping.is_set():
            if not self._round(loop):
                self._pause(loop)

    def _pause(self, loop: Loop) -> None:
        """Wait before the next try, as the loop waits: the worker hears its engine meanwhile."""
        until = self._clock.elapsed() + limits.LOOP_ERROR_SECONDS
        while (left := until - self._clock.elapsed()) > 0 and not self._stopping.is_set():
            loop.waiter.wait(left)

    def _round(self, loop: Loop, *, wait: bool = True) -> bool:
        """One step, and the wait for the next; False when something went wrong, which a loop
        outlives.
        """
        try:
            try:
                seconds = loop.step()
            finally:
                # Who has nothing to write is done, even if the store is away.
                if self._worker is not None and loop is self._worker and self._worker.drained:
                    self._tell_idle()
            if wait:
                loop.waiter.wait(seconds)
        except SchemaError as error:
            self._on_fatal(error)
            return False
        except StoreUnavailable as error:
            _log.warning("store unavailable", loop=loop.name, error=str(error))
            return False
        except Exception:  # noqa: BLE001 - a loop must outlive a mistake in one step; it is logged
            _log.exception("step failed", loop=loop.name)
            return False
        return True
